"""A network for new classes out of earlier weights."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

import torch
from ultralytics.nn.tasks import DetectionModel

from export.checkpoint import load_detector
from training.detectors.photos import seed_all

MODELS = ("n", "s", "m", "l", "x")


def network_from(weights: Path, names: Sequence[str], seed: int) -> DetectionModel:
    """A YOLOv8 detector of `names`, with all the weights of the file that fit.

    What the file knows under the same class name it keeps; the heads of new classes begin at random, by the seed.

    Raises:
        InputError: the file is no YOLOv8 detector.
    """
    logging.getLogger("ultralytics").setLevel(logging.WARNING)
    parent = load_detector(weights)
    seed_all(seed, 0)
    network = DetectionModel(parent.yaml, ch=3, nc=len(names), verbose=False)
    network.names = dict(enumerate(names))
    network.load(parent, verbose=False)
    network.nc = len(names)
    return network


def detached(network: torch.nn.Module) -> torch.nn.Module:
    """The network as it is kept: in eval mode, without gradients, without the loss and the augmentation's settings."""
    network = network.float().eval().requires_grad_(False).to(memory_format=torch.contiguous_format)
    network.criterion = None
    network.args = {}
    return network
