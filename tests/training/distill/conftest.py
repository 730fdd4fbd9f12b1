"""A tiny but real detector: YOLOv8n's layers with random weights, three classes."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from torch import nn

from tests.tinydetector import tiny_detector
from training.distill.pictures import Sources

SIZE = 64


@pytest.fixture
def detector() -> nn.Module:
    """The same for each test: they train it."""
    return tiny_detector(SIZE)


@pytest.fixture(scope="session")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Sources:
    """Pictures of coloured noise, and a clip."""
    rng = np.random.default_rng(0)
    folder = tmp_path_factory.mktemp("pictures")
    paths = [folder / f"{number}.png" for number in range(6)]
    for path in paths:
        cv2.imwrite(str(path), cv2.resize(rng.integers(0, 255, (5, 7, 3), np.uint8), (110, 80)))
    clip = folder / "clip.avi"
    writer = cv2.VideoWriter(str(clip), cv2.VideoWriter.fourcc(*"MJPG"), 10, (96, 64))
    for _ in range(6):
        writer.write(cv2.resize(rng.integers(0, 255, (4, 6, 3), np.uint8), (96, 64)))
    writer.release()
    return Sources(paths[:4], paths[4:], [clip])
