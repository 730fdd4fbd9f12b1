"""Changes to an aligned face that do not change whose it is."""

from __future__ import annotations

import cv2
import numpy as np

from device.datatypes import Image

SHIFT_PX = 1.5
TURN_DEG = 3.0
ZOOM = 0.03
"""How far landmarks of the same face wander: standard deviations would be half of that; drawn evenly."""

LIGHT = 30.0
CONTRAST = 0.25
SMALLEST = 0.35
"""Of 112 pixels: a face 39 pixels wide, scaled up as the alignment would."""


def augmented(face: Image, rng: np.random.Generator) -> Image:
    """The face, mirrored half the time, moved a little, lighter or darker, with more or less contrast, less sharp.

    Args:
        face: 112x112x3 uint8.
        rng: all chance comes from it.
    Returns:
        Another 112x112x3 uint8.
    """
    if rng.random() < 0.5:
        face = np.ascontiguousarray(face[:, ::-1])
    if rng.random() < 0.5:
        face = _moved(face, rng)
    if rng.random() < 0.3:
        face = _coarse(face, rng.uniform(SMALLEST, 1.0))
    gain = 1 + rng.uniform(-CONTRAST, CONTRAST)
    lift = rng.uniform(-LIGHT, LIGHT)
    values = (face.astype(np.float32) - 127.5) * np.float32(gain) + np.float32(127.5 + lift)
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)


def _moved(face: Image, rng: np.random.Generator) -> Image:
    side = face.shape[0]
    turn, zoom = rng.uniform(-TURN_DEG, TURN_DEG), 1 + rng.uniform(-ZOOM, ZOOM)
    matrix = cv2.getRotationMatrix2D(((side - 1) / 2, (side - 1) / 2), turn, zoom)
    matrix[:, 2] += rng.uniform(-SHIFT_PX, SHIFT_PX, 2)
    return cv2.warpAffine(face, matrix, (side, side), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)


def _coarse(face: Image, factor: float) -> Image:
    """Down and up again: a face seen from further away."""
    side = face.shape[0]
    small = cv2.resize(face, (max(8, round(side * factor)),) * 2, interpolation=cv2.INTER_AREA)
    return cv2.resize(small, (side, side), interpolation=cv2.INTER_LINEAR)
