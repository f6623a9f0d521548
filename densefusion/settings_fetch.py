"""Settings of fetching: how much, how long, how large, from where."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, Field, field_validator
from pydantic_settings import NoDecode


class Fetch(BaseModel):
    """HTTP fetching."""

    concurrency: int = Field(64, ge=1, description="Requests at the same time, a worker.")
    per_host: int = Field(8, ge=1, description="Of them, to one host.")
    connect_timeout: float = Field(5, gt=0, description="Seconds.")
    read_timeout: float = Field(10, gt=0, description="Seconds without a byte.")
    total_timeout: float = Field(30, gt=0, description="Seconds for one try, redirects included.")
    max_bytes: int = Field(32 << 20, ge=1024, description="A longer body is a reject.")
    max_pixels: int = Field(64_000_000, ge=1, description="A larger picture is a reject.")
    memory: int = Field(
        256 << 20,
        ge=1 << 20,
        description="Bytes of bodies over 1 MiB held at the same time, a worker; as many again of "
        "pixels while they are looked at. What is larger is taken alone.",
    )
    max_redirects: int = Field(5, ge=0, description="Followed at the most.")
    attempts: int = Field(3, ge=1, le=10, description="Tries where it may pass.")
    backoff: float = Field(0.5, gt=0, description="Seconds before the second try, then doubling.")
    min_short_edge: int = Field(448, ge=1, description="Pixels; a smaller picture is a reject.")
    allow_hosts: Annotated[list[str], NoDecode] = Field(
        default_factory=list,
        description="Hosts (or host:port) that may be at a private address, comma separated.",
    )
    user_agent: str = Field("densefusion/0.1", description="Sent with every request.")
    respect_opt_out: bool = Field(
        True,
        description="An image whose server asks, by X-Robots-Tag, for noai, noimageai, noindex or "
        "noimageindex is a reject.",
    )

    @field_validator("allow_hosts", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        return (
            [h.strip() for h in value.split(",") if h.strip()] if isinstance(value, str) else value
        )
