"""One face for every runtime: pixels are written into its own input buffer, outputs are looked at where they lie."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import cv2
import numpy as np
import numpy.typing as npt

from device.datatypes import Image
from device.errors import InputError
from device.inference.manifest import InputSpec

Tensor = npt.NDArray[Any]
PixelWriter = Callable[[Image, Tensor], None]


@dataclass(frozen=True, slots=True)
class TensorInfo:
    """Shape and type of a tensor. What a value means is (value - zero_point) * scale."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    scale: float = 1.0
    zero_point: int = 0


class Interpreter(Protocol):
    """A loaded network of one picture in, some tensors out. Not thread-safe: whoever shares one locks."""

    runtime: str
    """Which runtime it is, for people: `LiteRT 2.3.0, int8, 1 thread`."""

    @property
    def input(self) -> TensorInfo:
        """The picture's tensor."""

    @property
    def outputs(self) -> tuple[TensorInfo, ...]:
        """The outputs, in the order of the manifest's `outputs`."""

    def write(self, square: Image) -> None:
        """Quantize or scale a picture of the input's size (HxWx3 uint8, RGB) into the runtime's input buffer."""

    def invoke(self) -> tuple[Tensor, ...]:
        """Run the network. The arrays are views into its buffers: drop them before the next `write` or `invoke`."""


def pixel_writer(info: TensorInfo, spec: InputSpec) -> PixelWriter:
    """Choose the cheapest way from uint8 pixels to the tensor `info`, for the normalization of `spec`.

    Returns:
        A function (HxWx3 uint8 RGB, the input tensor) that fills the tensor in place, without temporaries of its size
        for the usual normalization.
    Raises:
        InputError: the tensor is of another type or shape than a bundle's input can be.
    """
    _check_shape(info, spec)
    if info.dtype == np.float32 and spec.layout == "NCHW":
        return _planes_writer(spec)
    fill = _float_fill(spec) if info.dtype == np.float32 else _quantized_fill(info, spec)

    def write(square: Image, tensor: Tensor) -> None:
        # Swapped by OpenCV: numpy goes through reversed colours three at a time.
        pixels = np.asarray(cv2.cvtColor(square, cv2.COLOR_RGB2BGR), np.uint8) if spec.color == "BGR" else square
        fill(pixels, tensor[0] if spec.layout == "NHWC" else tensor[0].transpose(1, 2, 0))

    return write


def _check_shape(info: TensorInfo, spec: InputSpec) -> None:
    sides = (spec.height, spec.width)
    expected = (1, *sides, 3) if spec.layout == "NHWC" else (1, 3, *sides)
    if info.shape != expected:
        raise InputError(
            f"the model's input is {info.shape}, and its manifest says {expected}; make it again with `make export`"
        )
    if info.dtype not in (np.float32, np.int8, np.uint8):
        raise InputError(f"the model's input is {info.dtype}; Sereno fills float32, int8 and uint8")


def _planes_writer(spec: InputSpec) -> PixelWriter:
    """(pixel - mean) / std in float32, plane by plane: ten times as fast as one step over interleaved pixels."""
    factors = [np.float32(1 / std) for std in spec.std]
    offsets = [np.float32(-mean / std) for mean, std in zip(spec.mean, spec.std, strict=True)]

    planes = np.empty((3, spec.height, spec.width), np.uint8)
    ordered = planes[::-1] if spec.color == "BGR" else planes

    def write(square: Image, tensor: Tensor) -> None:
        cv2.split(square, list(planes))
        for out, plane, factor, offset in zip(tensor[0], ordered, factors, offsets, strict=True):
            np.copyto(out, plane)
            if factor != 1:
                np.multiply(out, factor, out=out)
            if offset != 0:
                np.add(out, offset, out=out)

    return write


def _float_fill(spec: InputSpec) -> PixelWriter:
    """(pixel - mean) / std in float32."""
    factor = np.float32(1) / np.array(spec.std, np.float32)
    offset = -np.array(spec.mean, np.float32) * factor
    if len(set(spec.std)) == 1 and not offset.any():
        factor, offset = factor[:1], offset[:0]

    def fill(pixels: Image, out: Tensor) -> None:
        np.multiply(pixels, factor, out=out)
        if offset.size:
            np.add(out, offset, out=out)

    return fill


def _quantized_fill(info: TensorInfo, spec: InputSpec) -> PixelWriter:
    """The same, quantized: a table of 256 values a channel, which for the usual ones is a copy or one flipped bit."""
    real = (np.arange(256)[:, None] - np.array(spec.mean)) / np.array(spec.std)
    limits = np.iinfo(info.dtype)
    table = np.clip(np.rint(real / info.scale + info.zero_point), limits.min, limits.max).astype(info.dtype)
    bits = table.view(np.uint8)
    for flip in (0x00, 0x80):
        if (bits == (np.arange(256, dtype=np.uint8) ^ flip)[:, None]).all():
            return _flip_fill(np.uint8(flip))

    def fill(pixels: Image, out: Tensor) -> None:
        np.copyto(out.view(np.uint8), cv2.LUT(np.ascontiguousarray(pixels), bits[:, None]))

    return fill


def _flip_fill(flip: np.uint8) -> PixelWriter:
    """Copy with these bits flipped: 0x80 is the step from uint8 to int8 of zero point -128."""

    def fill(pixels: Image, out: Tensor) -> None:
        np.bitwise_xor(pixels, flip, out=out.view(np.uint8))

    return fill
