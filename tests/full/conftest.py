"""The models of the profile `full`, small and random, exported once for all tests here."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path

import cv2
import numpy as np
import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"
NEEDS = "needs torch, transformers and onnxscript: pip install 'densefusion[export]'"
Export = Callable[[str, str], tuple[Path, Path]]


@pytest.fixture(scope="session")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The folder of weights of one of `random_weights.BUILDERS`."""
    for package in ("torch", "transformers", "onnxscript"):
        pytest.importorskip(package, reason=NEEDS)
    from tests.full.random_weights import BUILDERS

    base = tmp_path_factory.mktemp("weights")
    return cache(lambda name: BUILDERS[name](base / name))


@pytest.fixture(scope="session")
def exported(weights: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory) -> Export:
    """Weights and what to export of them to both folders: the weights', and the ONNX file."""
    base = tmp_path_factory.mktemp("exported")

    @cache
    def export_once(name: str, what: str) -> tuple[Path, Path]:
        from engines.export import export

        return weights(name), export(what, weights(name), base / f"{name}-{what}")

    return export_once


def photograph(name: str) -> np.ndarray:
    image = cv2.imread(str(EXAMPLES / name))
    assert image is not None
    return cv2.cvtColor(image, cv2.COLOR_BGR2RGB)
