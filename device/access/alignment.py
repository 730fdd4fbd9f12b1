"""Bringing a face into the position that a face embedder knows, by five landmarks."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from device.datatypes import Image

FloatArray = npt.NDArray[np.float32]
Points = npt.NDArray[np.floating]
"""Nx2, x and y in pixels."""

SIDE = 112
"""Width and height of an aligned face, in pixels."""

ARCFACE_TEMPLATE: FloatArray = np.array(
    [[38.2946, 51.6963], [73.5318, 51.5014], [56.0252, 71.7366], [41.5493, 92.3655], [70.7299, 92.2041]], np.float32
)
"""Where the left eye, right eye, nose tip, left and right corner of the mouth lie (as seen in the picture) in the
112x112 crops that ArcFace nets were trained on: MTCNN's landmarks, from insightface's `face_align.py`."""


def fitted(scale: float, up_px: float) -> FloatArray:
    """ArcFace's template scaled about the crop's middle and moved up: what suits another detector's landmarks.

    Args:
        scale: above 1 makes the face larger in its crop.
        up_px: pixels of the crop.
    Returns:
        5x2 float32.
    """
    middle = SIDE / 2
    template: FloatArray = ((ARCFACE_TEMPLATE - middle) * scale + middle - [0, up_px]).astype(np.float32)
    return template


TEMPLATES: dict[str, FloatArray] = {
    "arcface": ARCFACE_TEMPLATE,
    "yunet": fitted(1.08, 2.0),
    "blazeface": fitted(1.04, 0.0),
}
"""By the decoder of the face detector whose landmarks are aligned. Found with MobileFaceNet on 1,100 photos of 164
people of LFW that are in no test; docs/decisions.md has the figures."""


def similarity(landmarks: Points, template: Points) -> npt.NDArray[np.float64]:
    """The rotation, scale and shift that brings `landmarks` closest to `template` in the least squares.

    In the plane, with points as complex numbers, Umeyama's solution without reflection (PAMI 13(4), 1991) is one
    division.

    Args:
        landmarks: Nx2, at least two points that differ.
        template: Nx2.
    Returns:
        2x3 float64, the matrix that maps a landmark (x, y, 1).
    Raises:
        ValueError: fewer than two points, or all of them in one place.
    """
    given = np.asarray(landmarks, np.float64) @ (1, 1j)
    wanted = np.asarray(template, np.float64) @ (1, 1j)
    if len(given) < 2:
        raise ValueError("landmarks that all lie in one place have no orientation")
    # The mean by hand: numpy's own takes longer than all the rest.
    middle, wanted_middle = given.sum() / len(given), wanted.sum() / len(wanted)
    centred = given - middle
    spread = np.vdot(centred, centred).real
    if spread < 1e-9:
        raise ValueError("landmarks that all lie in one place have no orientation")
    turn = np.vdot(centred, wanted - wanted_middle) / spread
    shift = wanted_middle - turn * middle
    return np.array([[turn.real, -turn.imag, shift.real], [turn.imag, turn.real, shift.imag]])


def align(image: Image, landmarks: Points, template: Points = ARCFACE_TEMPLATE) -> Image:
    """Cut out a face, upright and at the size of the template.

    Args:
        image: HxWx3 uint8, RGB.
        landmarks: 5x2, pixels of the image: eyes, nose tip, corners of the mouth, each from left to right as seen.
        template: 5x2, where they shall lie; see `TEMPLATES`.
    Returns:
        112x112x3 uint8. What lies beyond the picture's edge repeats its last pixels.
    Raises:
        ValueError: landmarks without an orientation.
    """
    matrix = similarity(landmarks, template)
    scale = float(np.hypot(matrix[0, 0], matrix[1, 0]))
    if scale < 0.5:
        image, matrix = _shrunk(image, matrix, scale)
    face: Image = cv2.warpAffine(image, matrix, (SIDE, SIDE), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return face


def _shrunk(image: Image, matrix: npt.NDArray[np.float64], scale: float) -> tuple[Image, npt.NDArray[np.float64]]:
    """A large face is averaged down first: interpolating between its pixels alone would skip most of them."""
    height, width = image.shape[:2]
    # Corners of the crop in the picture, with some room: only that part is resized.
    inverse = cv2.invertAffineTransform(matrix)
    corners = np.array([[0, 0, 1], [SIDE, 0, 1], [0, SIDE, 1], [SIDE, SIDE, 1]]) @ inverse.T
    left, top = np.floor(np.clip(corners.min(axis=0) - 4 / scale, 0, [width - 1, height - 1])).astype(int)
    right, bottom = np.ceil(np.clip(corners.max(axis=0) + 4 / scale, [left + 1, top + 1], [width, height])).astype(int)
    part = image[top:bottom, left:right]
    size = max(1, round(part.shape[1] * scale)), max(1, round(part.shape[0] * scale))
    small: Image = cv2.resize(part, size, interpolation=cv2.INTER_AREA)
    x_scale, y_scale = size[0] / part.shape[1], size[1] / part.shape[0]
    # A pixel's middle (x) lies in the small picture at (x - left + 0.5) * x_scale - 0.5.
    back = np.array(
        [
            [1 / x_scale, 0, left + 0.5 / x_scale - 0.5],
            [0, 1 / y_scale, top + 0.5 / y_scale - 0.5],
            [0, 0, 1],
        ]
    )
    return small, matrix @ back
