"""What is exported: a model between a picture's bytes and outputs that need no knowledge of it.

Pictures go in as uint8, N x H x W x 3, RGB: a quarter of float's way to the device, and nothing to
compute on the host. The cast comes first, since TensorRT lets nothing else follow a uint8 input.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

Triple = tuple[float, float, float]


class Pixels(nn.Module):
    """uint8 N x H x W x 3 to float32 N x 3 x H x W: scaled, less the mean, over the deviation."""

    def __init__(self, scale: float, mean: Triple, deviation: Triple) -> None:
        super().__init__()
        over = 1 / torch.tensor(deviation, dtype=torch.float64)
        self.register_buffer("factor", (scale * over).float())
        self.register_buffer("offset", (-torch.tensor(mean, dtype=torch.float64) * over).float())

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return (image.to(torch.float32) * self.factor + self.offset).permute(0, 3, 1, 2)


class Detector(nn.Module):
    """RT-DETR, RT-DETRv2, D-FINE: `boxes` N x queries x 4, x0 y0 x1 y1 in the picture's 0..1,
    `scores` N x queries x classes. One box for one object, so nothing is suppressed."""

    def __init__(self, pixels: Pixels, model: Any) -> None:
        super().__init__()
        self.pixels, self.model = pixels, model

    def forward(self, image: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        found = self.model(pixel_values=self.pixels(image))
        return corners(found.pred_boxes), found.logits.sigmoid()


class OpenDetector(nn.Module):
    """OWLv2 on a picture and what is looked for in it.

    Queries are embeddings from `OpenText`, N x Q x D; a picture with fewer gets rows of zeros.
    `boxes` N x patches x 4 of the padded square, `scores` N x patches x Q.
    """

    def __init__(self, pixels: Pixels, model: Any) -> None:
        super().__init__()
        self.pixels, self.model = pixels, model

    def forward(
        self, image: torch.Tensor, queries: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        grid = self.model.image_embedder(pixel_values=self.pixels(image))[0]
        patches = grid.flatten(1, 2)
        logits = self.model.class_predictor(patches, queries)[0]
        return corners(self.model.box_predictor(patches, grid)), logits.sigmoid()


class OpenText(nn.Module):
    """OWLv2's text tower: token ids N x length to `embedding` N x D, of length 1.

    The padding needs no mask: attention is causal, and the embedding is that of the end token,
    which comes before it.
    """

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model.owlv2

    def forward(self, input_ids: torch.Tensor) -> torch.Tensor:
        return unit(self.model.get_text_features(input_ids=input_ids).pooler_output)


class ImageEmbedding(nn.Module):
    """SigLIP's or DINOv2's `embedding` of a picture, N x D, of length 1."""

    def __init__(self, pixels: Pixels, tower: Any) -> None:
        super().__init__()
        self.pixels, self.tower = pixels, tower

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return unit(self.tower(pixel_values=self.pixels(image)).pooler_output)


class TextEmbedding(nn.Module):
    """SigLIP's `embedding` of a text, N x D, of length 1. No mask: it was trained without."""

    def __init__(self, tower: Any) -> None:
        super().__init__()
        self.tower = tower

    def forward(self, input_ids: torch.Tensor) -> torch.Tensor:
        return unit(self.tower(input_ids=input_ids).pooler_output)


def corners(boxes: torch.Tensor) -> torch.Tensor:
    """Centre and size to x0 y0 x1 y1."""
    half = boxes[..., 2:] / 2
    return torch.cat([boxes[..., :2] - half, boxes[..., :2] + half], dim=-1)


def unit(vectors: torch.Tensor) -> torch.Tensor:
    """To length 1."""
    return vectors / vectors.norm(dim=-1, keepdim=True)
