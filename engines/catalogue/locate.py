"""Where a model's files are on this machine."""

from __future__ import annotations

import os
from importlib.util import find_spec
from pathlib import Path, PurePosixPath
from typing import Protocol

from engines.catalogue.model import Bundled, Folder, Hub, Model, Package
from engines.errors import EngineError

_ENGINES = Path(__file__).parent.parent
ONNX = "model.onnx"  # what an export writes


class Remote(Protocol):
    """Where machines share what they made of models."""

    def fetch(self, model: Model, folder: Path) -> bool:
        """Put there what is shared of `model` and is not there yet; False: nothing is shared."""


_configured: list[Path] = []
_remote: list[Remote] = []


def models_folder() -> Path:
    """Where models from a hub are kept: as configured, or in the user's cache."""
    if _configured:
        return _configured[0]
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache", "densefusion", "models")


def set_models_folder(folder: Path | None) -> None:
    """For this process; None: the user's cache again."""
    _configured[:] = [] if folder is None else [folder]


def set_remote(remote: Remote | None) -> None:
    """For this process: what is asked for files that are not here; None: nobody."""
    _remote[:] = [] if remote is None else [remote]


def made_folder(model: Model, folder: Path | None = None) -> Path:
    """Where what is made of a model lies: its export, with card and tokenizer; other precisions."""
    return (folder or models_folder()) / model.name / model.version


def fetched(model: Model, folder: Path | None = None) -> bool:
    """Whether the remote had something of the model; it is in `made_folder` then."""
    return any(remote.fetch(model, made_folder(model, folder)) for remote in _remote)


def source_folder(source: Hub, folder: Path | None = None) -> Path:
    """Where the files of a hub's revision lie, for all the models made from them."""
    return (folder or models_folder()) / source.repo.replace("/", "--") / source.revision


def locate(model: Model, folder: Path | None = None) -> Path:
    """The model's ONNX file.

    Args:
        folder: where models from a hub are kept; None: `models_folder`.

    Raises:
        EngineError: it is not there; the message says how to get it.
    """
    path = expected(model, folder)
    if path.is_file():
        return path
    if model.export is not None and fetched(model, folder) and path.is_file():
        return path
    match model.source:
        case Bundled():
            how = "this installation is incomplete: install densefusion again"
        case Package(dist=dist):
            how = f"the installed {dist} does not carry it: pip install --force-reinstall {dist}"
        case Folder():
            how = "the catalogue names this file: put it there, or change the entry"
        case Hub() if model.export is not None and pulled(model, folder):
            how = f"run `densefusion engines export --model {model.name}`"
        case Hub():
            how = f"run `densefusion engines pull --model {model.name}`"
            if model.export is not None:
                how += f", then `densefusion engines export --model {model.name}`"
    raise EngineError(f"{model.name}: no file {path}; {how}")


def expected(model: Model, folder: Path | None = None) -> Path:
    """Where the ONNX file is, or would be.

    Raises:
        EngineError: it comes with a package that is not installed.
    """
    match model.source:
        case Bundled(path=path):
            return _ENGINES / path
        case Package(dist=dist, file=file):
            return _in_package(model.name, dist, file)
        case Folder(path=path):
            return Path(path).expanduser()
        case Hub() as hub:
            if model.export is not None:
                return made_folder(model, folder) / ONNX
            return source_folder(hub, folder) / next(iter(hub.files))


def pulled(model: Model, folder: Path | None = None) -> bool:
    """Whether every file of the hub's is there."""
    if not isinstance(model.source, Hub):
        return expected(model, folder).is_file()
    here = source_folder(model.source, folder)
    return all((here / file).is_file() for file in model.source.files)


def _in_package(name: str, dist: str, file: str) -> Path:
    top, *rest = PurePosixPath(file).parts
    spec = find_spec(top)
    if spec is None or not spec.submodule_search_locations:
        raise EngineError(f"{name} comes with the package {dist}: pip install {dist}")
    return Path(spec.submodule_search_locations[0], *rest)
