"""Networks that have learnt ImageNet, less their last layer; each takes pixels, 0 to 255, and normalises them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import keras
from keras import layers

from device.errors import ConfigError
from export.weights import weights
from training.classifiers import inverted_residuals as blocks
from training.classifiers.torch_weights import read_torch_weights

IMAGENET_MEAN = (123.675, 116.28, 103.53)
IMAGENET_STD = (58.395, 57.12, 57.375)
"""Of RGB pixels from 0 to 255, as torchvision normalises them."""

CAFFE_MEAN = (103.939, 116.779, 123.68)
"""Of BGR pixels: VGG16's and ResNet50's, whose weights came from Caffe."""

Body = Callable[[keras.KerasTensor], keras.KerasTensor]


@dataclass(frozen=True)
class Backbone:
    """One architecture: the file of its weights, and what builds it on a picture."""

    file: str
    about: str
    size: int
    """Side of the pictures it was trained on, in pixels."""
    smallest: int
    body: Body
    torch: bool = False
    """Whether the file is PyTorch's."""


def _scaled(picture: keras.KerasTensor, mean: tuple[float, ...], std: tuple[float, ...]) -> keras.KerasTensor:
    scale = [1 / value for value in std]
    offset = [-m / s for m, s in zip(mean, std, strict=True)]
    if len(set(std)) == len(set(mean)) == 1:
        return layers.Rescaling(scale[0], offset[0], name="normalise")(picture)
    return layers.Rescaling(scale, offset, name="normalise")(picture)


def _mobilenet_v2(picture: keras.KerasTensor) -> keras.KerasTensor:
    return blocks.inverted_residuals(_scaled(picture, IMAGENET_MEAN, IMAGENET_STD), blocks.MOBILENET_V2, blocks.PYTORCH)


def _lite0(picture: keras.KerasTensor) -> keras.KerasTensor:
    x = _scaled(picture, (127.0,) * 3, (128.0,) * 3)
    return blocks.inverted_residuals(x, blocks.EFFICIENTNET_LITE0, blocks.TENSORFLOW)


def _lite2(picture: keras.KerasTensor) -> keras.KerasTensor:
    x = _scaled(picture, (127.0,) * 3, (128.0,) * 3)
    return blocks.inverted_residuals(x, blocks.EFFICIENTNET_LITE2, blocks.TENSORFLOW)


def _caffe(picture: keras.KerasTensor) -> keras.KerasTensor:
    """RGB -> BGR less the mean, as a 1×1 convolution: reversing channels has no int8 operation."""
    swap = layers.Conv2D(3, 1, name="normalise", trainable=False)
    x = swap(picture)
    kernel = keras.ops.convert_to_numpy(keras.ops.flip(keras.ops.eye(3), axis=1)).reshape(1, 1, 3, 3)
    swap.set_weights([kernel, -keras.ops.convert_to_numpy(keras.ops.array(CAFFE_MEAN))])
    return x


APPLICATIONS = {
    "vgg16": "VGG16",
    "resnet50": "ResNet50",
    "inceptionv3": "InceptionV3",
    "efficientnetb0": "EfficientNetB0",
}
"""Backbones that Keras has: their names there."""


def _application(name: str, normalised: Callable[[keras.KerasTensor], keras.KerasTensor]) -> Body:
    def body(picture: keras.KerasTensor) -> keras.KerasTensor:
        build = getattr(keras.applications, APPLICATIONS[name])
        return build(include_top=False, weights=None, input_tensor=normalised(picture)).output

    return body


