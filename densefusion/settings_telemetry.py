"""Settings of what a process says of itself: its log, its traces."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, Field


class Log(BaseModel):
    """What is logged, and how."""

    level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="What is logged at the least; debug names every reject."
    )
    format: Literal["auto", "json", "text"] = Field(
        "auto", description="auto: text on a terminal, a JSON object a line elsewhere."
    )
    summary_seconds: float = Field(
        30,
        ge=0,
        description="Seconds between two lines that say what was committed, and between two that "
        "would say the same.",
    )


class Tracing(BaseModel):
    """OpenTelemetry traces, a URL's way from list to dataset (extra `tracing`). Where they go:
    OTEL_EXPORTER_OTLP_ENDPOINT and OpenTelemetry's other variables."""

    enabled: bool = Field(False, description="Trace.")
    ratio: float = Field(
        0.01,
        ge=0,
        le=1,
        description="Share of URLs that are traced, where their header `traceparent` does not say.",
    )
