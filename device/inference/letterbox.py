"""Fitting a picture into a network's input: letterbox, stretch or centre crop, each in one resize."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from device.datatypes import Image
from device.inference.boxes import FloatArray


@dataclass(frozen=True, slots=True)
class Geometry:
    """Where a picture lies in the square, in pixels of it; `scale` is square pixels for one of the picture's."""

    frame_width: int
    frame_height: int
    scale: float
    left: int
    top: int
    width: int
    height: int

    def to_frame(self, boxes: FloatArray) -> FloatArray:
        """Map boxes back.

        Args:
            boxes: Nx4 float32, x1 y1 x2 y2 in pixels of the square.
        Returns:
            Nx4 float32 in pixels of the frame, clipped to it.
        """
        shifted = boxes - np.array([self.left, self.top, self.left, self.top], np.float32)
        shifted /= np.float32(self.scale)
        limits = np.array([self.frame_width, self.frame_height] * 2, np.float32)
        fitted: FloatArray = np.minimum(np.maximum(shifted, 0, out=shifted), limits, out=shifted)
        return fitted


def fit(frame_width: int, frame_height: int, width: int, height: int, *, center: bool = True) -> Geometry:
    """Compute the place of a picture in an input of `width` x `height` pixels, rounded as ultralytics' LetterBox.

    `center` False puts it into the left upper corner.
    """
    scale = min(width / frame_width, height / frame_height)
    # At least one pixel: of a 1 x 4000 strip nothing would be left otherwise.
    inner_width, inner_height = max(1, round(frame_width * scale)), max(1, round(frame_height * scale))
    left = round((width - inner_width) / 2 - 0.1) if center else 0
    top = round((height - inner_height) / 2 - 0.1) if center else 0
    return Geometry(frame_width, frame_height, scale, left, top, inner_width, inner_height)


class Letterbox:
    """Letterboxes pictures into one square (or rectangle) that is reused: `square`, HxWx3 uint8.

    Padding is written only when a picture of another size comes.
    """

    def __init__(self, width: int, height: int, *, value: int = 114, center: bool = True) -> None:
        self.square: Image = np.full((height, width, 3), value, np.uint8)
        self._value = value
        self._center = center
        self._geometry: Geometry | None = None
        self._inner: Image = self.square

    def put(self, image: Image) -> Geometry:
        """Write `image` (HxWx3 uint8) into `square`, over what was there. Raises ValueError for anything else."""
        geometry = self._place(image)
        if (geometry.width, geometry.height) == (geometry.frame_width, geometry.frame_height):
            np.copyto(self._inner, image)
        else:
            cv2.resize(image, (geometry.width, geometry.height), dst=self._inner, interpolation=cv2.INTER_LINEAR)
        return geometry

    def _place(self, image: Image) -> Geometry:
        """Geometry for this picture's size; clears the square when it differs from the last one's."""
        require_picture(image)
        frame_height, frame_width = image.shape[:2]
        known = self._geometry
        if known is not None and (known.frame_width, known.frame_height) == (frame_width, frame_height):
            return known
        height, width = self.square.shape[:2]
        geometry = fit(frame_width, frame_height, width, height, center=self._center)
        self.square[:] = self._value
        bottom, right = geometry.top + geometry.height, geometry.left + geometry.width
        self._inner = self.square[geometry.top : bottom, geometry.left : right]
        self._geometry = geometry
        return geometry


def stretch(image: Image, width: int, height: int) -> Image:
    """Resize to `width` x `height` whatever the ratio. Averages when it shrinks, so that fine patterns don't alias."""
    require_picture(image)
    shrinks = image.shape[0] * image.shape[1] > width * height
    resized: Image = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)
    return resized


def centre_crop(image: Image, width: int, height: int) -> Image:
    """Cut the largest part with the ratio of `width` to `height` from the middle, and resize it."""
    require_picture(image)
    frame_height, frame_width = image.shape[:2]
    scale = min(frame_width / width, frame_height / height)
    part_width, part_height = max(1, round(width * scale)), max(1, round(height * scale))
    left, top = (frame_width - part_width) // 2, (frame_height - part_height) // 2
    return stretch(image[top : top + part_height, left : left + part_width], width, height)


def require_picture(image: Image) -> None:
    """Raise ValueError unless `image` is HxWx3 uint8 and not empty."""
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or image.size == 0:
        raise ValueError(f"a picture is HxWx3 uint8 and not empty; this is {image.shape} {image.dtype}")
