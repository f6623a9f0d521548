"""``densefusion engines list|pull|export|build|verify``; `engine_bench` has the sixth."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from densefusion.cli.app import Json, app, load
from densefusion.cli.engine_report import downloads, finish, photographs, show

if TYPE_CHECKING:
    from densefusion.settings import Settings
    from engines.catalogue import Model

group = typer.Typer(
    help="The models: where they come from, and the engines that run them.", no_args_is_help=True
)
app.add_typer(group, name="engines")

ProfileName = Literal["starter", "full"]
ProviderName = Literal["cpu", "cuda", "tensorrt", "tensorrt-direct"]
PrecisionName = Literal["fp32", "fp16", "int8"]
ProfileOption = Annotated[
    ProfileName | None,
    typer.Option("--profile", help="Models of this profile. [default: starter, without --model]"),
]
ModelOption = Annotated[
    list[str] | None, typer.Option("--model", help="This model; may be given several times.")
]
ProviderOption = Annotated[
    ProviderName | None,
    typer.Option("--provider", help="[default: DENSEFUSION_EXPERTS__PROVIDER]"),
]
PrecisionOption = Annotated[
    PrecisionName | None,
    typer.Option("--precision", help="[default: DENSEFUSION_EXPERTS__PRECISION]"),
]
ImagesOption = Annotated[
    Path | None,
    typer.Option(help="Folder of photographs, of your own kind. [default: ./examples]"),
]


@group.command(name="list")
def list_(profile: ProfileOption = None, as_json: Json = False) -> None:
    """Every model: task, licence, where it comes from, and whether it is on this machine."""
    from engines.catalogue import catalogue
    from engines.errors import EngineError

    with told_engines():
        models = [m for m in catalogue().values() if profile in (None, m.profile)]

    def here(model: Model) -> str:
        from engines.catalogue import locate

        try:
            locate(model)
        except EngineError:
            return "no"
        return "yes"

    rows = [
        {
            "model": m.name,
            "profile": m.profile,
            "task": m.task,
            "licence": m.licence,
            "here": here(m),
            "source": _origin(m),
        }
        for m in models
    ]
    show(rows, as_json)


@group.command()
def pull(model: ModelOption = None, profile: ProfileOption = None, as_json: Json = False) -> None:
    """Make the models' files be here: look where they are installed, or fetch them from their hub.

    A download that broke off goes on where it did; a file takes its place when its SHA-256 is
    right. HF_ENDPOINT names a mirror, HF_TOKEN is sent along.
    """
    from engines.catalogue.pull import pull as fetch

    with told_engines():
        models = chosen(model, profile)
        with downloads() as progress:

            def one(each: Model) -> dict[str, Any]:
                paths = fetch(each, progress=progress)
                return {"files": [str(path) for path in paths]}

            rows = for_each(models, one)
    finish(rows, as_json)


@group.command()
def export(
    model: ModelOption = None,
    profile: ProfileOption = None,
    again: Annotated[bool, typer.Option(help="Even where the ONNX file is there.")] = False,
    as_json: Json = False,
) -> None:
    """Make ONNX files of the models that come as PyTorch weights, and prove each against PyTorch.

    Needs torch and transformers, which running the models does not.
    """
    from engines.catalogue import Hub
    from engines.catalogue.locate import expected, pulled, source_folder
    from engines.errors import EngineError

    def one(each: Model) -> dict[str, Any]:
        if each.export is None or not isinstance(each.source, Hub):
            note = "comes as ONNX" + ("" if expected(each).is_file() else "; not pulled yet")
            return {"file": str(expected(each)), "note": note}
        target = expected(each)
        if target.is_file() and not again:
            return {"file": str(target), "note": "is there"}
        if not pulled(each):
            raise EngineError(f"run `densefusion engines pull --model {each.name}` first")
        from engines.export.export import export as make

        return {"file": str(make(each.export, source_folder(each.source), target.parent))}

    with told_engines():
        rows = for_each(chosen(model, profile or (None if model else "full")), one)
    finish(rows, as_json)


@group.command()
def build(
    model: ModelOption = None,
    profile: ProfileOption = None,
    provider: ProviderOption = None,
    precision: PrecisionOption = None,
    images: ImagesOption = None,
    share: Annotated[
        bool | None,
        typer.Option(
            "--share/--no-share",
            help="Take engines and the models' files from the object store, and put there what is "
            "made. "
            "[default: DENSEFUSION_EXPERTS__SHARE_ENGINES]",
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Make the engines ahead of time: in a container's build, or an init container.

    Another precision than fp32 is converted first, by the model's recipe or measured on the
    photographs of --images, and refused where it says other things than the original. Each engine
    is run once.
    """
    from densefusion.cli.connect import connected
    from densefusion.engine_store import engine_cache
    from densefusion.model_store import ModelStore
    from densefusion.store import ObjectStore
    from engines.build import build as make
    from engines.catalogue.locate import made_folder, set_remote
    from engines.errors import EngineError
    from engines.precisions import located, usual
    from engines.precisions import make as convert
    from engines.session import require

    with told_engines() as settings:
        experts = settings.experts
        asked, where = precision or experts.precision, provider or experts.provider
        shared = experts.share_engines if share is None else share
        reached = connected(settings) if shared else settings
        cache = engine_cache(reached, on_mismatch="rebuild", share=shared, offer_found=True)
        models = ModelStore(ObjectStore(reached.store)) if shared else None
        set_remote(models)

        def one(model: Model) -> dict[str, Any]:
            row: dict[str, Any] = {}
            into = usual(model, where) if asked == "auto" else asked
            try:
                located(model, into, provider=where)
            except EngineError:
                if into == "fp32":
                    raise
                require(where)  # before the minutes that a conversion takes
                found = convert(model, into, photographs(images), provider=where)
                row["agreement"] = round(found.value, 4)
            served = model.serving(experts.max_batch, experts.ocr_max_side)
            built = make(served, provider=where, precision=into, cache=cache)
            if models is not None:
                row["shared"] = models.offer(model, made_folder(model))
            return {**asdict(built), **row, "path": str(built.path)}

        rows = for_each(chosen(model, profile), one)
    finish(rows, as_json)


