"""Security by settings: what fits together, what is told, and what is hidden."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr, ValidationError

from densefusion import clients, security
from densefusion.errors import SettingsError
from densefusion.redact import Redact, secrets
from densefusion.settings import Caption, Kafka, Settings, Store, environment
from densefusion.settings_security import KafkaSecurity, RegistryLogin
from densefusion.store_access import keys

USER: dict[str, Any] = {"protocol": "SASL_SSL", "username": "u", "password": "hunter22"}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    made = tmp_path / "file"
    made.write_text("from-the-file\n")
    return made


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"protocol": "SASL_SSL"}, "needs username and password"),
        ({"protocol": "SASL_SSL", "username": "u"}, "username without password"),
        ({"protocol": "SASL_SSL", "password": "p"}, "password without username"),
        ({"protocol": "SSL", "username": "u", "password": "p"}, "SASL_SSL does"),
        ({"protocol": "SSL", "key": "{file}"}, "key without certificate"),
        ({"protocol": "SSL", "certificate": "{file}"}, "certificate without key"),
        ({"protocol": "SSL", "ca": "/no/such.pem"}, "ca: there is no file /no/such.pem"),
        ({"ca": "{file}"}, "are for TLS, but protocol is PLAINTEXT"),
        (USER | {"password_file": "{file}"}, "password and password_file are both set"),
        (USER | {"mechanism": "GSSAPI"}, "mechanism"),
        ({"protocol": "sasl"}, "protocol"),
    ],
)
def test_what_does_not_fit_is_told(given: dict[str, Any], told: str, file: Path) -> None:
    filled = {name: value.replace("{file}", str(file)) for name, value in given.items()}
    with pytest.raises(ValidationError) as refused:
        KafkaSecurity(**filled)
    assert told in str(refused.value)
    assert "hunter22" not in str(refused.value)


def test_variables_that_are_set_to_nothing() -> None:
    """As templates of deployments do it."""
    nothing = {"username": "", "password": "", "password_file": "", "ca": "", "key": ""}
    assert KafkaSecurity(**nothing) == KafkaSecurity()
    assert Store(ca="", secret_key_file="") == Store()


def test_all_faults_are_told_at_once() -> None:
    with pytest.raises(ValidationError) as refused:
        KafkaSecurity(protocol="SASL_SSL", key=Path("/k"), ca=Path("/c"))
    for told in ("ca: there is no file /c", "key: there is no file /k", "certificate", "username"):
        assert told in str(refused.value)


@pytest.mark.parametrize("kind", ["empty", "unreadable"])
def test_files_of_secrets(file: Path, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if kind == "empty":
        file.write_text("\n")
    else:  # the tests may run as a user who may read everything
        monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(ValidationError, match=r"is empty|cannot be read by this user"):
        KafkaSecurity(protocol="SASL_SSL", username="u", password_file=file)


def test_options_of_librdkafka(file: Path) -> None:
    given = KafkaSecurity(
        protocol="SASL_SSL", username="u", password_file=file, ca=file, certificate=file, key=file,
        key_password=SecretStr("k"),
    )  # fmt: skip
    assert security.kafka_options(given) == {
        "security.protocol": "SASL_SSL",
        "sasl.mechanism": "SCRAM-SHA-512",
        "sasl.username": "u",
        "sasl.password": "from-the-file",
        "ssl.ca.location": str(file),
        "ssl.certificate.location": str(file),
        "ssl.key.location": str(file),
        "ssl.key.password": "k",
        "ssl.endpoint.identification.algorithm": "https",
    }
    assert security.kafka_options(KafkaSecurity()) == {"security.protocol": "PLAINTEXT"}


def test_every_client_has_them() -> None:
    """And the user's own options win, as ever."""
    kafka = Kafka(bootstrap="b:1", security=USER, options={"sasl.mechanism": SecretStr("PLAIN")})
    config = clients.common(kafka)
    assert (config["sasl.username"], config["sasl.password"]) == ("u", "hunter22")
    assert config["sasl.mechanism"] == "PLAIN"


def test_options_of_the_registry(file: Path) -> None:
    login = RegistryLogin(username="u", password=SecretStr("a:b"), ca=file)
    assert security.registry_options(login) == {
        "basic.auth.user.info": "u:a:b",
        "ssl.ca.location": str(file),
    }


def test_keys_of_the_store_from_files(file: Path) -> None:
    store = Store(access_key=SecretStr("a"), secret_key_file=file)
    assert keys(store) == ("a", "from-the-file")
    with pytest.raises(ValidationError, match="ca is for TLS"):
        Store(ca=file)
    with pytest.raises(ValidationError, match="secret_key and secret_key_file are both set"):
        Store(secret_key=SecretStr("s"), secret_key_file=file)


def test_the_caption_servers_key_from_a_file(file: Path) -> None:
    """Read when the engine is made, where a missing one is told as a setting at fault."""
    from consumers.caption_engine import caption_engine

    given = Caption(base_url="http://127.0.0.1:1/v1", model="m", api_key_file=file)
    assert caption_engine(given) is not None
    file.unlink()
    with pytest.raises(SettingsError, match=str(file)):
        caption_engine(given)


def test_another_process_gets_them(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = Settings(kafka=Kafka(security={**USER, "ca": file}, registry={"ca": file}))
    for name, value in environment(settings).items():
        monkeypatch.setenv(name, value)
    assert Settings() == settings


def test_what_files_hold_is_kept_out_of_logs(file: Path) -> None:
    login = {"protocol": "SASL_SSL", "username": "u", "password_file": file}
    hide = Redact(secrets(Settings(kafka=Kafka(security=login))))
    assert "from-the-file" not in hide("sasl.password=x from-the-file")


def test_what_a_store_says_of_a_signature_is_no_secret() -> None:
    said = "SignatureDoesNotMatch: The request signature we calculated does not match"
    assert Redact(())(said) == said


def test_the_command_line_masks_them_and_says_what_is_wrong(file: Path) -> None:
    def run(**variables: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "densefusion", "settings"],
            check=False,
            env={k: v for k, v in os.environ.items() if not k.startswith("DENSEFUSION_")}
            | {f"DENSEFUSION_KAFKA__SECURITY__{name}": value for name, value in variables.items()},
            capture_output=True, text=True, timeout=60,
        )  # fmt: skip

    shown = run(PROTOCOL="SASL_SSL", USERNAME="u", PASSWORD="hunter22")
    assert "DENSEFUSION_KAFKA__SECURITY__PASSWORD=(set)" in shown.stdout
    assert "hunter22" not in shown.stdout + shown.stderr
    wrong = run(PROTOCOL="SASL_SSL", PASSWORD="hunter22", KEY=str(file))
    assert wrong.returncode == 2
    assert wrong.stderr.strip() == (
        "densefusion: DENSEFUSION_KAFKA__SECURITY: key without certificate: mutual TLS needs both; "
        "password without username"
    )
