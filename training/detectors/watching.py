"""The float network of a run in the device's own detector: its mAP between two epochs."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from pathlib import Path

from torch import nn

from device.detection.detector import Detector
from device.inference.manifest import Bundle, Manifest
from export.bundle import Draft, ModelContent
from export.checkpoint import HEADS, ChannelLast, raw_heads
from export.detector import described
from export.reference import TorchInterpreter


def float_detector(network: nn.Module, labels: Sequence[str], size: int) -> Detector:
    """A detector that runs a copy of the network as it is, in PyTorch."""
    file = ModelContent("litert", "fp32", b"\0", range(len(HEADS)))
    draft = Draft(name="float", version="0", files=[file], licence="", provenance={}, **described(labels, size, "fp32"))
    bundle = Bundle(Path("float"), Manifest.model_validate(draft.manifest()))
    heads = raw_heads(copy.deepcopy(network).float().eval())
    return Detector(bundle, TorchInterpreter(ChannelLast(heads).eval(), size))
