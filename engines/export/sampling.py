"""Bilinear sampling without GridSample, which TensorRT gets wrong.

From 10.14 on, 11.1 included, TensorRT builds engines of the deformable attention of DETR's kin that
run and find other boxes, without a word (NVIDIA/TensorRT issues 4813, 4646; lightly-train pull
request 917 is the same cure). What is exported here is made of gathers and products instead.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch.nn import functional


def sample(
    values: torch.Tensor,
    grid: torch.Tensor,
    mode: str = "bilinear",
    padding_mode: str = "zeros",
    align_corners: bool | None = None,
) -> torch.Tensor:
    """What `torch.nn.functional.grid_sample` gives for these modes: N x C x H x W at
    N x P x Q x 2 (x y in [-1, 1]) is N x C x P x Q.

    Raises:
        NotImplementedError: another mode.
    """
    if mode != "bilinear" or padding_mode != "zeros" or align_corners:
        raise NotImplementedError(f"grid_sample with {mode}, {padding_mode}, {align_corners}")
    height, width = values.shape[2:]
    x = (grid[..., 0] + 1) * (width / 2) - 0.5
    y = (grid[..., 1] + 1) * (height / 2) - 0.5
    left, top = torch.floor(x), torch.floor(y)
    flat = values.flatten(2)
    found = None
    for column, across in ((left, left + 1 - x), (left + 1, x - left)):
        for row, down in ((top, top + 1 - y), (top + 1, y - top)):
            inside = (column >= 0) & (column <= width - 1) & (row >= 0) & (row <= height - 1)
            weight = across * down * inside.to(values.dtype)
            # Before it is an integer: a point far outside has none.
            place = torch.where(inside, row * width + column, 0.0)
            index = place.to(torch.int64).flatten(1).unsqueeze(1).expand(-1, values.shape[1], -1)
            part = flat.gather(2, index).unflatten(2, grid.shape[1:3]) * weight.unsqueeze(1)
            found = part if found is None else found + part
    return found


@contextmanager
def gathered() -> Iterator[None]:
    """Inside, `torch.nn.functional.grid_sample` is `sample`. Not for several threads."""
    original: Any = functional.grid_sample
    vars(functional)["grid_sample"] = sample
    try:
        yield
    finally:
        vars(functional)["grid_sample"] = original
