"""Settings: from the environment and back, documented, and with their secrets kept."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis
from hypothesis import strategies as st
from pydantic import BaseModel, SecretStr, ValidationError

from densefusion.cli.settings import settings as print_settings
from densefusion.settings import (
    Caption,
    Dataset,
    Experts,
    Fetch,
    Kafka,
    Settings,
    Store,
    environment,
)


def sections(within: BaseModel, prefix: str = "") -> dict[str, type[BaseModel]]:
    """The parts of the settings, and theirs, by their names in variables."""
    found: dict[str, type[BaseModel]] = {}
    for name in type(within).model_fields:
        if isinstance(part := getattr(within, name), BaseModel):
            found |= {prefix + name: type(part), **sections(part, f"{prefix}{name}__")}
    return found


SECTIONS = sections(Settings(_env_file=None))


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No settings of whoever runs the tests."""
    monkeypatch.chdir(tmp_path)
    for name in os.environ:
        if name.startswith("DENSEFUSION_"):
            monkeypatch.delenv(name)


def loaded_from(variables: dict[str, str]) -> Settings:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in variables.items():
            patch.setenv(name, value)
        return Settings()


def test_environment_of_the_defaults_gives_the_defaults() -> None:
    assert loaded_from(environment(Settings())) == Settings()


# Environment variables hold no NUL, and a list's items are set apart by commas.
_text = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=20)
_name = st.text(st.characters(categories=["L", "N"], include_characters="-_.:"), min_size=1)


@given(
    secret=_text,
    bootstrap=st.none() | _text.filter(bool),
    options=st.dictionaries(_text, _text, max_size=3),
    roster=st.lists(_name, max_size=4),
    hosts=st.lists(_name, max_size=4),
    price=st.none() | st.floats(0, 1e9),
    seconds=st.floats(0.001, 1e9),
    fallback=st.booleans(),
)
@hypothesis(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_environment_round_trips(
    secret: str,
    bootstrap: str | None,
    options: dict[str, str],
    roster: list[str],
    hosts: list[str],
    price: float | None,
    seconds: float,
    fallback: bool,
) -> None:
    settings = Settings(
        kafka=Kafka(bootstrap=bootstrap, options=options),
        store=Store(secret_key=SecretStr(secret)),
        experts=Experts(roster=roster, allow_fallback=fallback),
        fetch=Fetch(allow_hosts=hosts),
        caption=Caption(price_in=price, api_key=SecretStr(secret)),
        dataset=Dataset(flush_interval=seconds),
        data_dir=Path("somewhere/else"),
        log={"level": "debug"},
    )
    assert loaded_from(environment(settings)) == settings


def test_environment_overrides_what_another_process_inherits() -> None:
    """Also where a setting is back at its default: the worker's environment has it all."""
    variables = environment(Settings())
    for name, kind in SECTIONS.items():
        for field, info in kind.model_fields.items():
            if info.default is not None and not isinstance(info.default, SecretStr | BaseModel):
                assert f"DENSEFUSION_{name}__{field}".upper() in variables


@pytest.mark.parametrize("field", ["access_key", "secret_key"])
def test_secrets_are_not_shown(field: str) -> None:
    settings = Settings(
        store=Store(**{field: SecretStr("hunter2")}), caption=Caption(api_key=SecretStr("hunter2"))
    )
    for shown in (repr(settings), str(settings), repr(settings.store), settings.model_dump_json()):
        assert "hunter2" not in shown
    assert environment(settings)[f"DENSEFUSION_STORE__{field.upper()}"] == "hunter2"


def test_every_setting_says_what_it_is() -> None:
    bare = [
        f"{name}.{field}"
        for name, kind in SECTIONS.items()
        for field, info in kind.model_fields.items()
        if not info.description and f"{name}__{field}" not in SECTIONS
    ]
    bare += [
        name
        for name, info in Settings.model_fields.items()
        if name not in SECTIONS and not info.description
    ]
    assert bare == []
    assert all(kind.__doc__ for kind in SECTIONS.values())


def test_lists_are_comma_separated() -> None:
    settings = loaded_from(
        {
            "DENSEFUSION_EXPERTS__ROSTER": " ocr, tagging ,,",
            "DENSEFUSION_FETCH__ALLOW_HOSTS": "localhost:8080",
        }
    )
    assert settings.experts.roster == ["ocr", "tagging"]
    assert settings.fetch.allow_hosts == ["localhost:8080"]
    assert loaded_from({"DENSEFUSION_EXPERTS__ROSTER": ""}).experts.roster == []


def test_env_file(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("DENSEFUSION_KAFKA__PARTITIONS=7\nSOMETHING=else\n")
    assert Settings().kafka.partitions == 7
    assert loaded_from({"DENSEFUSION_KAFKA__PARTITIONS": "9"}).kafka.partitions == 9


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("KAFKA__PARTITIONS", "0"),
        ("KAFKA__PARTITIONS", "many"),
        ("KAFKA__OPTIONS", "no json"),
        ("EXPERTS__PROVIDER", "tpu"),
        ("FETCH__TOTAL_TIMEOUT", "-1"),
        ("LOG__LEVEL", "loud"),
        ("JOIN__WINDOW", "0"),
    ],
)
def test_wrong_values_are_refused(variable: str, value: str) -> None:
    with pytest.raises((ValidationError, ValueError)) as refused:
        loaded_from({f"DENSEFUSION_{variable}": value})
    assert variable.partition("__")[0].lower() in str(refused.value).lower()


def test_sections_are_not_shared_between_settings() -> None:
    one: Any = Settings()
    one.experts.roster.append("extra")
    one.kafka.options["a"] = "b"
    assert "extra" not in Settings().experts.roster
    assert Settings().kafka.options == {}


def test_no_secret_is_printed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    hidden = {
        "CAPTION__API_KEY": "hunter1",
        "CAPTION__BASE_URL": "http://ann:hunter2@models/v1",
        "KAFKA__SCHEMA_REGISTRY": "https://ann:hunter3@registry",
        "KAFKA__OPTIONS": '{"sasl.password": "hunter4"}',
        "STORE__SECRET_KEY": "hunter5",
    }
    for name, value in hidden.items():
        monkeypatch.setenv(f"DENSEFUSION_{name}", value)
    print_settings()
    printed = capsys.readouterr().out
    assert "DENSEFUSION_CAPTION__BASE_URL=http://***@models/v1" in printed
    assert "hunter" not in printed
