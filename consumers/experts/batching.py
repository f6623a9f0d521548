"""The batcher that fits where an expert's model runs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from consumers.experts.batch_metrics import BatchMetrics
from densefusion.settings import Experts
from engines.batcher import Batcher
from engines.session import usable_cores

T = TypeVar("T")
R = TypeVar("R")
# One batch stands ready at the GPU while another runs there and a third, which has left it, is
# turned into findings.
_AHEAD = 2


def make_batcher(
    run: Callable[[Sequence[T]], Sequence[R]],
    settings: Experts,
    provider: str,
    name: str,
    *,
    cpu_batch: int | None = None,
) -> Batcher[T, R]:
    """A batcher in front of `run`.

    On the CPU a batch runs on each core, one thread in each; all sizes are as good. A GPU takes one
    batch after the other, in the sizes of `batch_buckets`.

    Args:
        name: the stage's.
        provider: the one that really runs, so that a fallback that was allowed is batched as such.
        cpu_batch: the largest batch on the CPU, where that is not `max_batch`.
    """
    if provider == "cpu":
        return Batcher(
            run,
            max_batch=cpu_batch or settings.max_batch,
            workers=settings.threads or usable_cores(),
            name=name,
            observer=BatchMetrics(name),
        )
    return Batcher(
        run,
        max_batch=settings.max_batch,
        workers=settings.threads or 1,
        ahead=_AHEAD,
        buckets=batch_buckets(settings.max_batch),
        max_wait=settings.max_wait,
        name=name,
        observer=BatchMetrics(name),
    )


def batch_buckets(max_batch: int) -> list[int]:
    """Powers of two, and `max_batch`: 1, 2, 4, 8, 12."""
    powers = [1 << power for power in range(max_batch.bit_length()) if 1 << power < max_batch]
    return [*powers, max_batch]


def warm_sizes(provider: str, max_batch: int) -> list[int]:
    """The batch sizes to run before the first real one, largest first.

    A GPU's libraries tune themselves for each size when they first meet it; an engine that was
    built for the largest serves the smaller ones too.
    """
    return [max_batch] if provider == "cpu" else batch_buckets(max_batch)[::-1]


def records_in_flight(settings: Experts, least: int) -> int:
    """Records that keep a model busy, from fetching to findings.

    Four times what the batcher can hand on: one part in the model, one decoded and waiting, two
    being fetched and decoded. Fewer, and the model waits for records that wait for it.
    """
    on_cpu = settings.provider == "cpu"
    batches = settings.threads or (usable_cores() if on_cpu else 1)
    return max(least, 4 * settings.max_batch * (batches + (0 if on_cpu else _AHEAD)))
