"""A face brought near: turned upright and enlarged or shrunk until it fills a detector's input."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from device.datatypes import Box, Image

ROOM = 1.3
"""Side of what is looked at again over that of the face."""
MARGIN = 3
"""Pixels about what is needed, for rounding."""

Matrix = npt.NDArray[np.float64]
"""2x3: from pixels of the picture to those of the square."""


class NearSquare:
    """Cuts faces out into one square (or rectangle) that is reused. Not thread-safe: whoever shares one locks."""

    def __init__(self, width: int, height: int) -> None:
        """Size of the input, in pixels."""
        self._size = width, height
        self._corners = np.array([[0, 0, 1], [width, 0, 1], [0, height, 1], [width, height, 1]], np.float64)
        self._square: Image = np.empty((height, width, 3), np.uint8)
        self._turned: Image = np.empty((height, width, 4), np.uint8)
        self._picture: Image = np.empty((0, 0, 4), np.uint8)

    def matrix(self, box: Box, roll_deg: float) -> Matrix:
        """Where the square is to show a face: in its middle, turned back by `roll_deg`.

        Args:
            box: of the face, in pixels of the picture; not empty.
            roll_deg: how far it leans, clockwise.
        """
        width, height = self._size
        x1, y1, x2, y2 = box
        scale = min(width, height) / (max(x2 - x1, y2 - y1) * ROOM)
        matrix = cv2.getRotationMatrix2D(((x1 + x2) / 2, (y1 + y2) / 2), roll_deg, scale)
        matrix[:, 2] += (width - x1 - x2) / 2, (height - y1 - y2) / 2
        return np.asarray(matrix, np.float64)

    def cut(self, image: Image, matrix: Matrix) -> Image:
        """Show that part of a picture; what lies beyond its edges is black.

        Args:
            image: HxWx3 uint8 RGB.
            matrix: from `matrix`.
        Returns:
            HxWx3 uint8 of the square's size, until the next call.
        """
        # OpenCV turns pixels of four bytes twice as fast as those of three, to the same values.
        turned = cv2.warpAffine(
            self._widened(image, matrix), matrix, self._size, dst=self._turned, flags=cv2.INTER_LINEAR
        )
        cv2.cvtColor(turned, cv2.COLOR_RGBA2RGB, dst=self._square)
        return self._square

    def _widened(self, image: Image, matrix: Matrix) -> Image:
        """The picture with four bytes a pixel where the square needs it; elsewhere it holds what it held before."""
        height, width = image.shape[:2]
        if self._picture.shape[:2] != (height, width):
            self._picture = np.empty((height, width, 4), np.uint8)
        corners = self._corners @ cv2.invertAffineTransform(matrix).T
        (x1, y1), (x2, y2) = corners.min(axis=0).tolist(), corners.max(axis=0).tolist()
        left, top = max(0, int(x1) - MARGIN), max(0, int(y1) - MARGIN)
        right, bottom = min(width, int(x2) + MARGIN + 1), min(height, int(y2) + MARGIN + 1)
        if right > left and bottom > top:
            cv2.cvtColor(image[top:bottom, left:right], cv2.COLOR_RGB2RGBA, dst=self._picture[top:bottom, left:right])
        return self._picture
