"""Small coloured photos of three classes, and TensorFlow on one thread."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from training.classifiers.framework import start_tensorflow

start_tensorflow(0, 1)

COLOURS = {"blue": (200, 60, 40), "green": (40, 200, 60), "red": (60, 40, 200)}
"""As OpenCV orders them."""


@pytest.fixture(scope="session")
def make_photos() -> Callable[..., Path]:
    """Writes noisy photos of one colour a class, of several shapes, into `root/CLASS`."""

    def make(root: Path, counts: dict[str, int], seed: int = 0) -> Path:
        rng = np.random.default_rng(seed)
        for name, count in counts.items():
            (root / name).mkdir(parents=True, exist_ok=True)
            for number in range(count):
                height, width = rng.integers(24, 48, 2)
                picture = np.clip(np.array(COLOURS[name]) + rng.normal(0, 50, (height, width, 3)), 0, 255)
                cv2.imwrite(str(root / name / f"{number:03}.png"), picture.astype(np.uint8))
        return root

    return make


@pytest.fixture(scope="session")
def photos(make_photos: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """70 photos: unbalanced, without splits."""
    return make_photos(tmp_path_factory.mktemp("photos") / "colours", {"blue": 14, "green": 40, "red": 16})