BACKBONES = {
    "mobilenetv2": Backbone(
        "mobilenet_v2-b0353104.pth", "MobileNetV2, 3.5 M parameters", 224, 32, _mobilenet_v2, torch=True
    ),
    "efficientnetlite0": Backbone(
        "efficientnet-lite0-57934424.pth", "EfficientNet-Lite0, made for int8", 224, 32, _lite0, torch=True
    ),
    "efficientnetlite2": Backbone(
        "efficientnet-lite2-9656183e.pth", "EfficientNet-Lite2, made for int8", 260, 32, _lite2, torch=True
    ),
    "vgg16": Backbone(
        "vgg16_weights_tf_dim_ordering_tf_kernels_notop.h5",
        "VGG16, 14.7 M parameters",
        224,
        32,
        _application("vgg16", _caffe),
    ),
    "resnet50": Backbone(
        "resnet50_weights_tf_dim_ordering_tf_kernels_notop.h5",
        "ResNet50, 23.6 M parameters",
        224,
        32,
        _application("resnet50", _caffe),
    ),
    "inceptionv3": Backbone(
        "inception_v3_weights_tf_dim_ordering_tf_kernels_notop.h5",
        "InceptionV3, 21.8 M parameters",
        299,
        75,
        _application("inceptionv3", lambda picture: _scaled(picture, (127.5,) * 3, (127.5,) * 3)),
    ),
    "efficientnetb0": Backbone(
        "efficientnetb0_notop.h5",
        "EfficientNetB0, 4 M parameters",
        224,
        32,
        _application("efficientnetb0", lambda picture: picture),
    ),
}
"""What `--backbone` takes."""


def build_classifier(
    name: str,
    size: int,
    classes: int,
    *,
    dropout: float = 0.0,
    l1: float = 0.0,
    l2: float = 0.0,
    pretrained: bool = True,
) -> keras.Model:
    """A backbone with its ImageNet weights, and a fresh last layer.

    Args:
        name: one of BACKBONES.
        size: side of the square input, in pixels.
        classes: how many; two for a binary choice, too.
        dropout: share of the embedding dropped in training.
        l1: penalty on the sum of the last layer's absolute weights.
        l2: penalty on the sum of their squares.
        pretrained: False leaves the backbone's weights random, without fetching any.
    Returns:
        A model from [N, size, size, 3] float32 pixels 0 to 255 RGB to [N, classes] float32 logits. Its layer
        "embedding" is the mean over the backbone's last map.
    Raises:
        ConfigError: no such backbone, fewer than two classes, or pictures too small for it.
        InputError: the weights cannot be had; the sentence says which file to put where.
    """
    if name not in BACKBONES:
        raise ConfigError(f"there is no backbone {name!r}: choose one of {', '.join(BACKBONES)}")
    backbone = BACKBONES[name]
    if classes < 2:
        raise ConfigError(f"a classifier needs two classes or more, not {classes}")
    if size < backbone.smallest:
        raise ConfigError(f"{name} needs pictures of {backbone.smallest} px or more, not {size}")
    file = weights(backbone.file) if pretrained else None
    picture = keras.Input((size, size, 3), name="picture")
    features = backbone.body(picture)
    if file is not None:
        _load(keras.Model(picture, features, name=name), file, torch=backbone.torch)
    x = layers.GlobalAveragePooling2D(name="embedding")(features)
    if dropout:
        x = layers.Dropout(dropout, name="dropout")(x)
    penalty = keras.regularizers.L1L2(l1=l1, l2=l2) if l1 or l2 else None
    logits = layers.Dense(classes, kernel_regularizer=penalty, dtype="float32", name="logits")(x)
    return keras.Model(picture, logits, name=name)


def _load(model: keras.Model, file: Path, *, torch: bool) -> None:
    if torch:
        blocks.take_torch_weights(model, read_torch_weights(file))
        return
    # Keras' files go by the order of the layers, which the normalisation in front would shift.
    builder = getattr(keras.applications, APPLICATIONS[model.name])
    plain = builder(include_top=False, weights=None, input_shape=model.input_shape[1:])
    plain.load_weights(file)
    own = [layer for layer in model.layers if layer.name != "normalise" and layer.weights]
    for layer, source in zip(own, [layer for layer in plain.layers if layer.weights], strict=True):
        layer.set_weights(source.get_weights())
