"""A model of the catalogue, opened as the settings of the experts say."""

from __future__ import annotations

from densefusion.settings import Experts
from engines.catalogue import catalogue
from engines.manifest import Precision
from engines.precisions import chosen
from engines.session import Session


def open_session(name: str, settings: Experts, *, precision: Precision | None = None) -> Session:
    """The model `name` on the settings' provider, for their batches, one thread a run.

    Args:
        precision: in place of the settings'.

    Raises:
        EngineError: file, precision or provider cannot be had.
    """
    model = catalogue()[name]
    (path,), ran = chosen([model], precision or settings.precision, provider=settings.provider)
    return Session(
        path,
        provider=settings.provider,
        threads=1,
        allow_fallback=settings.allow_fallback,
        contract=model.serving(settings.max_batch),
        precision=ran,
    )


def version(name: str, precision: str) -> str:
    """What a prior says of it: the weights' version, and the precision where that is not FP32."""
    of_weights = catalogue()[name].version
    return of_weights if precision in {"auto", "fp32"} else f"{of_weights}-{precision}"
