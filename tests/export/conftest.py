"""A tiny but real detector and data set: YOLOv8n's layers with random weights, three classes, 64 pixels."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

import export  # noqa: F401 - tells Ultralytics to stay offline before it is imported

SIZE = 64


@pytest.fixture(scope="session")
def tiny_checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint as Ultralytics writes them. Its scores are raised so that it finds something at all."""
    from ultralytics.nn.tasks import DetectionModel

    torch.manual_seed(0)
    model = DetectionModel("yolov8n.yaml", nc=3, verbose=False)
    model.names = {0: "cup", 1: "cat", 2: "car"}
    # Statistics as after training: with those of a fresh network every layer would shrink what it passes on.
    model.train()
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = None  # The mean over all batches.
    with torch.no_grad():
        for _ in range(3):
            model(torch.nn.functional.interpolate(torch.rand(4, 3, 6, 6), SIZE, mode="bilinear"))
    for branch in model.model[-1].cv3:
        torch.nn.init.normal_(branch[-1].weight, std=0.3)
        torch.nn.init.constant_(branch[-1].bias, -2)
    path = tmp_path_factory.mktemp("checkpoint") / "tiny.pt"
    torch.save({"model": model.eval()}, path)
    return path


@pytest.fixture(scope="session")
def tiny_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pictures of coloured rectangles with labels, in the layout of the real data."""
    rng = np.random.default_rng(0)
    root = tmp_path_factory.mktemp("data")
    for split, count in (("train", 6), ("val", 4)):
        for kind in ("images", "labels"):
            (root / "coco" / kind / split).mkdir(parents=True)
        for number in range(count):
            picture = cv2.resize(rng.integers(0, 255, (6, 8, 3), np.uint8), (80, 60), interpolation=cv2.INTER_CUBIC)
            cv2.rectangle(picture, (20, 15), (50, 45), rng.integers(0, 255, 3).tolist(), -1)
            cv2.imwrite(str(root / "coco" / "images" / split / f"{number}.jpg"), picture)
            (root / "coco" / "labels" / split / f"{number}.txt").write_text(f"{number % 3} 0.4375 0.5 0.375 0.5\n")
    return root
