"""A face as the motion check sees it: upright, of one size, free of the light's strength."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np
import numpy.typing as npt

from device.access.alignment import SIDE, TEMPLATES, FloatArray, similarity
from device.datatypes import Image

PATCH = 96
"""Side of a patch, in pixels."""
POINTS_A_SIDE = 11
LIGHT_SIDE = 23
"""Side, in pixels, of the square whose mean is taken for the light on its middle."""
EDGE = 4.0
"""Points nearer to the picture's edge than so many pixels of the patch don't count: what lies beyond is made up."""

_TEMPLATE: FloatArray = ((TEMPLATES["yunet"] - SIDE / 2) * (PATCH / SIDE) + PATCH / 2).astype(np.float32)


def _grid() -> tuple[FloatArray, npt.NDArray[np.intp]]:
    """Points of an even grid that lie on a face (an ellipse), Nx2, and their places in the grid."""
    ticks = np.linspace(8, PATCH - 9, POINTS_A_SIDE)
    points = np.stack(np.meshgrid(ticks, ticks), axis=-1).reshape(-1, 2)
    x, y = ((points - PATCH / 2) / PATCH).T
    inside = np.flatnonzero((x / 0.37) ** 2 + (y / 0.44) ** 2 <= 1)
    return points[inside].astype(np.float32), inside


POINTS, PLACES = _grid()


@dataclass(frozen=True, eq=False)
class Patch:
    """`grey`: 96x96 uint8. `inside`: which of `POINTS` lie well within the picture."""

    grey: npt.NDArray[np.uint8]
    inside: npt.NDArray[np.bool_]

    @cached_property
    def unlit(self) -> npt.NDArray[np.uint8]:
        """Divided by its own blur: a lamp that flickers or a highlight that passes shall not look like movement."""
        light = cv2.blur(self.grey, (LIGHT_SIDE, LIGHT_SIDE))
        return np.asarray(cv2.divide(self.grey, cv2.add(light, (3.0,)), scale=110), np.uint8)


def cut_patch(image: Image, landmarks: FloatArray) -> Patch:
    """Cut a face out.

    Args:
        image: HxWx3 uint8 RGB.
        landmarks: 5x2, as of `Face`.
    Raises:
        ValueError: landmarks without an orientation.
    """
    matrix = similarity(landmarks, _TEMPLATE)
    scale = float(np.hypot(matrix[0, 0], matrix[1, 0]))
    inverse = cv2.invertAffineTransform(matrix)
    return Patch(_warped(image, matrix, inverse, scale), _inside(inverse, scale, image))


def _warped(
    image: Image, matrix: npt.NDArray[np.float64], inverse: npt.NDArray[np.float64], scale: float
) -> npt.NDArray[np.uint8]:
    """The patch in grey. Only the part of the picture that it needs is converted and, of a large face, shrunk first."""
    height, width = image.shape[:2]
    corners = np.array([[0, 0, 1], [PATCH, 0, 1], [0, PATCH, 1], [PATCH, PATCH, 1]]) @ inverse.T
    left, top = np.floor(np.clip(corners.min(axis=0) - 4, 0, [width - 1, height - 1])).astype(int)
    right, bottom = np.ceil(np.clip(corners.max(axis=0) + 4, [left + 1, top + 1], [width, height])).astype(int)
    part = cv2.cvtColor(image[top:bottom, left:right], cv2.COLOR_RGB2GRAY)
    matrix = matrix.copy()
    matrix[:, 2] += matrix[:, :2] @ (left, top)
    if scale < 0.5:
        rows, columns = part.shape
        size = max(1, round(columns * scale)), max(1, round(rows * scale))
        part = cv2.resize(part, size, interpolation=cv2.INTER_AREA)
        x, y = columns / size[0], rows / size[1]
        matrix = matrix @ np.array([[x, 0, x / 2 - 0.5], [0, y, y / 2 - 0.5], [0, 0, 1]])
    patch = cv2.warpAffine(part, matrix, (PATCH, PATCH), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(patch, np.uint8)


def _inside(inverse: npt.NDArray[np.float64], scale: float, image: Image) -> npt.NDArray[np.bool_]:
    height, width = image.shape[:2]
    places = POINTS @ inverse[:, :2].T + inverse[:, 2]
    room = EDGE / scale
    within = (places > room) & (places < [width - 1 - room, height - 1 - room])
    return np.asarray(within.all(axis=1), np.bool_)
