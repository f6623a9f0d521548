"""A picture's way to a model's input, pixel by pixel as `transformers` does it.

Its processors on Pillow and SciPy are the reference; the rest of their work (scaling, mean,
deviation) is in the exported graph.
"""

from __future__ import annotations

import math

import cv2
import numpy as np
from PIL import Image

from engines.full.card import Picture

_FILTERS = {"bilinear": Image.Resampling.BILINEAR, "bicubic": Image.Resampling.BICUBIC}

_LONGEST = 4096  # pixels of a side; its square takes 200 MB


def prepare(pixels: np.ndarray, how: Picture) -> np.ndarray:
    """H x W x 3 RGB uint8 to `how.height` x `how.width` x 3 uint8."""
    if how.fit == "square":
        return _square(pixels, how.height)
    image = Image.fromarray(pixels)
    resample = _FILTERS[how.resample]
    if how.fit == "whole":
        return np.asarray(image.resize((how.width, how.height), resample))
    short, long = sorted(image.size)
    side = int(how.short_side * long / short)
    size = (how.short_side, side) if image.width <= image.height else (side, how.short_side)
    scaled = np.asarray(image.resize(size, resample))
    top, left = (scaled.shape[0] - how.height) // 2, (scaled.shape[1] - how.width) // 2
    return scaled[top : top + how.height, left : left + how.width]


def stretch(pixels: np.ndarray) -> np.ndarray:
    """What the corners x0 y0 x1 y1 of a box in the padded square are multiplied by, to be of the
    picture."""
    height, width = pixels.shape[:2]
    side = max(height, width)
    return np.array([side / width, side / height] * 2, np.float32)


def _square(pixels: np.ndarray, side: int) -> np.ndarray:
    """OWLv2's: black to the right and below, a Gaussian against aliasing, bilinear.

    Source: scikit-image's `resize` with its defaults, on which OWLv2 was trained. Rounded to
    uint8, which moves a value by half a step of 255 at the most. What is longer than `_LONGEST` is
    reduced by area first: the square of a strip of 448 x 65,000 pixels would take 50 GB.
    """
    height, width = pixels.shape[:2]
    whole = max(height, width)
    if whole > _LONGEST:
        height, width = (max(1, round(each * _LONGEST / whole)) for each in (height, width))
        pixels = np.asarray(cv2.resize(pixels, (width, height), interpolation=cv2.INTER_AREA))
        whole = _LONGEST
    padded = np.zeros((whole, whole, 3), np.float32)
    padded[:height, :width] = pixels
    sigma = (whole / side - 1) / 2
    radius = math.floor(4 * max(sigma, 0) + 0.5)  # where SciPy cuts the Gaussian off
    if radius:
        kernel = (2 * radius + 1,) * 2
        padded = _float(cv2.GaussianBlur(padded, kernel, sigma, borderType=cv2.BORDER_REFLECT_101))
    scaled = _float(cv2.resize(padded, (side, side), interpolation=cv2.INTER_LINEAR))
    return np.asarray(np.rint(scaled).clip(0, 255), np.uint8)


def _float(values: object) -> np.ndarray:
    """OpenCV's arrays are of any type, for all that its annotations say."""
    return np.asarray(values, np.float32)
