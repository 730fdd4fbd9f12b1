"""MobileFaceNet as it will run in int8: the same parameters, with every rounding that the LiteRT file makes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import torch
import torch.nn.functional as F
from torch import nn

from export.calibration import pixel_span
from export.mobilefacenet import MEAN, STD, MobileFaceNet
from training.distill.quantaware import Float, Observer, Range, Rounded

CEILING = 6.0
"""Of ReLU6."""


def embed(network: MobileFaceNet, x: torch.Tensor, rounding: Float) -> torch.Tensor:
    """The network with its BatchNorms' frozen statistics folded into the convolutions, run with one rounding.

    Args:
        x: [N, 3, 112, 112] float32, normalised as the network takes it.
        rounding: `Float()` gives what `network.eval()` gives; `Rounded(ranges)` what the int8 file gives.
    Returns:
        [N, 128] float32.
    """
    x = rounding.tensor("input", x.contiguous(memory_format=torch.channels_last))
    x = _conv("conv1", network.conv1[0], network.conv1[1], x, rounding, CEILING)
    separable = network.dw_conv
    x = _conv("dw_conv.depthwise", separable.depthwise, separable.bn1, x, rounding, None)
    x = _conv("dw_conv.pointwise", separable.pointwise, separable.bn2, x, rounding, None)
    for number, block in enumerate(network.features):
        name, parts = f"features.{number}", block.conv
        y = _conv(f"{name}.expand", parts[0][0], parts[0][1], x, rounding, CEILING)
        y = _conv(f"{name}.depthwise", parts[1][0], parts[1][1], y, rounding, CEILING)
        y = rounding.tensor(f"{name}.project", _folded(parts[2], parts[3], y, rounding))
        x = rounding.tensor(f"{name}.add", x + y) if block.adds else y
    x = _conv("conv2", network.conv2[0], network.conv2[1], x, rounding, CEILING)
    x = rounding.tensor("gdconv", _folded(network.gdconv.depthwise, network.gdconv.bn, x, rounding))
    return rounding.tensor("embedding", _folded(network.conv3, network.bn, x, rounding)).flatten(1)


def _folded(conv: nn.Conv2d, norm: nn.BatchNorm2d, x: torch.Tensor, rounding: Float) -> torch.Tensor:
    factor = norm.weight / torch.sqrt(norm.running_var + norm.eps)
    weight = rounding.weights(conv.weight * factor[:, None, None, None])
    given = -norm.running_mean if conv.bias is None else conv.bias - norm.running_mean
    return F.conv2d(x, weight, norm.bias + given * factor, conv.stride, conv.padding, conv.dilation, conv.groups)


def _conv(
    name: str, conv: nn.Conv2d, norm: nn.BatchNorm2d, x: torch.Tensor, rounding: Float, ceiling: float | None
) -> torch.Tensor:
    """Convolution, BatchNorm, and ReLU up to `ceiling`: one operation of the int8 file."""
    return rounding.tensor(name, F.hardtanh(_folded(conv, norm, x, rounding), 0.0, ceiling or torch.inf))


@torch.no_grad()
def observed_ranges(network: MobileFaceNet, crops: Iterable[torch.Tensor]) -> Mapping[str, Range]:
    """What each tensor spans over crops ([1, 3, 112, 112] each, normalised), as `export` will have it."""
    observer = Observer()
    for crop in crops:
        embed(network, crop, observer)
    return observer.ranges() | {"input": pixel_span((MEAN, STD))}


def rounded(ranges: Mapping[str, Range]) -> Rounded:
    """The rounding of an int8 file whose tensors span `ranges`."""
    return Rounded(ranges)
