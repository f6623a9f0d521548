"""Every setting, in one place: environment variables ``DENSEFUSION_*``, or a ``.env`` file.

Nested names use two underscores: ``DENSEFUSION_FETCH__MIN_SHORT_EDGE=448``.
``densefusion settings`` prints them all with their values (secrets hidden) and their meaning.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from densefusion.settings_fetch import Fetch as Fetch  # noqa: PLC0414 - for everybody else
from densefusion.settings_security import KafkaSecurity, RegistryLogin
from densefusion.settings_store import Store as Store  # noqa: PLC0414
from densefusion.settings_telemetry import Log, Tracing


class Kafka(BaseModel):
    """The brokers, and how workers use them."""

    bootstrap: str | None = Field(
        None, description="Brokers, host:port, comma separated. Without it: the embedded stack."
    )
    partitions: int = Field(4, ge=1, le=10_000, description="Partitions of every topic made here.")
    replication: int = Field(1, ge=1, description="Replicas of every topic made here.")
    prefix: str = Field("", description="Put before every topic and group name.")
    session_timeout_ms: int = Field(
        6000, ge=1000, description="A worker silent for so long loses its partitions."
    )
    group_protocol: Literal["classic", "consumer"] = Field(
        "classic", description="consumer: the brokers assign partitions (KIP-848; Kafka 4.0 on)."
    )
    static_membership: bool = Field(
        False,
        description="A worker keeps its partitions while it restarts (KIP-345); when one leaves "
        "for good they wait for the session's time-out.",
    )
    retry_for: float = Field(
        180, gt=0, description="Seconds to wait for brokers that are away before a worker stops."
    )
    options: dict[str, SecretStr] = Field(
        default_factory=dict, description="Further librdkafka options, as JSON; they win."
    )
    volatile: bool = Field(
        False, description="The brokers forget everything when they stop (the embedded one may)."
    )
    schema_registry: str | None = Field(
        None, description="URL of a Schema Registry; with it records carry Confluent's framing."
    )
    security: KafkaSecurity = KafkaSecurity()
    registry: RegistryLogin = RegistryLogin()


class Worker(BaseModel):
    """The loop that every stage runs in."""

    in_flight: int = Field(64, ge=1, description="Records in work at the same time.")
    window: int = Field(
        2000, ge=1, description="Unfinished and finished but uncommitted records, a partition."
    )
    commit_interval: float = Field(
        0.5, gt=0, description="Seconds between transactions of a busy stream."
    )
    commit_bytes: int = Field(8 << 20, ge=1 << 10, description="Or so many bytes of output.")
    offset_transactions: bool = Field(
        True,
        description="Commit offsets in a transaction even where there is no output. Off for the "
        "embedded broker, which loses such transactions.",
    )
    shutdown_grace: float = Field(7, gt=0, description="Seconds for work in hand after SIGTERM.")
    revoke_grace: float = Field(
        5, ge=0, le=20, description="Seconds for work in hand on partitions that are taken away."
    )
    breaker_share: float = Field(
        0.5,
        gt=0,
        le=1,
        description="A worker stops when more than this share of its last records "
        "became dead letters,",
    )
    breaker_window: int = Field(200, ge=10, description="of so many.")
    stuck_after: float = Field(
        90, ge=60, description="Seconds without a poll, after which /healthz says so."
    )
    instance: str | None = Field(
        None,
        description="Names this worker slot: stable across restarts, unique in its group. "
        "Without it: the host's name and the lowest number that is free there.",
    )
    metrics_port: int | None = Field(None, description="Serve /metrics, /healthz and /readyz here.")
    metrics_host: str = Field("0.0.0.0", description="Address to serve them at.")


class Experts(BaseModel):
    """Which experts there are, and how they run."""

    roster: Annotated[list[str], NoDecode] = Field(
        default=["detection", "tagging", "ocr", "knowledge"],
        description="Experts that fusion waits for, comma separated.",
    )
    profile: Literal["starter", "full"] = Field(
        "starter", description="Which models the experts run: those that come along, or large ones."
    )
    provider: Literal["cpu", "cuda", "tensorrt", "tensorrt-direct"] = Field(
        "cpu",
        description="Execution provider; tensorrt-direct: TensorRT without onnxruntime, with CUDA "
        "graphs, for models that take pictures of one size (not ocr, not grounding).",
    )
    allow_fallback: bool = Field(
        False, description="Run on the CPU where the provider cannot be had; else that is an error."
    )
    precision: Literal["auto", "fp32", "fp16", "int8"] = Field(
        "auto",
        description="Of the models' arithmetic. auto: int8 on the CPU for models that come with a "
        "recipe for it, made at the first start; else fp32. fp16, and int8 for the others, are "
        "built first.",
    )
    catalogue: Path | None = Field(
        None, description="TOML file of further models, or of others in place of ours."
    )
    models: Path | None = Field(
        None, description="Folder of models from a hub. Default: in the user's cache."
    )
    engines: Path | None = Field(
        None,
        description="Folder of engines: TensorRT's, and the CPU's 8-bit weights. Default: in the "
        "user's cache.",
    )
    engine_mismatch: Literal["rebuild", "refuse"] = Field(
        "rebuild",
        description="Where no built engine fits model, shapes, versions and GPU: build one, which "
        "takes minutes, or stop and say which field differs.",
    )
    share_engines: bool = Field(
        False,
        description="Take engines, and what was made of models (exports, other precisions), from "
        "the object store, and put there what is built. Whoever may write to the bucket then "
        "decides what the workers run.",
    )
    threads: int = Field(0, ge=0, description="Inferences at the same time; 0: one a core.")
    max_batch: int = Field(8, ge=1, le=256, description="Images in one batch.")
    max_wait: float = Field(
        0,
        ge=0,
        le=10,
        description="Seconds that a free GPU waits for a batch to fill; worth it only where "
        "several experts share it.",
    )
    decoder: Literal["cpu", "nvjpeg"] = Field(
        "cpu", description="What decodes JPEGs; nvjpeg: the GPU, by the package nvidia-nvimgcodec."
    )
    picture_memory: int = Field(
        512 << 20, ge=1 << 20, description="Bytes of pictures in memory, a worker."
    )
    ocr_max_side: int = Field(960, ge=64, description="OCR reads at this longest side, in pixels.")
    vocabulary: Path | None = Field(
        None,
        description="Tags that the zero-shot tagger chooses from, a line each; default: ImageNet's "
        "and COCO's classes.",
    )
    tag_score: float = Field(0.1, ge=0, le=1, description="The zero-shot tagger drops tags below.")
    grounding_score: float = Field(0.2, ge=0, le=1, description="Grounding drops boxes below.")
    grounding_queries: int = Field(
        32, ge=1, le=64, description="Tags that grounding looks for, the best."
    )

    @field_validator("roster", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        return (
            [h.strip() for h in value.split(",") if h.strip()] if isinstance(value, str) else value
        )


class Join(BaseModel):
    """Fusion's join."""

    window: int = Field(2000, ge=1, description="Images waiting, a partition.")
    deadline: float = Field(
        300, gt=0, description="Seconds of silence after which an expert counts as dead."
    )
    late: Literal["drop", "recaption"] = Field(
        "drop",
        description="What a prior does whose image left without it: it is dropped, or the image is "
        "captioned again, as a new version.",
    )


