"""A model of the catalogue, opened as the settings of the experts say."""

from __future__ import annotations

from dataclasses import replace

from densefusion.settings import Experts
from engines.catalogue import catalogue
from engines.precisions import located
from engines.session import Session


def open_session(name: str, settings: Experts, *, most: int) -> Session:
    """The model `name` on the settings' provider, at their precision, one thread a run.

    Args:
        most: inputs in one run, at the most. A TensorRT engine takes as many as the catalogue says
            (which is what `densefusion engines build` makes), or as many as this.

    Raises:
        EngineError: file, precision or provider cannot be had.
    """
    model = catalogue()[name]
    bounds = model.inputs[0].axes["n"]
    if most > bounds.max:
        model = model.bounded(n=replace(bounds, max=most))
    return Session(
        located(model, settings.precision, provider=settings.provider),
        provider=settings.provider,
        threads=1,
        allow_fallback=settings.allow_fallback,
        contract=model,
        precision=settings.precision,
    )


def version(name: str, settings: Experts) -> str:
    """What a prior says of it: the weights' version, and the precision where that is not FP32."""
    of_weights = catalogue()[name].version
    return of_weights if settings.precision == "fp32" else f"{of_weights}-{settings.precision}"
