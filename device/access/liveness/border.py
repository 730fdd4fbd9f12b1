"""A rectangle about a face: the edge of a print, or a phone.

Doors, windows and pictures on the wall have edges, too; but where a person stands before one, neck and shoulders hide
what is below the chin. So an edge must pass under the face, with corners to the edges beside it.
"""

from __future__ import annotations

from collections import deque

import cv2
import numpy as np
import numpy.typing as npt

from device.access.liveness.verdict import OPEN, Verdict, View
from device.datatypes import Box, Image

FACE = 40.0
"""Longer side of the face, in pixels, when edges are looked for."""
ABOUT = 3.4
"""Side of what is looked at over that of the face."""
LONG = 0.9
"""Shortest edge, in faces."""
CORNER = 0.3
"""Farthest distance of two edges' ends that make a corner, in faces."""
SQUARE_DEG = 14.0
"""A corner is a right angle to within so much: pictures are seen from the side."""
EVERY_S, LATER_S = 0.4, 2.0
"""An edge doesn't go away: it need not be looked for in every frame, and seldom when enough was seen."""
ENOUGH = 3
"""Looks until it says yes."""
HITS, SHARE = 2, 0.3
"""Looks that found a frame, and their share of all, from which on it says no."""

Segments = npt.NDArray[np.float32]
"""Nx4: x1 y1 x2 y2, in faces, from the middle of the face, y down."""


class Border:
    """The check of one track."""

    def __init__(self) -> None:
        self._found: deque[bool] = deque(maxlen=9)
        self._last: float | None = None

    def forget(self) -> None:
        """See `Check`."""
        self._found.clear()
        self._last = None

    def look(self, view: View) -> Verdict:
        """See `Check`."""
        pause = EVERY_S if len(self._found) < ENOUGH else LATER_S
        if self._last is None or view.now - self._last >= pause - 1e-6:
            self._last = view.now
            self._found.append(framed(view.frame.image, view.face.xyxy))
        hits = sum(self._found)
        share = hits / len(self._found)
        score = 1 - share / (share + SHARE)
        if hits >= HITS and share >= SHARE:
            return Verdict("no", score)
        return Verdict("yes", score) if len(self._found) >= ENOUGH and share < SHARE else OPEN


def framed(image: Image, box: Box) -> bool:
    """Whether an edge passes under a face and makes corners with edges on both sides of it.

    Args:
        image: HxWx3 uint8 RGB: the whole picture.
        box: of the face.
    """
    x1, y1, x2, y2 = box
    segments = find_edges(image, box)
    if not len(segments):
        return False
    longer = max(x2 - x1, y2 - y1)
    half_width, half_height = (x2 - x1) / longer / 2, (y2 - y1) / longer / 2
    middle = (segments[:, :2] + segments[:, 2:]) / 2
    reach = np.abs(segments[:, 2:] - segments[:, :2])
    lying = reach[:, 0] > reach[:, 1]
    beside_x = np.abs(middle[:, 0]) > half_width * 0.9
    below = segments[lying & (middle[:, 1] > half_height * 1.2) & _across(segments, 0)]
    left = segments[~lying & beside_x & (middle[:, 0] < 0) & _across(segments, 1)]
    right = segments[~lying & beside_x & (middle[:, 0] > 0) & _across(segments, 1)]
    return any(_cornered(bottom, left) and _cornered(bottom, right) for bottom in below)


def _across(segments: Segments, axis: int) -> npt.NDArray[np.bool_]:
    """Segments that pass the face's middle along an axis: 0 across, 1 along."""
    low = np.minimum(segments[:, axis], segments[:, axis + 2])
    high = np.maximum(segments[:, axis], segments[:, axis + 2])
    passing: npt.NDArray[np.bool_] = (low < 0.2) & (high > -0.2)
    return passing


def _cornered(edge: npt.NDArray[np.float32], others: Segments) -> bool:
    """Whether one of the others meets this edge at a right angle."""
    if not len(others):
        return False
    ends = edge.reshape(2, 2)
    theirs = others.reshape(-1, 2, 2)
    distance = np.linalg.norm(theirs[:, :, None] - ends[None, None], axis=-1).min(axis=(1, 2))
    angle = np.degrees(np.arctan2(edge[3] - edge[1], edge[2] - edge[0]))
    angles = np.degrees(np.arctan2(others[:, 3] - others[:, 1], others[:, 2] - others[:, 0]))
    off = np.abs((angles - angle) % 180 - 90)
    return bool(((distance < CORNER) & (off < SQUARE_DEG)).any())


def find_edges(image: Image, box: Box) -> Segments:
    """Long straight edges about a face; none where it is too small to have any."""
    x1, y1, x2, y2 = box
    longer = max(x2 - x1, y2 - y1)
    middle = np.array([x1 + x2, y1 + y2]) / 2
    height, width = image.shape[:2]
    left, top = np.clip(middle - longer * ABOUT / 2, 0, [width, height]).astype(int)
    right, bottom = np.clip(middle + longer * ABOUT / 2, 0, [width, height]).astype(int)
    if longer < FACE / 2 or right - left < 8 or bottom - top < 8:
        return np.empty((0, 4), np.float32)
    scale = FACE / longer
    size = round((right - left) * scale), round((bottom - top) * scale)
    grey = cv2.cvtColor(
        cv2.resize(image[top:bottom, left:right], size, interpolation=cv2.INTER_AREA), cv2.COLOR_RGB2GRAY
    )
    edges = cv2.Canny(cv2.GaussianBlur(grey, (3, 3), 0), 30, 90)
    found = cv2.HoughLinesP(edges, 1, np.pi / 180, 18, minLineLength=LONG * FACE, maxLineGap=8)
    if found is None:
        return np.empty((0, 4), np.float32)
    segments = found.reshape(-1, 4).astype(np.float32)
    origin = np.tile((middle - [left, top]) * scale, 2)
    return np.asarray((segments - origin) / FACE, np.float32)
