"""A model of the catalogue, opened as the settings of the experts say."""

from __future__ import annotations

from densefusion.settings import Experts
from engines.catalogue import catalogue
from engines.manifest import Precision
from engines.precisions import located
from engines.session import Session


def open_session(name: str, settings: Experts, *, precision: Precision | None = None) -> Session:
    """The model `name` on the settings' provider, for their batches, one thread a run.

    Args:
        precision: in place of the settings'.

    Raises:
        EngineError: file, precision or provider cannot be had.
    """
    model = catalogue()[name]
    precision = precision or settings.precision
    return Session(
        located(model, precision, provider=settings.provider),
        provider=settings.provider,
        threads=1,
        allow_fallback=settings.allow_fallback,
        contract=model.serving(settings.max_batch),
        precision=precision,
    )


def version(name: str, settings: Experts) -> str:
    """What a prior says of it: the weights' version, and the precision where that is not FP32."""
    of_weights = catalogue()[name].version
    return of_weights if settings.precision == "fp32" else f"{of_weights}-{settings.precision}"
