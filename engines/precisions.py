"""A model's ONNX file in another precision: where it is, and how it is made and judged."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast

import cv2
import numpy as np

from engines.catalogue import Model, locate
from engines.catalogue.locate import fetched, made_folder
from engines.eight_bits import multiplies_exactly
from engines.errors import EngineError
from engines.manifest import Precision, sha256
from engines.recipes import made, recipe
from engines.session import Session

if TYPE_CHECKING:
    from engines.optimise import Agreement

log = logging.getLogger("densefusion.engines")

Asked = Literal["auto", "fp32", "fp16", "int8"]
_CALIBRATION_RUNS = 200  # at the most: more tell INT8 nothing new


def chosen(
    models: Sequence[Model], asked: Asked, *, provider: str = "cpu"
) -> tuple[list[Path], Precision]:
    """The files of models that go together, and their precision.

    `auto` is INT8 where that is `usual` for every one of them; the files are made if need be. Else
    it is FP32, and so it is where they cannot be made, which is logged: the same findings, later.

    Raises:
        EngineError: a file is not there.
    """
    if asked != "auto":
        return [located(model, asked, provider=provider) for model in models], asked
    if all(usual(model, provider) == "int8" for model in models):
        try:
            return [located(model, "int8") for model in models], "int8"
        except EngineError as error:
            log.warning("going on in fp32, which is slower", extra={
                "models": [model.name for model in models], "error": str(error)
            })  # fmt: skip
    return [located(model, provider=provider) for model in models], "fp32"


def usual(model: Model, provider: str = "cpu") -> Precision:
    """INT8 for a model with a recipe on a CPU that multiplies 8-bit numbers exactly, else FP32."""
    eight = provider == "cpu" and multiplies_exactly() and recipe(model) is not None
    return "int8" if eight else "fp32"


def located(
    model: Model,
    precision: Precision = "fp32",
    *,
    provider: str = "cpu",
    folder: Path | None = None,
) -> Path:
    """The ONNX file of a model in a precision.

    INT8 for the CPU is made by the model's recipe, if it has one and nobody has made it of
    photographs of their own.

    Raises:
        EngineError: it is not there, or was made from another file than the model's; the message
            says how to get it.
    """
    original = locate(model, folder)
    if precision == "fp32":
        return original
    path = optimised(model, precision, provider, folder)
    if not path.with_suffix(".json").is_file():
        fetched(model, folder)
    by_recipe = precision == "int8" and provider == "cpu" and recipe(model) is not None
    if by_recipe and not path.with_suffix(".json").is_file():
        return made(model)
    make = (
        f"run `densefusion engines build --model {model.name} --precision {precision} "
        f"--provider {provider}`"
    )
    try:
        record = json.loads(path.with_suffix(".json").read_text("utf-8"))
        of, file = record["of"], record["file"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise EngineError(f"{model.name}: no {precision} in {path}; {make}") from error
    if of != (found := sha256(original)):
        raise EngineError(f"{path} was made from another file: {of} -> {found}; {make}")
    if file != sha256(path):
        raise EngineError(f"{path} is broken: its SHA-256 is not what was made; {make}")
    return path


def optimised(
    model: Model, precision: Precision, provider: str = "cpu", folder: Path | None = None
) -> Path:
    """Where the model's file of another precision is, or would be.

    INT8 for a GPU is another file than for the CPU: TensorRT takes symmetric ranges alone.
    """
    name = f"{precision}-symmetric" if precision == "int8" and provider != "cpu" else precision
    return made_folder(model, folder) / f"{name}.onnx"


def make(
    model: Model,
    precision: Precision,
    photographs: Sequence[np.ndarray],
    *,
    provider: str = "cpu",
    folder: Path | None = None,
) -> Agreement:
    """Make the file, unless it disagrees with the FP32 one on the photographs.

    Args:
        photographs: H x W x 3, uint8, RGB; of the user's own kind. INT8's ranges are measured on
            them too, on just what the model is given for them in service.

    Raises:
        EngineError: it cannot be made, or is refused; the message has the figure.
    """
    from engines.optimise import Calibration, agreement, check, optimise

    original = locate(model, folder)
    reference = Session(original, threads=0)
    prepare = None if model.profile == "starter" else _Whole(model)
    calibration = None
    if precision == "int8":
        recorder = _Recorder(reference)
        kept = cast(Session, recorder)
        agreement(model.task, kept, kept, photographs, prepare=prepare)
        calibration = Calibration(recorder.feeds[::2][:_CALIBRATION_RUNS])  # it ran twice
    target = optimised(model, precision, provider, folder)
    fresh = target.with_name(f".new-{target.name}")
    try:
        known = recipe(model) if precision == "int8" else None
        optimise(
            original,
            precision,
            fresh,
            calibration=calibration,
            keep=known.keep if known else (),
            symmetric=provider != "cpu",
        )
        found = agreement(
            model.task, reference, Session(fresh, threads=0), photographs, prepare=prepare
        )
        check(f"{model.name} in {precision}", found)
        record = {"of": sha256(original), "file": sha256(fresh), "agreement": asdict(found)}
        fresh.replace(target)
        target.with_suffix(".json").write_text(json.dumps(record, indent=2) + "\n", "utf-8")
    finally:
        fresh.unlink(missing_ok=True)
    return found


class _Recorder:
    """A session that keeps what it is given."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self.feeds: list[Mapping[str, np.ndarray]] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._session, name)

    def run(self, feeds: Mapping[str, np.ndarray]) -> list[np.ndarray]:
        self.feeds.append({name: np.array(array) for name, array in feeds.items()})
        return self._session.run(feeds)


class _Whole:
    """A photograph, squeezed whole into the one picture that a model takes."""

    def __init__(self, model: Model) -> None:
        port, *others = model.inputs
        shape = port.shape[1:]
        if others or port.dtype != "uint8" or not all(isinstance(size, int) for size in shape):
            raise EngineError(
                f"{model.name} takes {', '.join(map(str, model.inputs))}: there is no measure of "
                "its agreement here"
            )
        self._name = port.name
        self._size = (int(shape[1]), int(shape[0]))

    def __call__(self, photograph: np.ndarray) -> Mapping[str, np.ndarray]:
        small = cv2.resize(photograph, self._size, interpolation=cv2.INTER_AREA)
        return {self._name: np.asarray(small, np.uint8)[None]}
