"""MiniFASNet: the small networks that tell a face from a picture of one, as minivision-ai published them.

Silent-Face-Anti-Spoofing (Apache-2.0): MobileFaceNet's inverted residuals with PReLU, pruned, so that each block has
a width of its own. Two of them look at the same face, each from its own distance: V2 at 2.7 times the face's box, V1SE
(whose stages end in a squeeze-and-excitation block, Hu et al. 2018, arXiv:1709.01507) at 4 times. The modules' names
are those of the published state dicts; widths are read from them.
"""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import nn

from device.errors import InputError

SIZE = 80
"""Side of the crop, in pixels."""

CLASSES = ("paper", "live", "screen")
"""What the three outputs stand for; upstream calls a face real where the second is the largest."""

STAGES = (("conv_23", "conv_3", 4), ("conv_34", "conv_4", 6), ("conv_45", "conv_5", 2))
"""Block that halves the picture, the residual blocks after it, and how many those are."""

State = Mapping[str, torch.Tensor]


class Norm(nn.Module):
    """Convolution, BatchNorm and, unless it projects, PReLU."""

    def __init__(self, weight: torch.Tensor, stride: int = 1, padding: int = 0, *, active: bool = True) -> None:
        """`weight`: of the convolution, from the state dict; one channel deep means depthwise."""
        super().__init__()
        wide, deep, kernel, _ = weight.shape
        # A first convolution reads three channels; a depthwise one, a channel each.
        groups = wide if deep == 1 else 1
        self.conv = nn.Conv2d(deep * groups, wide, kernel, stride, padding, groups=groups, bias=False)
        self.bn = nn.BatchNorm2d(wide)
        if active:
            self.prelu = nn.PReLU(wide)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """[N, C, H, W] -> [N, channels, H / stride, W / stride]."""
        x = self.bn(self.conv(x))
        return self.prelu(x) if hasattr(self, "prelu") else x


class Excitation(nn.Module):
    """Squeeze-and-excitation: each channel times a factor of 0 to 1 that the whole map decides."""

    def __init__(self, state: State, name: str) -> None:
        super().__init__()
        inner, outer = state[f"{name}.fc1.weight"].shape[:2]
        self.fc1 = nn.Conv2d(outer, inner, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(inner)
        self.fc2 = nn.Conv2d(inner, outer, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outer)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """[N, C, H, W] -> the same shape."""
        factor = torch.relu(self.bn1(self.fc1(x.mean((2, 3), keepdim=True))))
        return x * torch.sigmoid(self.bn2(self.fc2(factor)))


class Block(nn.Module):
    """Inverted residual: expand, depthwise 3x3, project; added to its input unless it halves the picture."""

    def __init__(self, state: State, name: str, stride: int) -> None:
        super().__init__()
        self.adds = stride == 1
        self.conv = Norm(state[f"{name}.conv.conv.weight"])
        self.conv_dw = Norm(state[f"{name}.conv_dw.conv.weight"], stride, padding=1)
        self.project = Norm(state[f"{name}.project.conv.weight"], active=False)
        if f"{name}.se_module.fc1.weight" in state:
            self.se_module = Excitation(state, f"{name}.se_module")

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """[N, C, H, W] -> [N, channels, H / stride, W / stride]."""
        found = self.project(self.conv_dw(self.conv(x)))
        if hasattr(self, "se_module"):
            found = self.se_module(found)
        return x + found if self.adds else found


class Stage(nn.Module):
    """Residual blocks, one after the other."""

    def __init__(self, state: State, name: str, count: int) -> None:
        super().__init__()
        self.model = nn.Sequential(*(Block(state, f"{name}.model.{number}", 1) for number in range(count)))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """[N, C, H, W] -> the same shape."""
        return self.model(x)


class MiniFASNet(nn.Module):
    """Crops in, three logits out: `CLASSES`. Built as wide as the state dict's tensors are."""

    def __init__(self, state: State) -> None:
        """Raises KeyError where the state dict lacks a layer."""
        super().__init__()
        self.conv1 = Norm(state["conv1.conv.weight"], 2, padding=1)
        self.conv2_dw = Norm(state["conv2_dw.conv.weight"], padding=1)
        for halving, stage, count in STAGES:
            setattr(self, halving, Block(state, halving, 2))
            setattr(self, stage, Stage(state, stage, count))
        self.conv_6_sep = Norm(state["conv_6_sep.conv.weight"])
        self.conv_6_dw = Norm(state["conv_6_dw.conv.weight"], active=False)
        width, wide = state["linear.weight"].shape
        self.linear = nn.Linear(wide, width, bias=False)
        self.bn = nn.BatchNorm1d(width)
        self.prob = nn.Linear(width, len(CLASSES), bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """[N, 3, 80, 80] float32 BGR, 0 to 255 -> [N, 3] logits."""
        x = self.conv2_dw(self.conv1(x))
        for halving, stage, _ in STAGES:
            x = getattr(self, stage)(getattr(self, halving)(x))
        x = self.conv_6_dw(self.conv_6_sep(x)).flatten(1)
        return self.prob(self.bn(self.linear(x)))


class Probabilities(nn.Module):
    """What is exported: [1, 80, 80, 3] BGR, 0 to 255 -> [1, 3], adding up to 1."""

    def __init__(self, network: MiniFASNet) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """See the class."""
        return torch.softmax(self.network(x.permute(0, 3, 1, 2)), dim=1)


def load(path: Path) -> MiniFASNet:
    """A network with the weights of a file, for inference.

    Args:
        path: a state dict as upstream publishes it, names with or without `module.` before them.
    Raises:
        InputError: the file cannot be read, or it is of another network.
    """
    try:
        found = torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise InputError(f"the weights {path} cannot be read: {error.strerror or error}") from None
    except (RuntimeError, pickle.UnpicklingError, EOFError, ValueError) as error:
        raise InputError(f"{path} holds no PyTorch state dict: {str(error).splitlines()[0]}") from None
    try:
        state = {name.removeprefix("module."): tensor for name, tensor in found.items()}
        network = MiniFASNet(state)
        network.load_state_dict(state)
    except (KeyError, RuntimeError, TypeError, AttributeError, ValueError) as error:
        reason = str(error).strip().splitlines()
        raise InputError(f"{path} is not of a MiniFASNet: {reason[1 if len(reason) > 1 else 0].strip()}") from None
    return network.eval()