@group.command()
def verify(model: ModelOption = None, profile: ProfileOption = None, as_json: Json = False) -> None:
    """Check files against the catalogue (SHA-256, inputs, outputs), and the cache of engines."""
    from engines.cache import default_cache
    from engines.catalogue.check import faults
    from engines.errors import EngineError

    def one(each: Model) -> dict[str, Any]:
        if wrong := faults(each):
            raise EngineError("; ".join(wrong))
        return {}

    with told_engines():
        rows = for_each(chosen(model, profile), one)
        for slot, place, fault in default_cache().entries():
            row = {"model": slot, "ok": fault is None, "entry": place.name}
            rows.append(row if fault is None else {**row, "error": fault})
    finish(rows, as_json)


@contextmanager
def told_engines() -> Iterator[Settings]:
    """The settings, told to the engines; their errors as ours."""
    from densefusion.errors import SettingsError
    from engines.cache import Cache, set_default_cache
    from engines.catalogue import configure
    from engines.errors import EngineError

    settings = load()
    experts = settings.experts
    configure(extra=experts.catalogue, folder=experts.models)
    set_default_cache(Cache(experts.engines, experts.engine_mismatch))
    try:
        yield settings
    except EngineError as error:
        raise SettingsError(str(error)) from error


def chosen(names: Sequence[str] | None, profile: ProfileName | None) -> list[Model]:
    """By name, by profile, or both; nothing said: the starters."""
    from densefusion.errors import SettingsError
    from engines.catalogue import catalogue

    known = catalogue()
    if unknown := [name for name in names or [] if name not in known]:
        raise SettingsError(f"no model {', '.join(unknown)}; there are {', '.join(known)}")
    if not names and profile is None:
        profile = "starter"
    of_profile = [m for m in known.values() if m.profile == profile]
    return [*of_profile, *(known[name] for name in names or [] if known[name] not in of_profile)]


def for_each(
    models: Sequence[Model], work: Callable[[Model], dict[str, Any]]
) -> list[dict[str, Any]]:
    """One row a model; a model that fails keeps none of the others back."""
    from engines.errors import EngineError

    rows = []
    for model in models:
        row: dict[str, Any] = {"model": model.name, "ok": True}
        try:
            row |= work(model)
        except EngineError as error:
            row |= {"ok": False, "error": str(error)}
        rows.append(row)
    return rows


def _origin(model: Model) -> str:
    from engines.catalogue import Bundled, Folder, Hub, Package

    match model.source:
        case Bundled():
            return "densefusion"
        case Package(dist=dist):
            return f"package {dist}"
        case Folder(path=path):
            return path
        case Hub(repo=repo, revision=revision):
            return f"hub {repo} at {revision[:12]}"
