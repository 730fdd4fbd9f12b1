"""Networks trained from scratch: the textbook's, and a compact one that stays exact when it is quantized."""

from __future__ import annotations

import keras
from keras import layers

from device.errors import ConfigError

NETWORKS = {
    "textbook": "three convolution blocks 32-64-128, dense 512, dropout (meant for 150×150)",
    "compact": "3×3 convolutions with BatchNorm, residual stages and global pooling (any size)",
    "compact-wide": "the same, 1.5 times as wide",
}
"""What `--network` takes."""

STEM_STRIDE_FROM_PX = 80
"""From this side on the compact network halves its input in the first convolution."""

STEM_POOL_FROM_PX = 112
"""From this side on it pools after that, too: half of all multiply-adds would else be spent on the largest map."""

SMALLEST_MAP_PX = 4
"""The compact network adds stages until its feature map is this small."""

COMPACT_WIDTHS = (48, 96, 160, 192)
"""Channels of the compact network's stages; deeper ones keep the last."""


def build_network(
    name: str, size: int, classes: int, *, dropout: float | None = None, l1: float = 0.0, l2: float = 0.0
) -> keras.Model:
    """A classifier with fresh weights (`keras.utils.set_random_seed` makes them the same each time).

    Args:
        name: one of NETWORKS.
        size: side of the square input, in pixels.
        classes: how many; two for a binary choice, too: each class has a logit of its own.
        dropout: share of the last features dropped in training; None for the network's own.
        l1: penalty on the sum of the kernels' absolute values.
        l2: penalty on the sum of the kernels' squares.
    Returns:
        A model from [N, size, size, 3] float32 pixels 0 to 255 (RGB; it normalises them itself) to [N, classes] float32
        logits. Its layer "embedding" gives the features that the last layer weighs.
    Raises:
        ConfigError: no such network, fewer than two classes, or an input too small for it.
    """
    if name not in NETWORKS:
        raise ConfigError(f"there is no network {name!r}: choose one of {', '.join(NETWORKS)}")
    if classes < 2:
        raise ConfigError(f"a classifier needs two classes or more, not {classes}")
    smallest = 24 if name == "textbook" else 16
    if size < smallest:
        raise ConfigError(f"{name} needs pictures of {smallest} px or more, not {size}")
    penalty = keras.regularizers.L1L2(l1=l1, l2=l2) if l1 or l2 else None
    picture = keras.Input((size, size, 3), name="picture")
    if name == "textbook":
        features = _textbook(picture, 0.5 if dropout is None else dropout, penalty)
    else:
        scale = 1.5 if name == "compact-wide" else 1.0
        widths = [round(width * scale) for width in COMPACT_WIDTHS]
        features = _compact(picture, widths, 0.0 if dropout is None else dropout, penalty)
    logits = layers.Dense(classes, kernel_regularizer=penalty, dtype="float32", name="logits")(features)
    return keras.Model(picture, logits, name=name.replace("-", "_"))


def _textbook(
    picture: keras.KerasTensor, dropout: float, penalty: keras.regularizers.Regularizer | None
) -> keras.KerasTensor:
    """Valid 3×3 convolutions with ReLU and 2×2 max pooling, flattened into a dense layer: the course's own."""
    x = layers.Rescaling(1 / 255, name="normalise")(picture)
    for block, width in enumerate((32, 64, 128), start=1):
        x = layers.Conv2D(width, 3, activation="relu", kernel_regularizer=penalty, name=f"block{block}_conv")(x)
        x = layers.MaxPooling2D(2, name=f"block{block}_pool")(x)
    x = layers.Flatten(name="flatten")(x)
    x = layers.Dense(512, activation="relu", kernel_regularizer=penalty, name="embedding")(x)
    return layers.Dropout(dropout, name="dropout")(x)


def _compact(
    picture: keras.KerasTensor, widths: list[int], dropout: float, penalty: keras.regularizers.Regularizer | None
) -> keras.KerasTensor:
    """A stem, then stages that halve the map by max pooling and add one residual convolution, then global pooling.

    The order convolution, BatchNorm, ReLU lets all three become one int8 operation; the shape follows the small
    residual networks that learn CIFAR-10 in minutes (Page 2018, "How to train your ResNet"; Jordan 2024, airbench).
    """
    stride = 2 if picture.shape[1] >= STEM_STRIDE_FROM_PX else 1
    x = layers.Rescaling(1 / 127.5, offset=-1.0, name="normalise")(picture)
    x = _convolution(x, widths[0] // 2, "stem", penalty, stride)
    if picture.shape[1] >= STEM_POOL_FROM_PX:
        x = layers.MaxPooling2D(2, name="stem_pool")(x)
    stage = 0
    while x.shape[1] // 2 >= SMALLEST_MAP_PX:
        width = widths[min(stage, len(widths) - 1)]
        stage += 1
        x = _convolution(x, width, f"stage{stage}_widen", penalty)
        x = layers.MaxPooling2D(2, name=f"stage{stage}_pool")(x)
        x = layers.Add(name=f"stage{stage}_add")([x, _convolution(x, width, f"stage{stage}_refine", penalty)])
    x = layers.GlobalAveragePooling2D(name="embedding")(x)
    return layers.Dropout(dropout, name="dropout")(x) if dropout else x


def _convolution(
    x: keras.KerasTensor, width: int, name: str, penalty: keras.regularizers.Regularizer | None, stride: int = 1
) -> keras.KerasTensor:
    x = layers.Conv2D(
        width,
        3,
        stride,
        padding="same",
        use_bias=False,
        kernel_initializer="he_normal",
        kernel_regularizer=penalty,
        name=f"{name}_conv",
    )(x)
    x = layers.BatchNormalization(momentum=0.9, epsilon=1e-3, name=f"{name}_norm")(x)
    return layers.ReLU(name=f"{name}_relu")(x)
