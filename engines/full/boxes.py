"""From a detector's boxes and scores to the objects of one picture."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from engines.detection import Box, suppress

_LEAST = 1e-3  # of the picture's side; thinner is nothing


def found(
    corners: np.ndarray,
    scores: np.ndarray,
    labels: Sequence[str],
    *,
    score: float,
    limit: int,
    iou: float | None = None,
) -> list[Box]:
    """Boxes of at least `score`, highest first.

    Args:
        corners: N x 4, x0 y0 x1 y1; what is outside 0..1 is cut off.
        scores: N x classes.
        labels: the classes' names.
        limit: boxes at the most.
        iou: of two boxes of one label that overlap more, the lower is dropped; None: none is.
    """
    which, label = np.nonzero(scores >= score)
    value, place = scores[which, label], corners[which].clip(0, 1)
    usable = np.isfinite(place).all(1) & (place[:, 2:] - place[:, :2] > _LEAST).all(1)
    label, value, place = label[usable], value[usable], place[usable]
    order = np.argsort(-value, kind="stable")
    kept = order if iou is None else suppress(place, value, label, iou)
    return [
        Box(labels[label[i]], float(value[i]), *(float(x) for x in place[i])) for i in kept[:limit]
    ]
