"""A canvas for shaded shapes with soft edges, in colour."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import cv2
import numpy as np
import numpy.typing as npt

Colour = Sequence[float] | npt.NDArray[np.float64]
FloatImage = npt.NDArray[np.float32]
BITS = 4
"""Of a pixel's fraction, for the corners of polygons."""


def background(rng: np.random.Generator, width: int, height: int) -> FloatImage:
    """Blurred blotches of calm colours, HxWx3 float32 0..255 RGB."""
    tone = rng.uniform(70, 190, 3)
    blotches = np.clip(tone + rng.normal(0, 32, (5, 6, 3)), 10, 245).astype(np.float32)
    return np.asarray(cv2.resize(blotches, (width, height), interpolation=cv2.INTER_CUBIC), dtype=np.float32)


class Canvas:
    """Shapes in coordinates of their own: the unit, the middle and the turn are the canvas's."""

    def __init__(self, pixels: FloatImage, middle: tuple[float, float], unit: float, turn: float = 0.0) -> None:
        """Begin on a background.

        Args:
            pixels: what `background` made; it is painted over.
            middle: (x, y) of the shapes' origin, in pixels.
            unit: their 1, in pixels.
            turn: in degrees, clockwise.
        """
        self.pixels = pixels
        self.touched = np.zeros(pixels.shape[:2], np.float32)
        self._middle = np.array(middle)
        self._unit = unit
        angle = math.radians(turn)
        self._turn = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])

    def polygon(self, points: Iterable[Sequence[float]], colour: Colour, opacity: float = 1.0, blur: float = 0) -> None:
        """Fill a polygon; `blur` is the width of its soft edge, in units."""
        place = np.asarray(list(points), float) @ self._turn.T * self._unit + self._middle
        height, width = self.touched.shape
        margin = 3 * blur * self._unit + 2
        left, top = (max(0, int(low - margin)) for low in place.min(0))
        right = min(width, int(place[:, 0].max() + margin) + 1)
        bottom = min(height, int(place[:, 1].max() + margin) + 1)
        if right <= left or bottom <= top:
            return
        mask = np.zeros((bottom - top, right - left), np.float32)
        corners = np.round((place - (left, top)) * (1 << BITS)).astype(np.int32)
        cv2.fillPoly(mask, [corners], 1.0, cv2.LINE_AA, BITS)
        if blur:
            mask = np.asarray(cv2.GaussianBlur(mask, (0, 0), blur * self._unit), np.float32)
        mask *= opacity
        part = (slice(top, bottom), slice(left, right))
        self.pixels[part] += (np.asarray(colour, np.float32) - self.pixels[part]) * mask[..., None]
        self.touched[part] = np.maximum(self.touched[part], mask)

    def ellipse(
        self, x: float, y: float, wide: float, high: float, colour: Colour, opacity: float = 1.0, blur: float = 0,
        turn: float = 0,
    ) -> None:  # fmt: skip
        """Fill an ellipse of half axes `wide` and `high`, turned by degrees."""
        self.polygon(ring(x, y, wide, high, turn), colour, opacity, blur)

    def box(self) -> tuple[int, int, int, int]:
        """x1, y1, x2, y2 in pixels, around all that was painted."""
        rows, columns = (np.flatnonzero((self.touched > 0.5).any(axis)) for axis in (1, 0))
        return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


def ring(x: float, y: float, wide: float, high: float, turn: float = 0) -> npt.NDArray[np.float64]:
    """60 points of an ellipse, 60x2."""
    around = np.linspace(0, 2 * math.pi, 60, endpoint=False)
    cosine, sine = math.cos(math.radians(turn)), math.sin(math.radians(turn))
    across, along = wide * np.cos(around), high * np.sin(around)
    return np.stack([x + across * cosine - along * sine, y + across * sine + along * cosine], 1)


def develop(pixels: FloatImage, rng: np.random.Generator, noise: float = 5.0) -> npt.NDArray[np.uint8]:
    """As a camera would: a little blurred, brighter or darker, with noise. HxWx3 uint8 RGB."""
    picture = cv2.GaussianBlur(pixels, (0, 0), 0.6) * np.float32(rng.uniform(0.8, 1.15))
    picture += np.float32(rng.uniform(-12, 12)) + rng.normal(0, noise, picture.shape).astype(np.float32)
    return np.clip(picture, 0, 255).astype(np.uint8)
