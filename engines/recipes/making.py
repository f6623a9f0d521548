"""A model in 8 bits for the CPU, made by its recipe: once, into the engine cache."""

from __future__ import annotations

import json
import logging
import platform
import time
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import onnxruntime as ort

from engines.cache import Cache, default_cache
from engines.catalogue import Model, locate
from engines.errors import EngineError
from engines.manifest import NONE, Manifest, sha256
from engines.recipes.ranges import Recipe, recipe, samples
from engines.session import Session

log = logging.getLogger("densefusion.engines")

FILE = "model.onnx"
AGREEMENT = "agreement.json"


def made(model: Model, *, cache: Cache | None = None) -> Path:
    """The 8-bit file, from the cache or made now, which takes some seconds.

    Several processes may ask at the same time: one makes it, the others wait for it. It is kept
    only if it agrees with the FP32 file on the samples.

    Args:
        cache: None: `engines.cache.default_cache`.

    Raises:
        EngineError: there is no recipe, or it is one for other weights; the cache cannot be
            written; it cannot be made, or is refused: the message has the figure.
    """
    known = recipe(model)
    if known is None:
        raise EngineError(f"{model.name}: no recipe for 8 bits")
    original = locate(model)
    if (found := sha256(original)) != known.of:
        raise EngineError(
            f"{model.name}: its 8-bit ranges were measured on other weights: {known.of} -> {found}"
        )
    cache = cache or default_cache()

    def build(folder: Path) -> None:
        _make(model, original, known, folder)

    return cache.entry(f"{model.name}-cpu-int8", _wanted(known), build) / FILE


def _wanted(known: Recipe) -> Manifest:
    try:
        onnx = version("onnx")
    except PackageNotFoundError:
        onnx = NONE
    return Manifest(
        model=known.of,
        provider="cpu",
        precision="int8",
        shapes=NONE,
        options=f"onnx={onnx},recipe={known.digest}",
        onnxruntime=ort.__version__,
        tensorrt=NONE,
        cuda=NONE,
        hardware=platform.machine(),
    )


def _make(model: Model, original: Path, known: Recipe, folder: Path) -> None:
    from engines.optimise import Ranges, agreement, check, optimise

    started = time.perf_counter()
    path = optimise(
        original, "int8", folder / FILE, calibration=Ranges(known.ranges), keep=known.keep
    )
    converted = time.perf_counter()
    plain, eight = (Session(each, threads=0) for each in (original, path))
    found = agreement(model.task, plain, eight, samples())
    check(f"{model.name} in int8", found)
    (folder / AGREEMENT).write_text(json.dumps(asdict(found), indent=2) + "\n", "utf-8")
    log.info("model made in int8", extra={
        "model": model.name, "seconds": round(converted - started, 1),
        "compare_seconds": round(time.perf_counter() - converted, 1), "agreement": asdict(found),
    })  # fmt: skip
