"""What the catalogue says of a model: where it comes from, what goes in, what comes out."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal, get_args

from engines.errors import EngineError

Profile = Literal["starter", "full"]
Task = Literal[
    "detection",
    "tagging",
    "ocr-detection",
    "ocr-recognition",
    "ocr-orientation",
    "embedding",
    "open-detection",
    "zero-shot-tagging",
    "text-embedding",
]
Dtype = Literal["uint8", "int32", "int64", "float16", "float32"]
Which = Literal["min", "opt", "max"]

BATCH = "n"  # the axis of the batch

_PORT = re.compile(r"(\w+)\[([\w, ]*)\]")


@dataclass(frozen=True, slots=True)
class Range:
    """Bounds of a dynamic axis, and the size that an engine is tuned for."""

    min: int
    opt: int
    max: int

    def __post_init__(self) -> None:
        if not 1 <= self.min <= self.opt <= self.max:
            raise EngineError(f"not 1 <= min <= opt <= max: {self.min}, {self.opt}, {self.max}")


@dataclass(frozen=True, slots=True)
class Port:
    """One input or output.

    Attributes:
        name: as in the ONNX file.
        shape: sizes; a name where the axis is dynamic.
        axes: bounds of the dynamic axes of an input; an output's follow from them.
    """

    name: str
    dtype: Dtype
    shape: tuple[int | str, ...]
    axes: Mapping[str, Range] = field(default_factory=dict)

    @classmethod
    def parse(cls, name: str, text: str, axes: Mapping[str, Range]) -> Port:
        """From ``"uint8[n, 300, 300, 3]"``. Raises `EngineError`."""
        match = _PORT.fullmatch(text)
        if match is None or match[1] not in get_args(Dtype):
            raise EngineError(f"{name}: {text!r} is no port, such as float32[n, 3, height, 64]")
        sizes = [each.strip() for each in match[2].split(",")]
        shape = tuple(int(each) if each.isdecimal() else each for each in sizes)
        own = {each: axes[each] for each in shape if isinstance(each, str) and each in axes}
        return cls(name, match[1], shape, own)  # type: ignore[arg-type]

    def at(self, which: Which) -> tuple[int, ...]:
        """The shape with every dynamic axis at its least, its usual or its greatest size.

        Raises:
            EngineError: an axis has no bounds (it is an output's own).
        """
        for size in self.shape:
            if isinstance(size, str) and size not in self.axes:
                raise EngineError(f"{self.name}: the axis {size} has no bounds")
        return tuple(
            getattr(self.axes[size], which) if isinstance(size, str) else size
            for size in self.shape
        )

    def __str__(self) -> str:
        return f"{self.dtype}[{', '.join(map(str, self.shape))}]"


@dataclass(frozen=True, slots=True)
class Bundled:
    """A file of this package. `path` is relative to ``engines/``."""

    path: str


@dataclass(frozen=True, slots=True)
class Package:
    """A file inside an installed Python package, which is not imported.

    Attributes:
        dist: what to install.
        file: path from the folder that packages lie in: ``rapidocr/models/x.onnx``.
    """

    dist: str
    file: str


@dataclass(frozen=True, slots=True)
class Folder:
    """A file of the user's own; ``~`` is their home."""

    path: str


@dataclass(frozen=True, slots=True)
class Hub:
    """Files of one revision of a hub's repository.

    Attributes:
        files: path in the repository to SHA-256, None where it is not known.
        revision: a commit or a tag, never a branch: it shall mean the same tomorrow.
        endpoint: files are at ``<endpoint>/<repo>/resolve/<revision>/<file>``; None: Hugging Face,
            or ``$HF_ENDPOINT``.
    """

    repo: str
    revision: str
    files: Mapping[str, str | None]
    endpoint: str | None = None


Source = Bundled | Package | Folder | Hub


@dataclass(frozen=True, slots=True)
class Model:
    """One entry of the catalogue.

    Attributes:
        name: unique in the catalogue, of letters, digits, dots and dashes.
        version: of the weights; a prior carries it.
        licence: SPDX expression of the weights' licence.
        sha256: of the ONNX file; None where it is made here by an export.
        prepare, finish: names of pre- and post-processing.
        export: name of the exporter that makes the ONNX file from the source's; None where the
            source is one.
        views: rows of the batch that one picture takes.
    """

    name: str
    profile: Profile
    task: Task
    version: str
    source: Source
    licence: str
    sha256: str | None
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    prepare: str
    finish: str
    export: str | None = None
    views: int = 1

    @property
    def batch_axis(self) -> str | None:
        """The axis of the batch: the first of the first input; None where that has one size."""
        first = self.inputs[0].shape[0]
        return first if isinstance(first, str) else None

    @property
    def buckets(self) -> tuple[int, ...]:
        """Batch sizes to tune for and to pad to: powers of two (of pictures), and the largest.

        None where another axis varies too: each of its sizes is a new shape anyhow.
        """
        bounds = {axis: size for port in self.inputs for axis, size in port.axes.items()}
        batch = bounds.pop(self.batch_axis or "", None)
        if batch is None or any(size.min != size.max for size in bounds.values()):
            return ()
        sizes = {batch.max}
        size = self.views
        while size < batch.max:
            sizes |= {size} if size >= batch.min else set()
            size *= 2
        return tuple(sorted(sizes))

    def serving(self, pictures: int, side: int = 0) -> Model:
        """The same model with bounds for batches of so many pictures, or the usual ones if these
        are wider. What is built ahead and what a worker opens go by this one rule.

        Args:
            side: the longest side of a picture, in pixels, for a model that takes several.
        """
        wanted = {BATCH: self.views * pictures}
        if self.task == "ocr-detection":
            wanted |= {"height": side, "width": side}
        axes = {axis: bounds for port in self.inputs for axis, bounds in port.axes.items()}
        wider = {
            axis: replace(axes[axis], max=most)
            for axis, most in wanted.items()
            if axis in axes and most > axes[axis].max
        }
        return self.bounded(**wider) if wider else self

    def bounded(self, **axes: Range) -> Model:
        """The same model with other bounds for these axes.

        Raises:
            EngineError: no input has such an axis.
        """
        known = {name for port in self.inputs for name in port.axes}
        if unknown := sorted(axes.keys() - known):
            raise EngineError(f"{self.name} has no axis {', '.join(unknown)}")
        ports = tuple(
            replace(port, axes={name: axes.get(name, old) for name, old in port.axes.items()})
            for port in self.inputs
        )
        return replace(self, inputs=ports)


def parse_source(entry: Mapping[str, Any]) -> Source:
    """From a table of one key and its detail. Raises `EngineError`."""
    match dict(entry):
        case {"bundled": str(path), **rest} if not rest:
            return Bundled(path)
        case {"package": str(dist), "file": str(file), **rest} if not rest:
            return Package(dist, file)
        case {"folder": str(path), **rest} if not rest:
            return Folder(path)
        case {"hub": str(repo), "revision": str(revision), "files": dict(files), **rest} if (
            rest.keys() <= {"endpoint"}
        ):
            hashes = {name: value or None for name, value in files.items()}
            return Hub(repo, revision, hashes, rest.get("endpoint"))
    raise EngineError(f"no source: {dict(entry)}")
