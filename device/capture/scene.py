"""A drawn street with figures that walk: what the demonstration shows where there is neither a camera nor a network."""

from __future__ import annotations

import math

import cv2
import numpy as np

from device.capture.camera import Raw
from device.datatypes import Image

# Colour of the coat (RGB), speed in picture widths a second, height in picture heights, and when in its round it starts
# (0 to 1).
_FIGURES = (
    ((196, 64, 52), 0.07, 0.42, 0.0),
    ((52, 96, 168), -0.05, 0.36, 0.45),
    ((58, 128, 72), 0.04, 0.30, 0.7),
)


class SceneSource:
    """Endless drawn footage. Picture i shows the moment i / fps, so every run shows the same.

    Args:
        width, height: its size in pixels.
        fps: pictures a second.
    """

    live = False
    queued = False
    loop = False
    description = "a drawn scene, as there is neither a camera nor footage"

    def __init__(self, width: int, height: int, fps: float) -> None:
        self._size = (width, height)
        self._fps = fps
        self._count = 0
        self._street: Image = np.empty((0, 0, 3), np.uint8)

    def open(self) -> None:
        """Paint the street."""
        self._count = 0
        self._street = _paint_street(*self._size)

    def grab(self) -> float:
        """See `Source`."""
        self._count += 1
        return (self._count - 1) / self._fps

    def retrieve(self) -> Raw:
        """See `Source`."""
        picture = self._street.copy()
        time_s = (self._count - 1) / self._fps
        for coat, speed, height, start in _FIGURES:
            _draw_figure(picture, time_s, coat, speed, height, start)
        return Raw(picture, "RGB")

    def close(self) -> None:
        """See `Source`."""


def _paint_street(width: int, height: int) -> Image:
    """Sky, a wall with windows, a pavement; a little grain, so that it is no flat colour."""
    street = np.empty((height, width, 3), np.uint8)
    street[:] = (168, 186, 204)
    cv2.rectangle(street, (0, height // 4), (width, height * 2 // 3), (172, 150, 124), -1)
    for column in range(6):
        left = int((column + 0.25) * width / 6)
        corner = (left + width // 14, int(height * 0.5))
        cv2.rectangle(street, (left, int(height * 0.33)), corner, (74, 88, 104), -1)
    cv2.rectangle(street, (0, height * 2 // 3), (width, height), (126, 126, 130), -1)
    for row in range(3):
        y = int(height * (0.72 + row * 0.1))
        cv2.line(street, (0, y), (width, y), (104, 104, 108), 2)
    grain = np.random.default_rng(7).integers(0, 7, street.shape, np.uint8)
    cv2.add(street, grain, dst=street)
    return street


def _draw_figure(
    picture: Image, time_s: float, coat: tuple[int, int, int], speed: float, height: float, start: float
) -> None:
    """One walker: head, coat, two legs that swing."""
    rows, columns = picture.shape[:2]
    tall = height * rows
    x = ((start + speed * time_s) % 1.0) * (columns + tall) - tall / 2
    foot = rows * (0.66 + height * 0.6)
    swing = math.sin(time_s * 2 * math.pi * 0.9 + start * 6) * tall * 0.13
    for direction in (1, -1):
        hip, sole = (int(x), int(foot - tall * 0.45)), (int(x + direction * swing), int(foot))
        cv2.line(picture, hip, sole, (44, 46, 62), max(2, int(tall * 0.09)))
    centre, half = (int(x), int(foot - tall * 0.62)), (int(tall * 0.12), int(tall * 0.24))
    cv2.ellipse(picture, centre, half, 0, 0, 360, coat, -1)
    cv2.circle(picture, (int(x), int(foot - tall * 0.92)), max(2, int(tall * 0.085)), (214, 172, 142), -1)
