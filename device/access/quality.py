"""Is this picture of a face good enough, and if not, why not."""

from __future__ import annotations

import cmath
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, get_args

import cv2
import numpy as np
import numpy.typing as npt

from device.access.alignment import SIDE, FloatArray, align, similarity
from device.datatypes import Box, Face, Image
from device.inference.boxes import iou

Reason = Literal[
    "unclear", "too small", "cut off", "crowded", "turned away", "tilted", "too dark", "too bright", "flat", "blurred"
]
REASONS: tuple[Reason, ...] = get_args(Reason)


@dataclass(frozen=True, slots=True)
class Pose:
    """Where a face looks, in degrees. `yaw`: to the right of the picture; `pitch`: down; `roll`: leaning clockwise."""

    yaw: float
    pitch: float
    roll: float


@dataclass(frozen=True, slots=True)
class Quality:
    """What was measured of one face, and why it is not good enough: empty `reasons` where it is.

    `size_px` is the shorter side of its box. `outside` is the share of the aligned crop that lies beyond the picture.
    `brightness` is the mean grey value (0 to 255) of the aligned face, `contrast` their standard deviation, `clipped`
    the share that is burnt out. `sharpness` see `measure_sharpness`. `overlap` is the IoU with the nearest other face.
    """

    size_px: float
    outside: float
    overlap: float
    pose: Pose
    brightness: float
    contrast: float
    clipped: float
    sharpness: float
    reasons: tuple[Reason, ...] = ()


@dataclass(frozen=True, slots=True)
class Limits:
    """What counts as good enough; units as in `Quality`. docs/decisions.md says on which faces they were measured."""

    confidence: float = 0.6
    size_px: float = 48
    outside: float = 0.1
    overlap: float = 0.1
    yaw: float = 45
    pitch: float = 35
    roll: float = 40
    darkest: float = 45
    brightest: float = 215
    clipped: float = 0.25
    contrast: float = 18
    sharpness: float = 0.012


def assess(
    image: Image,
    face: Face,
    others: Sequence[Face],
    template: FloatArray,
    limits: Limits,
    aligned: Image | None = None,
) -> Quality:
    """Measure one face.

    Args:
        image: HxWx3 uint8, RGB: the whole picture.
        face: one of its faces.
        others: the other faces in it.
        template: of the detector, from `alignment.TEMPLATES`.
        limits: what is good enough.
        aligned: what `align` makes of it, where that is at hand already.
    Raises:
        ValueError: landmarks without an orientation.
    """
    crop = align(image, face.landmarks, template) if aligned is None else aligned
    grey = cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY)
    inner = grey[INNER]
    (brightness,), (contrast,) = (values[0] for values in cv2.meanStdDev(inner))
    x1, y1, x2, y2 = face.xyxy
    measured = Quality(
        size_px=min(x2 - x1, y2 - y1),
        outside=_outside(image, face, template),
        overlap=_overlap(face.xyxy, [other.xyxy for other in others]),
        pose=estimate_pose(face.landmarks),
        brightness=float(brightness),
        contrast=float(contrast),
        clipped=float(np.count_nonzero(inner >= BURNT) / inner.size),
        sharpness=measure_sharpness(grey),
    )
    return replace(measured, reasons=_reasons(measured, face, limits))


INNER = np.s_[28:104, 22:90]
"""Rows and columns of an aligned crop that are face, not hair or background."""
BURNT = 250
"""A grey value from which on nothing can be told."""


def _reasons(measured: Quality, face: Face, limits: Limits) -> tuple[Reason, ...]:
    pose = measured.pose
    found: dict[Reason, bool] = {
        "unclear": face.confidence < limits.confidence,
        "too small": measured.size_px < limits.size_px,
        "cut off": measured.outside > limits.outside,
        "crowded": measured.overlap > limits.overlap,
        "turned away": abs(pose.yaw) > limits.yaw or abs(pose.pitch) > limits.pitch,
        "tilted": abs(pose.roll) > limits.roll,
        "too dark": measured.brightness < limits.darkest,
        "too bright": measured.brightness > limits.brightest or measured.clipped > limits.clipped,
        "flat": measured.contrast < limits.contrast,
        "blurred": measured.sharpness < limits.sharpness,
    }
    return tuple(reason for reason in REASONS if found[reason])


