"""Perceptual hash: the sign pattern of an image's lowest frequencies.

The DCT hash of C. Zauner, "Implementation and Benchmarking of Perceptual Image Hash Functions"
(2010), section 3.2.1, in the form of the `imagehash` package's ``phash`` (32x32 luminance, DCT-II,
the 8x8 lowest frequencies against their median). It gives the same bits; written out because that
package loads SciPy and PyWavelets for one matrix product.
"""

from __future__ import annotations

import numpy as np

SIDE = 32
_LOW = 8


def _dct_basis() -> np.ndarray:
    """Rows: the lowest `_LOW` DCT-II basis vectors over `SIDE` samples."""
    k = np.arange(_LOW)[:, None]
    n = np.arange(SIDE)[None, :]
    return 2 * np.cos(np.pi * k * (2 * n + 1) / (2 * SIDE))


_BASIS = _dct_basis()


def phash(luminance: np.ndarray) -> str:
    """Hash a (32, 32) array of luminance, any scale.

    Returns:
        64 bits as 16 hex digits. Hamming distance between hashes measures likeness.
    """
    frequencies = _BASIS @ luminance.astype(np.float64) @ _BASIS.T
    # Sums of the same pixels differ in their last digits from one CPU to another; where a
    # frequency is absent, that noise alone would make the bit.
    frequencies = np.round(frequencies, 6)
    bits = (frequencies > np.median(frequencies)).flatten()
    return np.packbits(bits).tobytes().hex()
