"""MobileNetV2 and EfficientNet-Lite in Keras, layer by layer as their ImageNet weights were trained."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import keras
import numpy as np
from keras import layers

from device.errors import InputError

HEAD_CHANNELS = 1280


@dataclass(frozen=True)
class Stage:
    """Inverted residual blocks of one shape (Sandler 2018, table 1)."""

    expansion: int
    channels: int
    repeats: int
    stride: int
    kernel: int = 3


MOBILENET_V2 = (
    Stage(1, 16, 1, 1),
    Stage(6, 24, 2, 2),
    Stage(6, 32, 3, 2),
    Stage(6, 64, 4, 2),
    Stage(6, 96, 3, 1),
    Stage(6, 160, 3, 2),
    Stage(6, 320, 1, 1),
)
EFFICIENTNET_LITE0 = (
    Stage(1, 16, 1, 1),
    Stage(6, 24, 2, 2),
    Stage(6, 40, 2, 2, 5),
    Stage(6, 80, 3, 2),
    Stage(6, 112, 3, 1, 5),
    Stage(6, 192, 4, 2, 5),
    Stage(6, 320, 1, 1),
)
EFFICIENTNET_LITE2 = (
    Stage(1, 16, 1, 1),
    Stage(6, 24, 3, 2),
    Stage(6, 48, 3, 2, 5),
    Stage(6, 88, 4, 2),
    Stage(6, 120, 4, 1, 5),
    Stage(6, 208, 5, 2, 5),
    Stage(6, 352, 1, 1),
)
"""EfficientNet-Lite2: 1.1 times as wide and 1.2 times as deep; stem, head and the first and last stage stay as deep."""


@dataclass(frozen=True)
class Style:
    """In what two families of the same blocks differ: PyTorch pads symmetrically, TensorFlow after the picture."""

    epsilon: float
    symmetric: bool


PYTORCH = Style(epsilon=1e-5, symmetric=True)
TENSORFLOW = Style(epsilon=1e-3, symmetric=False)


def inverted_residuals(x: keras.KerasTensor, stages: Sequence[Stage], style: Style) -> keras.KerasTensor:
    """Stem, blocks and head: [N, S, S, 3] normalised -> [N, S/32, S/32, 1280]. ReLU6 throughout, so int8 fits well."""
    x = _convolution(x, 32, 3, 2, style, "stem")
    x = layers.ReLU(6, name="stem_relu")(x)
    number = 0
    for stage in stages:
        for repeat in range(stage.repeats):
            x = _block(x, stage, stage.stride if repeat == 0 else 1, style, f"block_{number}")
            number += 1
    x = _convolution(x, HEAD_CHANNELS, 1, 1, style, "head")
    return layers.ReLU(6, name="head_relu")(x)


def _block(x: keras.KerasTensor, stage: Stage, stride: int, style: Style, name: str) -> keras.KerasTensor:
    """Widen by 1×1, filter each channel, project by 1×1; added to the input where the shape allows."""
    entry, channels = x, x.shape[-1]
    if stage.expansion != 1:
        x = _convolution(x, channels * stage.expansion, 1, 1, style, f"{name}_expand")
        x = layers.ReLU(6, name=f"{name}_expand_relu")(x)
    x = _convolution(x, None, stage.kernel, stride, style, f"{name}_depthwise")
    x = layers.ReLU(6, name=f"{name}_depthwise_relu")(x)
    x = _convolution(x, stage.channels, 1, 1, style, f"{name}_project")
    if stride == 1 and channels == stage.channels:
        x = layers.Add(name=f"{name}_add")([entry, x])
    return x


def _convolution(
    x: keras.KerasTensor, channels: int | None, kernel: int, stride: int, style: Style, name: str
) -> keras.KerasTensor:
    """Convolution (depthwise where `channels` is None) and BatchNorm."""
    padding = "same"
    if stride == 2 and style.symmetric:
        x = layers.ZeroPadding2D(kernel // 2, name=f"{name}_pad")(x)
        padding = "valid"
    settings = {"strides": stride, "padding": padding, "use_bias": False, "name": name}
    if channels is None:
        x = layers.DepthwiseConv2D(kernel, **settings)(x)
    else:
        x = layers.Conv2D(channels, kernel, **settings)(x)
    return layers.BatchNormalization(epsilon=style.epsilon, name=f"{name}_norm")(x)


def take_torch_weights(model: keras.Model, state: Mapping[str, np.ndarray]) -> None:
    """Copy a PyTorch state dict of the same network, whose entries come in the order of the forward pass.

    Args:
        model: with layers of `inverted_residuals`.
        state: names to arrays; a classifier at its end is left alone.
    Raises:
        InputError: a shape differs, or there are too few: another network's weights.
    """
    arrays = iter([value for name, value in state.items() if not name.endswith("num_batches_tracked")])
    for layer in model.layers:
        if isinstance(layer, layers.DepthwiseConv2D):
            values = [next(arrays).transpose(2, 3, 0, 1)]
        elif isinstance(layer, layers.Conv2D):
            values = [next(arrays).transpose(2, 3, 1, 0)]
        elif isinstance(layer, layers.BatchNormalization):
            values = [next(arrays) for _ in range(4)]
        else:
            continue
        if [value.shape for value in values] != [tuple(weight.shape) for weight in layer.weights]:
            raise InputError(f"the weights are another network's: {layer.name} has other shapes in {model.name}")
        layer.set_weights(values)