class Caption(BaseModel):
    """The caption engine."""

    engine: Literal["compose", "openai"] | None = Field(
        None, description="Default: openai where a base URL is set, else compose."
    )
    base_url: str | None = Field(
        None, description="OpenAI-compatible server, such as http://host:8000/v1."
    )
    model: str | None = Field(None, description="Model to ask for.")
    api_key: SecretStr = Field(SecretStr(""), description="Else OPENAI_API_KEY.")
    api_key_file: Path | None = Field(None, description="File that holds it.")
    max_tokens: int = Field(512, ge=1, description="Of one caption.")
    temperature: float = Field(0.2, ge=0, le=2, description="Of the model's sampling.")
    concurrency: int = Field(32, ge=1, description="Requests at the same time.")
    timeout: float = Field(120, gt=0, description="Seconds for one request.")
    attempts: int = Field(5, ge=1, le=20, description="Tries before the worker stops.")
    image_side: int = Field(1024, ge=64, description="Longest side of the picture sent along.")
    price_in: float | None = Field(None, ge=0, description="US dollars for a million tokens in.")
    price_out: float | None = Field(None, ge=0, description="US dollars for a million tokens out.")


class Dataset(BaseModel):
    """The dataset in the bucket."""

    shard_offsets: int = Field(1000, ge=1, description="Offsets of the topic images in one shard.")
    flush_interval: float = Field(1, gt=0, description="Seconds between rewrites of an open shard.")


class Settings(BaseSettings):
    """All of them."""

    model_config = SettingsConfigDict(
        env_prefix="DENSEFUSION_", env_nested_delimiter="__", env_file=".env", extra="ignore"
    )

    kafka: Kafka = Kafka()
    store: Store = Store()
    worker: Worker = Worker()
    fetch: Fetch = Fetch()
    experts: Experts = Experts()
    join: Join = Join()
    caption: Caption = Caption()
    dataset: Dataset = Dataset()
    log: Log = Log()
    tracing: Tracing = Tracing()
    data_dir: Path = Field(
        Path("densefusion-data"), description="Where the embedded stack keeps its data and logs."
    )


def environment(settings: Settings) -> dict[str, str]:
    """The environment variables that make another process load these settings, secrets included."""
    variables: dict[str, str] = {}
    for name in type(settings).model_fields:
        _export(variables, name, getattr(settings, name))
    return variables


def _export(variables: dict[str, str], name: str, value: object) -> None:
    if isinstance(value, BaseModel):
        for field in type(value).model_fields:
            _export(variables, f"{name}__{field}", getattr(value, field))
        return
    if isinstance(value, SecretStr):
        value = value.get_secret_value() or None
    if value is None:
        return
    text = ",".join(value) if isinstance(value, list) else str(value)
    if isinstance(value, dict):
        text = json.dumps({key: secret.get_secret_value() for key, secret in value.items()})
    variables[f"DENSEFUSION_{name.upper()}"] = text
