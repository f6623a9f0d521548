"""Engines made ahead of time: in a container's build, in an init container."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from engines.cache import Cache
from engines.catalogue import Model
from engines.manifest import Precision
from engines.precisions import located
from engines.session import Provider, Session


@dataclass(frozen=True, slots=True)
class Built:
    """One engine that is ready.

    Attributes:
        nodes: of the model, by provider.
        seconds: it took, from the file on disk to an engine that has run.
    """

    model: str
    provider: str
    precision: str
    path: Path
    nodes: dict[str, int]
    seconds: float


def build(
    model: Model,
    *,
    provider: Provider,
    precision: Precision = "fp32",
    cache: Cache | None = None,
    folder: Path | None = None,
    device: int = 0,
) -> Built:
    """Make the engine, or find it made, and run it at the bounds of every axis.

    On the CPU and on CUDA there is nothing to keep: onnxruntime readies a starter model in 15 to
    45 ms. It is loaded and run all the same, so that what fails fails here.

    Raises:
        EngineError: the file is missing, the provider cannot be had, or the engine does not run.
    """
    started = time.perf_counter()
    path = located(model, precision, provider=provider, folder=folder)
    session = Session(
        path,
        provider=provider,
        threads=0,
        contract=model,
        precision=precision,
        cache=cache,
        device=device,
    )
    for which in ("min", "max") if provider != "cpu" else ("min",):
        session.run({p.name: np.zeros(p.at(which), p.dtype) for p in model.inputs})
    return Built(
        model=model.name,
        provider=session.provider,
        precision=precision,
        path=path,
        nodes=dict(session.placement.counts),
        seconds=time.perf_counter() - started,
    )
