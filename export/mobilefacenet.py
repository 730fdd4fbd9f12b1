"""MobileFaceNet: the face embedder that Sereno fine-tunes and ships.

Chen et al. 2018, arXiv:1804.07573, with the blocks of MobileNetV2 (ReLU6) as foamliu/MobileFaceNet (Apache-2.0) trained
it; the names of the modules are those of its state dict.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn

from device.errors import InputError

SIZE = 112
"""Side of the aligned crop, in pixels."""

WIDTH = 128
"""Numbers in an embedding."""

MEAN = (0.485 * 255, 0.456 * 255, 0.406 * 255)
STD = (0.229 * 255, 0.224 * 255, 0.225 * 255)
"""Of ImageNet, for pixels of 0 to 255: what the base weights were trained with."""

STAGES = ((2, 64, 5, 2), (4, 128, 1, 2), (2, 128, 6, 1), (4, 128, 1, 2), (2, 128, 2, 1))
"""(expansion, channels, blocks, stride of the first): table 1 of the paper."""


def _conv_norm(given: int, channels: int, kernel: int = 3, stride: int = 1, groups: int = 1) -> nn.Sequential:
    """Convolution, BatchNorm, ReLU6."""
    return nn.Sequential(
        nn.Conv2d(given, channels, kernel, stride, (kernel - 1) // 2, groups=groups, bias=False),
        nn.BatchNorm2d(channels),
        nn.ReLU6(inplace=True),
    )


class Separable(nn.Module):
    """Depthwise 3x3 and pointwise convolution, each with BatchNorm and ReLU."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.depthwise = nn.Conv2d(channels, channels, 3, padding=1, groups=channels, bias=False)
        self.pointwise = nn.Conv2d(channels, channels, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.bn2 = nn.BatchNorm2d(channels)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """[N, C, H, W] -> the same shape."""
        x = torch.relu(self.bn1(self.depthwise(x)))
        return torch.relu(self.bn2(self.pointwise(x)))


class Bottleneck(nn.Module):
    """Inverted residual: expand, depthwise 3x3, project without activation; added to its input where shapes allow."""

    def __init__(self, given: int, channels: int, stride: int, expansion: int) -> None:
        super().__init__()
        inner = given * expansion
        self.adds = stride == 1 and given == channels
        self.conv = nn.Sequential(
            _conv_norm(given, inner, kernel=1),
            _conv_norm(inner, inner, stride=stride, groups=inner),
            nn.Conv2d(inner, channels, 1, bias=False),
            nn.BatchNorm2d(channels),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """[N, given, H, W] -> [N, channels, H / stride, W / stride]."""
        return x + self.conv(x) if self.adds else self.conv(x)


class GlobalDepthwise(nn.Module):
    """A 7x7 depthwise convolution over the whole map instead of its mean: each place has its own weight."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.depthwise = nn.Conv2d(channels, channels, 7, groups=channels, bias=False)
        self.bn = nn.BatchNorm2d(channels)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """[N, C, 7, 7] -> [N, C, 1, 1]."""
        return self.bn(self.depthwise(x))


class MobileFaceNet(nn.Module):
    """Aligned face crops in, embeddings out (not yet of unit length)."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = _conv_norm(3, 64, stride=2)
        self.dw_conv = Separable(64)
        blocks, channels = [], 64
        for expansion, wanted, count, stride in STAGES:
            for number in range(count):
                blocks.append(Bottleneck(channels, wanted, stride if number == 0 else 1, expansion))
                channels = wanted
        self.features = nn.Sequential(*blocks)
        self.conv2 = _conv_norm(channels, 512, kernel=1)
        self.gdconv = GlobalDepthwise(512)
        self.conv3 = nn.Conv2d(512, WIDTH, 1)
        self.bn = nn.BatchNorm2d(WIDTH)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """[N, 3, 112, 112] float32 RGB, less MEAN and by STD -> [N, 128] float32."""
        x = self.features(self.dw_conv(self.conv1(x)))
        return self.bn(self.conv3(self.gdconv(self.conv2(x)))).flatten(1)


def load(path: Path) -> MobileFaceNet:
    """A network with the weights of a file, for inference.

    Args:
        path: a state dict as PyTorch writes it: `mobilefacenet.pt`, or a run's `embedder.pt`.
    Raises:
        InputError: the file cannot be read, or it is of another network.
    """
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise InputError(f"the weights {path} cannot be read: {error.strerror or error}") from None
    except Exception as error:
        # Unpickling fails in as many ways as there are broken files; what PyTorch says advises to load it as code.
        raise InputError(
            f"{path} holds no PyTorch state dict; the weights of a MobileFaceNet are wanted, as mobilefacenet.pt or a "
            "run's embedder.pt"
        ) from error
    network = MobileFaceNet()
    try:
        network.load_state_dict(state)
    except (RuntimeError, TypeError, AttributeError) as error:
        reason = str(error).strip().splitlines()
        raise InputError(f"{path} is not of a MobileFaceNet: {reason[1 if len(reason) > 1 else 0].strip()}") from None
    return network.eval()
