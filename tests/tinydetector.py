"""A tiny but real detector: YOLOv8n's layers with random weights, three classes."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn

import export  # noqa: F401 - tells Ultralytics to stay offline before it is imported
from export.checkpoint import RawHeads
from export.recipes import Recipe, plain

SIZE = 64


def tiny_detector(size: int) -> nn.Module:
    """An Ultralytics detector, eval mode, whose activations are as large as a trained one's.

    A fresh network passes on a third from layer to layer: BatchNorm's factors make up for it. The heads are scaled to
    logits of a few units, about a score that is seldom above 0.5.
    """
    from ultralytics.nn.tasks import DetectionModel

    torch.manual_seed(0)
    model = DetectionModel("yolov8n.yaml", nc=3, verbose=False)
    model.names = {0: "cup", 1: "cat", 2: "car"}
    pictures = nn.functional.interpolate(torch.rand(8, 3, 6, 6), size, mode="bilinear")
    with torch.no_grad():
        for module in model.eval().modules():
            if isinstance(module, nn.BatchNorm2d):
                module.weight.fill_(2.5)
        head = model.model[-1]
        lasts = [branch[-1] for pair in zip(head.cv2, head.cv3, strict=True) for branch in pair]
        for last, logits in zip(lasts, RawHeads(model)(pictures), strict=True):
            last.weight.mul_(1.5 / logits.std())
        for branch in head.cv3:
            branch[-1].bias.fill_(-2)
    return model


def recipe(checkpoint: Path, parent: Path) -> Recipe:
    """How to export it into a folder of the test's."""
    return plain("tiny", checkpoint, "0", [SIZE], parent, "A test.")
