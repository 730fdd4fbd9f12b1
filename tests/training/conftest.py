"""A tiny but real detector: YOLOv8n's layers with random weights, three classes."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch
from torch import nn

import export  # noqa: F401 - tells Ultralytics to stay offline before it is imported
from training.pictures import Sources

SIZE = 64


@pytest.fixture
def detector() -> nn.Module:
    """The same for each test: they train it."""
    from ultralytics.nn.tasks import DetectionModel

    torch.manual_seed(0)
    model = DetectionModel("yolov8n.yaml", nc=3, verbose=False)
    # Statistics as after training: with those of a fresh network every layer would shrink what it passes on.
    model.train()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = None  # The mean over all batches.
    with torch.no_grad():
        for _ in range(3):
            model(torch.nn.functional.interpolate(torch.rand(4, 3, 6, 6), SIZE, mode="bilinear"))
    for branch in model.model[-1].cv3:
        torch.nn.init.normal_(branch[-1].weight, std=0.3)
        torch.nn.init.constant_(branch[-1].bias, -2)
    return model.eval()


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
