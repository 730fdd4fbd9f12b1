"""YOLOv8 as it will run in int8: the same weights, with every rounding that the LiteRT file makes.

The network shares its parameters with the detector it is made of: train one, and the other is trained.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from export.calibration import CLASS_FLOOR, SILU_FLOOR, percentile_range
from training.distill.fakequant import Grid, round_to, round_weights, silu

Range = tuple[float, float]
Activation = Callable[[str, torch.Tensor], torch.Tensor]


class Float:
    """No rounding: the teacher."""

    def weights(self, weight: torch.Tensor) -> torch.Tensor:
        """As they are."""
        return weight

    def tensor(self, name: str, x: torch.Tensor) -> torch.Tensor:  # noqa: ARG002 - the name is for the others
        """As it is."""
        return x

    def silu(self, name: str, x: torch.Tensor) -> torch.Tensor:
        """SiLU; `name.conv` is what goes in, `name` what comes out."""
        x = self.tensor(f"{name}.conv", x)
        return self.tensor(name, x * torch.sigmoid(x))


class Observer(Float):
    """Float, and writes down the smallest and largest value of each tensor in each image."""

    def __init__(self) -> None:
        self.seen: dict[str, list[Range]] = {}

    def tensor(self, name: str, x: torch.Tensor) -> torch.Tensor:
        """As it is; [1, C, H, W]: one image at a time."""
        self.seen.setdefault(name, []).append((float(x.min()), float(x.max())))
        return x

    def ranges(self) -> dict[str, Range]:
        """Of each tensor, the percentile of the images' own extremes."""
        return {name: percentile_range(*np.array(extremes).T) for name, extremes in self.seen.items()}


class Rounded(Float):
    """Every tensor on the grid of its range, weights on theirs: the student."""

    def __init__(self, ranges: Mapping[str, Range]) -> None:
        self.grids = {name: Grid.covering(*span) for name, span in ranges.items()}

    def weights(self, weight: torch.Tensor) -> torch.Tensor:
        """Per output channel, 127 steps either side of 0."""
        return round_weights(weight)

    def tensor(self, name: str, x: torch.Tensor) -> torch.Tensor:
        """On the tensor's grid."""
        return round_to(x, self.grids[name])

    def silu(self, name: str, x: torch.Tensor) -> torch.Tensor:
        """SiLU in int8."""
        return silu(x, self.grids[f"{name}.conv"], self.grids[name])


class QuantAware(nn.Module):
    """A YOLOv8 detector (its modules, unfused) run with one of the roundings above."""

    def __init__(self, detector: nn.Module) -> None:
        super().__init__()
        self.layers = detector.model
        self.keep = frozenset(detector.save)

    def forward(self, images: torch.Tensor, rounding: Float) -> tuple[torch.Tensor, ...]:
        """[N, 3, S, S] float32 RGB 0..1 -> six heads [N, 64 or classes, H, W], as `export.checkpoint.RawHeads`."""
        kept: dict[int, torch.Tensor] = {}
        x = images.contiguous(memory_format=torch.channels_last)
        for index, layer in enumerate(list(self.layers)[:-1]):
            source = layer.f
            given = [x if j == -1 else kept[j] for j in ([source] if isinstance(source, int) else source)]
            x = self._layer(f"{index}", layer, given, rounding)
            if index in self.keep:
                kept[index] = x
        head = self.layers[-1]
        heads = []
        for level, source in enumerate(head.f):
            feature = x if source == -1 else kept[source]
            for kind, branch in (("box", head.cv2[level]), ("class", head.cv3[level])):
                name = f"head.{kind}.{level}"
                y = _conv(f"{name}.0", branch[0], feature, rounding)
                y = _conv(f"{name}.1", branch[1], y, rounding)
                last = branch[2]
                y = F.conv2d(y, rounding.weights(last.weight), last.bias)
                heads.append(rounding.tensor(name, y))
        return tuple(heads)

    def _layer(self, name: str, layer: nn.Module, given: list[torch.Tensor], rounding: Float) -> torch.Tensor:
        kind = type(layer).__name__
        if kind == "Conv":
            return _conv(name, layer, given[0], rounding)
        if kind == "C2f":
            return _c2f(name, layer, given[0], rounding)
        if kind == "SPPF":
            return _sppf(name, layer, given[0], rounding)
        if kind == "Upsample":
            return layer(given[0])
        if kind == "Concat":
            return rounding.tensor(name, torch.cat(given, 1))
        raise ValueError(f"layer {name} is a {kind}, which YOLOv8 has not")


def _conv(name: str, block: nn.Module, x: torch.Tensor, rounding: Float) -> torch.Tensor:
    """Convolution, BatchNorm with its frozen statistics folded in, SiLU."""
    conv, norm = block.conv, block.bn
    factor = norm.weight / torch.sqrt(norm.running_var + norm.eps)
    weight = rounding.weights(conv.weight * factor[:, None, None, None])
    bias = norm.bias - norm.running_mean * factor
    return rounding.silu(name, F.conv2d(x, weight, bias, conv.stride, conv.padding, conv.dilation, conv.groups))


def _c2f(name: str, block: nn.Module, x: torch.Tensor, rounding: Float) -> torch.Tensor:
    parts = list(_conv(f"{name}.cv1", block.cv1, x, rounding).chunk(2, 1))
    for index, inner in enumerate(block.m):
        y = _conv(f"{name}.m{index}.cv1", inner.cv1, parts[-1], rounding)
        y = _conv(f"{name}.m{index}.cv2", inner.cv2, y, rounding)
        parts.append(rounding.tensor(f"{name}.m{index}.add", parts[-1] + y) if inner.add else y)
    return _conv(f"{name}.cv2", block.cv2, rounding.tensor(f"{name}.cat", torch.cat(parts, 1)), rounding)


def _sppf(name: str, block: nn.Module, x: torch.Tensor, rounding: Float) -> torch.Tensor:
    parts = [_conv(f"{name}.cv1", block.cv1, x, rounding)]
    parts += [block.m(parts[-1])]
    parts += [block.m(parts[-1])]
    parts += [block.m(parts[-1])]
    return _conv(f"{name}.cv2", block.cv2, rounding.tensor(f"{name}.cat", torch.cat(parts, 1)), rounding)


@torch.no_grad()
def observed_ranges(network: QuantAware, images: Iterable[torch.Tensor]) -> dict[str, Range]:
    """What each tensor of the float network spans over the images ([1, 3, S, S] each), as `export` will have it."""
    observer = Observer()
    for image in images:
        network(image, observer)
    return {name: (max(low, _floor(name)), high) for name, (low, high) in observer.ranges().items()}


def _floor(name: str) -> float:
    """The lowest value worth a step of the tensor's grid: as `export` has it."""
    if name.endswith(".conv"):
        return SILU_FLOOR
    is_class = name.startswith("head.class.") and name.count(".") == 2
    return CLASS_FLOOR if is_class else -np.inf
