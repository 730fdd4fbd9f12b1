"""A tiny but real detector and data set: YOLOv8n's layers with random weights, three classes, 64 pixels."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from device.inference.manifest import Bundle
from export.detector import export
from tests.tinydetector import SIZE, recipe, tiny_detector

# PyTorch's compiler and TensorFlow carry the same symbols: loaded second, it ends the process.
with contextlib.suppress(ImportError):
    import triton  # noqa: F401


@pytest.fixture(scope="session")
def tiny_checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint as Ultralytics writes them."""
    path = tmp_path_factory.mktemp("checkpoint") / "tiny.pt"
    torch.save({"model": tiny_detector(SIZE)}, path)
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


@pytest.fixture(scope="session")
def generous(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Floors for random weights, whose figures mean nothing."""
    path = tmp_path_factory.mktemp("floors") / "floors.json"
    path.write_text(json.dumps({"detect": {kind: {"mean": 100, "view": 100} for kind in ("int8", "fp32")}}))
    return path


@pytest.fixture(scope="session")
def bundles(
    tiny_checkpoint: Path, tiny_data: Path, generous: Path, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Bundle]:
    parent = tmp_path_factory.mktemp("bundles")
    said: list[str] = []
    made = export(recipe(tiny_checkpoint, parent), tiny_data, said.append, generous)
    assert any("mAP50-95 / mAP50" in line for line in said)
    return {bundle.name: bundle for bundle in made}