NOSE_DEPTH = 0.55
"""How far the nose's tip stands out from the plane of eyes and mouth, over the distance of the eyes: 34 of 62 mm."""
EYES_TO_MOUTH = 1.15
"""Distance of the eyes' middle from the mouth's, over that of the eyes."""
NOSE_DOWN = 0.56
"""Where the nose's tip lies between the eyes (0) and the mouth (1) of a face that looks straight ahead."""


def estimate_pose(landmarks: npt.NDArray[np.floating]) -> Pose:
    """Pose from five landmarks, as seen from afar (without perspective).

    The nose's tip stands out of the plane of eyes and mouth: turning the head moves it along the line of the eyes,
    nodding across it. An estimate of some ten degrees' accuracy: faces differ.

    Args:
        landmarks: 5x2, as of `Face`.
    """
    left, right, nose, left_mouth, right_mouth = (complex(x, y) for x, y in landmarks.tolist())
    across = right - left
    roll = cmath.phase(across)
    level = cmath.rect(1, -roll)
    eyes, mouth = (left + right) / 2 * level, (left_mouth + right_mouth) / 2 * level
    tip = nose * level
    width, height = max(abs(across), 1e-6), max((mouth - eyes).imag, 1e-6)
    # The line that joins eyes and mouth is the face's middle; at the nose's height it passes here.
    middle = eyes.real + (mouth.real - eyes.real) * NOSE_DOWN
    yaw = math.atan((tip.real - middle) / (width * NOSE_DEPTH))
    lower = (tip.imag - eyes.imag) / height - NOSE_DOWN
    pitch = math.atan(lower * EYES_TO_MOUTH / NOSE_DEPTH)
    return Pose(*(math.degrees(angle) for angle in (yaw, pitch, roll)))


def measure_sharpness(grey: npt.NDArray[np.uint8]) -> float:
    """How much of a face's contrast is in its fine detail.

    The energy of the differences between neighbouring pixels' differences (a Laplacian), over the variance: free of the
    light's strength. A face that was enlarged to its crop is as blurred as one out of focus.

    Args:
        grey: an aligned face, 112x112 uint8.
    """
    part = cv2.GaussianBlur(grey.astype(np.float32), (3, 3), 0)[INNER]
    detail, whole = (float(cv2.meanStdDev(of)[1][0, 0]) for of in (cv2.Laplacian(part, cv2.CV_32F), part))
    return detail**2 / max(whole**2, 1.0)


def _grid() -> npt.NDArray[np.float64]:
    """Every fourth pixel of every fourth row of the inner part: (x, y, 1) each."""
    y, x = np.mgrid[INNER[0].start : INNER[0].stop : 4, INNER[1].start : INNER[1].stop : 4].reshape(2, -1)
    return np.stack([x, y, np.ones_like(x)], axis=1).astype(np.float64)


GRID = _grid()
CORNERS = GRID[[np.argmin(GRID @ (x, y, 0)) for x in (1, -1) for y in (1, -1)]]
"""Of the grid."""


def _outside(image: Image, face: Face, template: FloatArray) -> float:
    """Share of the aligned crop's inner part that lies beyond the picture."""
    height, width = image.shape[:2]
    inverse = cv2.invertAffineTransform(similarity(face.landmarks, template))
    if _within(CORNERS @ inverse.T, width, height).all():
        return 0.0  # All that lies between them is within the picture, too.
    inside = _within(GRID @ inverse.T, width, height)
    return float(1 - np.count_nonzero(inside) / len(inside))


def _within(points: npt.NDArray[np.float64], width: int, height: int) -> npt.NDArray[np.bool_]:
    """Which of the points (Nx2) lie on the picture's pixels."""
    within = (points >= -0.5) & (points <= [width - 0.5, height - 0.5])
    return np.asarray(within.all(axis=1), np.bool_)


def _overlap(box: Box, others: Sequence[Box]) -> float:
    if not others:
        return 0.0
    return float(iou(np.array([box], np.float32), np.array(others, np.float32)).max())


assert INNER[0].stop <= SIDE  # The inner part is given in pixels of the crop.
