"""Settings of the object store."""

from __future__ import annotations

from pydantic import BaseModel, Field, SecretStr, model_validator

from densefusion.settings_security import File, twice, unreadable


class Store(BaseModel):
    """The object store (S3)."""

    endpoint: str | None = Field(
        None, description="host:port of the S3 server. Without it: the embedded stack's."
    )
    secure: bool = Field(False, description="Use TLS.")
    ca: File = Field(
        None,
        description="PEM file of the CA that signed the store's certificate. Without it: those "
        "that the system trusts.",
    )
    bucket: str = Field("densefusion", description="Bucket for images and dataset.")
    region: str = Field("us-east-1", description="Region to sign for.")
    access_key: SecretStr = Field(SecretStr(""), description="Else AWS_ACCESS_KEY_ID.")
    access_key_file: File = Field(None, description="File that holds it.")
    secret_key: SecretStr = Field(SecretStr(""), description="Else AWS_SECRET_ACCESS_KEY.")
    secret_key_file: File = Field(None, description="File that holds it.")
    timeout: float = Field(30, gt=0, description="Seconds for one request.")
    retry_for: float = Field(180, gt=0, description="Seconds to retry before the worker stops.")
    connections: int = Field(16, ge=1, le=256, description="Requests at the same time, a worker.")

    @model_validator(mode="after")
    def _fits(self) -> Store:
        keys = {"access_key_file": self.access_key_file, "secret_key_file": self.secret_key_file}
        faults = [
            *unreadable(ca=self.ca, **keys),
            *twice(
                access_key=(self.access_key, self.access_key_file),
                secret_key=(self.secret_key, self.secret_key_file),
            ),
        ]
        if "/" in (self.endpoint or ""):
            faults.append("endpoint is host:port, without http:// (secure says whether TLS)")
        if self.ca is not None and not self.secure:
            faults.append("ca is for TLS, but secure is false")
        if faults:
            raise ValueError("; ".join(faults))
        return self
