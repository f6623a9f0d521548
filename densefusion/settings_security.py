"""Settings of who we are to the servers, and how we know that they are who they say.

A secret can be given as it is, or as a file that holds it (Kubernetes and compose mount secrets
so); a setting named ``*_file`` is such a file, and what it holds is kept out of logs too.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, Field, SecretStr, model_validator


def _blank(value: object) -> object:
    return None if value == "" else value


# Templates of deployments set variables to nothing.
File = Annotated[Path | None, BeforeValidator(_blank)]


def secret(value: SecretStr, file: Path | None) -> str:
    """The secret: what the file holds, without the line's end, if there is a file.

    Raises:
        OSError: it cannot be read.
    """
    return value.get_secret_value() if file is None else file.read_text("utf-8").rstrip("\r\n")


def unreadable(**files: Path | None) -> Iterator[str]:
    """What is wrong with the files that settings name, a sentence each."""
    for name, file in files.items():
        if file is None:
            continue
        if not file.is_file():
            yield f"{name}: there is no file {file}"
        elif not os.access(file, os.R_OK):
            yield f"{name}: {file} cannot be read by this user"
        elif name.endswith("_file") and not file.read_text("utf-8", "replace").strip():
            yield f"{name}: {file} is empty"


def twice(**pairs: tuple[SecretStr, Path | None]) -> Iterator[str]:
    """Secrets that are given both ways."""
    for name, (value, file) in pairs.items():
        if value.get_secret_value() and file is not None:
            yield f"{name} and {name}_file are both set: keep one"


class Login(BaseModel):
    """A user's name and password, and TLS."""

    username: Annotated[str | None, BeforeValidator(_blank)] = Field(
        None, description="User to log in as."
    )
    password: SecretStr = Field(SecretStr(""), description="Its password,")
    password_file: File = Field(None, description="or a file that holds it.")
    ca: File = Field(
        None,
        description="PEM file of the CA that signed the server's certificate. Without it: those "
        "that the system trusts.",
    )
    certificate: File = Field(
        None, description="PEM file of our own certificate and its chain (mutual TLS),"
    )
    key: File = Field(None, description="and of its private key.")
    key_password: SecretStr = Field(SecretStr(""), description="Where the key is encrypted,")
    key_password_file: File = Field(None, description="or a file that holds it.")

    @property
    def has_password(self) -> bool:
        return bool(self.password.get_secret_value()) or self.password_file is not None

    @model_validator(mode="after")
    def _fits(self) -> Login:
        if faults := [*self._faults()]:
            raise ValueError("; ".join(faults))
        return self

    def _faults(self) -> Iterator[str]:
        yield from unreadable(
            ca=self.ca,
            certificate=self.certificate,
            key=self.key,
            password_file=self.password_file,
            key_password_file=self.key_password_file,
        )
        yield from twice(
            password=(self.password, self.password_file),
            key_password=(self.key_password, self.key_password_file),
        )
        if (self.certificate is None) != (self.key is None):
            there, missing = ("key", "certificate") if self.key else ("certificate", "key")
            yield f"{there} without {missing}: mutual TLS needs both"
        if (self.username is None) == self.has_password:
            yield "username without password" if self.username else "password without username"


class KafkaSecurity(Login):
    """How to log in to the brokers."""

    protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = Field(
        "PLAINTEXT", description="SSL: TLS; SASL_: with username and password."
    )
    mechanism: Literal["SCRAM-SHA-512", "SCRAM-SHA-256", "PLAIN"] = Field(
        "SCRAM-SHA-512", description="How the password is proved (SASL)."
    )

    @property
    def tls(self) -> bool:
        return self.protocol.endswith("SSL")

    @property
    def sasl(self) -> bool:
        return self.protocol.startswith("SASL")

    def _faults(self) -> Iterator[str]:
        yield from super()._faults()
        if self.sasl and self.username is None and not self.has_password:
            yield f"protocol {self.protocol} ({self.mechanism}) needs username and password"
        if self.username is not None and not self.sasl:
            yield f"username is set, but protocol {self.protocol} asks for none: SASL_SSL does"
        if not self.tls and (self.ca or self.certificate or self.key):
            yield f"ca, certificate and key are for TLS, but protocol is {self.protocol}"


class RegistryLogin(Login):
    """How to log in to the Schema Registry (HTTP basic, or a certificate)."""
