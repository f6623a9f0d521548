"""TLS on every listener, users with passwords or certificates, and ACLs, for the local cluster.

What a production cluster has, in small: nothing is served in plain text, clients log in by
SASL/SCRAM (or PLAIN) over TLS or with a certificate of their own (mutual TLS), the brokers and
controllers among themselves with theirs, and whoever has no ACL may do nothing. The certificates
come from a CA made on the spot (`trustme`, which is for tests and machines of one's own).
"""

from __future__ import annotations

import json
import os
import secrets
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from trustme import CA, LeafCert

ADMIN = "admin"  # who may do everything
_HOSTS = ("localhost", "127.0.0.1")
_PLAIN = "org.apache.kafka.common.security.plain.PlainLoginModule"
_SCRAM = "org.apache.kafka.common.security.scram.ScramLoginModule"


class Secured:
    """The certificates, passwords and broker settings of one cluster, kept in `folder`.

    A cluster that is started again on its folder has the same ones.

    Args:
        folder: for the files, readable to this user alone.
        users: further users beside `ADMIN`, each with a password and a certificate.

    Attributes:
        ca: file with the CA's certificate, which clients trust.
        passwords: of each user, for SCRAM and PLAIN alike.
    """

    def __init__(self, folder: Path, users: tuple[str, ...] = ("densefusion",)) -> None:
        self.folder = folder.absolute()
        self._users = (ADMIN, *users)
        self.ca = self.folder / "ca.pem"
        self.passwords: dict[str, str] = {}

    def prepare(self) -> None:
        """Make what is not there yet."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        kept = self.folder / "passwords.json"
        if not kept.exists():
            authority = CA(organization_name="DenseFusion local cluster")
            self.ca.write_bytes(authority.cert_pem.bytes())
            write_pair(self.folder, "broker", authority.issue_cert(*_HOSTS, common_name="broker"))
            for user in self._users:
                # A name that no host has: it is not to be taken for a server.
                certificate = authority.issue_cert(f"{user}@client.invalid", common_name=user)
                write_pair(self.folder, user, certificate)
            words = {user: secrets.token_urlsafe(18) for user in self._users}
            for user, word in words.items():
                write_private(self.password_file(user), word.encode())
            write_private(kept, json.dumps(words).encode())
        self.passwords = json.loads(kept.read_text("utf-8"))

    def certificate(self, user: str) -> tuple[Path, Path]:
        """A user's certificate and key, as files."""
        return self.folder / f"{user}.pem", self.folder / f"{user}.key"

    def password_file(self, user: str) -> Path:
        return self.folder / f"{user}.password"

    def options(self, user: str = ADMIN) -> dict[str, Any]:
        """What a client of librdkafka needs to log in as `user` with a password."""
        return {
            "security.protocol": "SASL_SSL",
            "sasl.mechanism": "SCRAM-SHA-512",
            "sasl.username": user,
            "sasl.password": self.passwords[user],
            "ssl.ca.location": str(self.ca),
        }

    def format_arguments(self) -> list[str]:
        """For ``kafka-storage format``: the SCRAM users are there before the first broker is."""
        return [
            argument
            for user, word in self.passwords.items()
            for argument in ("--add-scram", f"SCRAM-SHA-512=[name={user},password={word}]")
        ]

    def properties(self, *, sasl: int, mutual: int, controller: int) -> dict[str, str]:
        """A broker's properties; the arguments are the ports of its listeners."""
        ports = {"SASL": sasl, "MUTUAL": mutual}
        listeners = [f"{name}://127.0.0.1:{port}" for name, port in ports.items()]
        plain = " ".join(f'user_{name}="{word}"' for name, word in self.passwords.items())
        return {
            "listeners": ",".join([*listeners, f"CONTROLLER://127.0.0.1:{controller}"]),
            "advertised.listeners": ",".join(listeners),
            "inter.broker.listener.name": "MUTUAL",
            "listener.security.protocol.map": "CONTROLLER:SSL,SASL:SASL_SSL,MUTUAL:SSL",
            "ssl.keystore.type": "PEM",
            "ssl.keystore.location": str(self._keystore()),
            "ssl.truststore.type": "PEM",
            "ssl.truststore.location": str(self.ca),
            "listener.name.mutual.ssl.client.auth": "required",
            "listener.name.controller.ssl.client.auth": "required",
            # CN=alice becomes the principal User:alice, whichever way alice came in.
            "ssl.principal.mapping.rules": "RULE:^.*?CN=([^,]+).*$/$1/,DEFAULT",
            "sasl.enabled.mechanisms": "SCRAM-SHA-512,PLAIN",
            "listener.name.sasl.scram-sha-512.sasl.jaas.config": f"{_SCRAM} required;",
            "listener.name.sasl.plain.sasl.jaas.config": f"{_PLAIN} required {plain};",
            "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
            "super.users": f"User:broker;User:{ADMIN}",
        }

    def _keystore(self) -> Path:
        """The broker's key and certificate in one file, as Kafka's PEM key store has them."""
        store = self.folder / "broker.keystore.pem"
        certificate, key = self.certificate("broker")
        write_private(store, key.read_bytes() + certificate.read_bytes())
        return store


def write_pair(folder: Path, name: str, leaf: LeafCert, password: str | None = None) -> None:
    """Write ``NAME.pem`` (the certificate and its chain) and ``NAME.key`` (PKCS #8)."""
    key = load_pem_private_key(leaf.private_key_pem.bytes(), None)
    encryption = BestAvailableEncryption(password.encode()) if password else NoEncryption()
    chain = b"".join(each.bytes() for each in leaf.cert_chain_pems)
    (folder / f"{name}.pem").write_bytes(chain)
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption)
    write_private(folder / f"{name}.key", pem)


def write_private(file: Path, data: bytes) -> None:
    """For nobody else to read."""
    file.unlink(missing_ok=True)
    with os.fdopen(os.open(file, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "wb") as out:
        out.write(data)
