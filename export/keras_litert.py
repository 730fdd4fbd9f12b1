"""Keras classifiers as LiteRT files: their normalisation cut off and told to the manifest, one picture at a time.

The device brings pixels onto the network's scale by a table of 256 entries while it copies them, which costs nothing;
the same as operations of the graph costs time and another rounding. It cannot be folded into a first convolution that
pads: zeros at the border would no longer stand for the mean.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import keras
import numpy as np

from device.errors import InputError
from export.calibration import Normalisation, Range, pixel_span
from export.litert import quiet

PIXELS: Normalisation = ((0.0,) * 3, (1.0,) * 3)
"""Numbers as they are, 0 to 255."""

NAME = "network"
AFFINE_TOLERANCE = 1e-4
"""Of what is taken for scale and offset, relative to the largest number: rounding of float32, and no more."""


@dataclass(frozen=True)
class Bare:
    """A network that takes normalised numbers [N, S, S, 3], and the normalisation that it had in front."""

    network: keras.Model
    normalisation: Normalisation
    color: Literal["RGB", "BGR"]

    @property
    def size(self) -> int:
        """Side of the input, in pixels."""
        return int(self.network.inputs[0].shape[1])

    @property
    def classes(self) -> int:
        """How many logits it gives."""
        return int(self.network.outputs[0].shape[-1])


def load(path: Path) -> keras.Model:
    """A run's `model.keras`: [N, S, S, 3] float32 pixels 0 to 255 RGB -> [N, classes] float32 logits.

    Raises:
        InputError: it is missing, cannot be read, or takes or gives something else.
    """
    if not path.is_file():
        raise InputError(f"there is no {path}: name the folder of a finished training run")
    try:
        model = keras.models.load_model(path, compile=False)
    except Exception as error:  # A damaged archive fails in as many ways as there are.
        raise InputError(f"{path} cannot be read as a Keras model: {str(error).splitlines()[0]}") from error
    shapes = [tuple(tensor.shape) for tensor in (*model.inputs, *model.outputs)]
    fits = len(shapes) == 2 and len(shapes[0]) == 4 and shapes[0][3] == 3 and len(shapes[1]) == 2
    if not fits or not shapes[0][1] or shapes[0][1] != shapes[0][2]:
        raise InputError(f"{path} goes from {shapes[0]} to {shapes[-1]}; a classifier goes from squares to logits")
    return model


def bare(model: keras.Model) -> Bare:
    """Cut off the layers in front that only scale and shift each channel, whatever they are called.

    A layer counts where its output is, to float32's rounding, one factor and one offset a channel, channels in order or
    reversed: found by looking at random pixels, so that Rescaling, Normalization, BatchNormalization and a 1x1
    convolution that swaps channels are all the same to it. A model without is given back as it is.
    """
    [tensor], [logits] = model.inputs, model.outputs
    pixels = tensor
    # Keras numbers what is not named, and the names go into the files: the same network must give the same bytes.
    model = keras.Model(pixels, logits, name=NAME)
    best = Bare(model, PIXELS, "RGB")
    for operation in model.operations[1:]:
        if operation.input is not tensor or operation.output.shape != tensor.shape:
            break
        tensor = operation.output
        found = _affine(keras.Model(pixels, tensor))
        if found is None:
            break
        try:
            best = Bare(keras.Model(tensor, logits, name=NAME), *found)
        except ValueError:  # Something further on looks at the pixels, too.
            break
    return best


def _affine(front: keras.Model) -> tuple[Normalisation, Literal["RGB", "BGR"]] | None:
    """Mean and standard deviation by which `front` normalises, and its order of channels; None where it does more."""
    side = front.inputs[0].shape[1]
    pixels = np.random.default_rng(0).integers(0, 256, (1, side, side, 3)).astype(np.float32)
    found = np.asarray(front(pixels, training=False), np.float64).reshape(-1, 3)
    known = np.concatenate([pixels.reshape(-1, 3), np.ones((len(found), 1), np.float32)], 1).astype(np.float64)
    solved, *_ = np.linalg.lstsq(known, found, rcond=None)
    limit = AFFINE_TOLERANCE * np.abs(found).max()
    factors, offsets = solved[:3], solved[3]
    for color, order in (("RGB", (0, 1, 2)), ("BGR", (2, 1, 0))):
        scale = factors[order, (0, 1, 2)]
        exact = np.zeros((3, 3))
        exact[order, (0, 1, 2)] = scale
        if np.abs(known @ np.vstack([exact, offsets]) - found).max() <= limit and scale.min() > 0:
            mean, std = (tuple(_tidy(value) for value in values) for values in (-offsets / scale, 1 / scale))
            return (mean, std), color  # type: ignore[return-value]
    return None


def _tidy(value: float) -> float:
    """Without what float32's rounding added: 127.5 rather than 127.49999, 0 rather than 1e-6 of a pixel's step."""
    return round(float(np.format_float_positional(value, precision=6, fractional=False, trim="-")), 4)


def convert(network: keras.Model) -> bytes:
    """The network as a float LiteRT file for one picture; the same bytes for the same network."""
    import tensorflow as tf

    # With the batch left open, flattening would become four operations on shapes that cannot be quantized.
    picture = keras.Input(batch_shape=(1, *network.inputs[0].shape[1:]), name="picture")
    whole = keras.Model(picture, network(picture, training=False), name="classifier")
    with quiet():
        converter = tf.lite.TFLiteConverter.from_keras_model(whole)
        return bytes(converter.convert())


def int8_grid(normalisation: Normalisation) -> tuple[Normalisation, Range]:
    """The normalisation that an int8 input can keep exactly where there is one, and the range of that input.

    With one mean and one deviation for all channels a step of int8 is made a step of the pixel: int8 is the pixel with
    one bit flipped, and nothing is lost. That needs a mean that is a whole number, so 127.5 becomes 128: a picture
    darker by 0.2 % of its range. Otherwise the steps of the channels differ, and one grid spans all of them.
    """
    (mean, std) = normalisation
    if len(set(mean)) == len(set(std)) == 1 and 0 <= mean[0] <= 255:
        normalisation = ((float(np.floor(mean[0] + 0.5)),) * 3, tuple(std))
    return normalisation, pixel_span(normalisation)
