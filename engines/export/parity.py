"""Whether an exported file computes what the module did."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from engines.session import Session


@dataclass(frozen=True, slots=True)
class Difference:
    """Over all of an output's elements: the largest difference, and the largest relative one, of
    which the denominator is the element or, where that is less, the output's mean size."""

    absolute: float
    relative: float


def compare(
    module: torch.nn.Module,
    session: Session,
    feeds: Mapping[str, np.ndarray],
    *,
    unordered: bool = False,
) -> dict[str, Difference]:
    """Both on the same inputs; by the output's name.

    Args:
        unordered: a picture's rows are a set, the same in all outputs. DETR's kin choose the best
            of thousands of places by score: two as good as equal change places by rounding, and
            the last may change with the first that is not chosen.

    Raises:
        EngineError: the session cannot run, or its output has another shape than the module's.
    """
    with torch.inference_mode():
        found = module(*(torch.from_numpy(feed) for feed in feeds.values()))
    wanted: Sequence[Any] = found if isinstance(found, tuple) else (found,)
    got = session.run(feeds)
    if unordered:
        got, wanted = _paired(got, wanted)
    return {
        name: difference(mine, np.asarray(his))
        for name, mine, his in zip(session.outputs, got, wanted, strict=True)
    }


def difference(mine: np.ndarray, his: np.ndarray) -> Difference:
    """Of two arrays of one shape; infinite where shapes differ or a value is not finite."""
    if mine.shape != his.shape or not np.isfinite(mine).all():
        return Difference(float("inf"), float("inf"))
    apart = np.abs(mine.astype(np.float64) - his)
    size = np.maximum(np.abs(his), np.abs(his).mean())
    return Difference(float(apart.max()), float((apart / size.clip(1e-12)).max()))


def _paired(
    mine: Sequence[np.ndarray], his: Sequence[Any]
) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Both sides' rows (axis 1), each of his beside the nearest of mine, but for one per picture:
    that which is furthest from any."""
    left, right = (np.concatenate([np.asarray(x) for x in side], axis=2) for side in (mine, his))
    if left.shape != right.shape:
        return list(mine), [np.asarray(x) for x in his]
    rows, kept = [], []
    for ours, theirs in zip(left, right, strict=True):
        apart = np.abs(theirs[:, None] - ours[None]).max(2)
        rows.append(ours[apart.argmin(1)])
        kept.append(np.argsort(apart.min(1))[:-1])
    pick = np.stack(kept)[:, :, None]
    cuts = np.cumsum([x.shape[2] for x in mine])[:-1]
    ours, theirs = (np.take_along_axis(x, pick, 1) for x in (np.stack(rows), right))
    return np.split(ours, cuts, axis=2), np.split(theirs, cuts, axis=2)
