"""A picture of a face moves as a plane does; a face moves within itself.

Points all over the face are followed between two frames (pyramidal Lucas-Kanade, Bouguet 2001). A homography is fitted:
however a flat picture is moved, turned, tilted or brought nearer, it explains every point (Hartley and Zisserman,
Multiple View Geometry, 13.1). What it doesn't explain is movement within the face: lips, lids, and the nose in front of
the cheeks when the head turns. A picture that is held still doesn't move at all.
"""

from __future__ import annotations

import statistics
from collections import deque

import cv2
import numpy as np
import numpy.typing as npt

from device.access.alignment import FloatArray
from device.access.liveness.patch import PATCH, PLACES, POINTS, POINTS_A_SIDE, Patch
from device.access.liveness.verdict import OPEN, Verdict, View

LIMIT = 0.55
"""Share of a face's width, in percent, that its points must move against the best plane. docs/security.md says how it
was chosen."""
NEAREST_S, FARTHEST_S = 0.25, 0.5
"""How far apart the two frames of a pair are. Sooner, lips have hardly moved; later, too much has."""
WINDOW_S = 1.0
ENOUGH = 3
"""Pairs in which the face could be followed, within the window."""
PATIENCE_S = 2.5
"""From the track's first frame on: somebody who has not moved until then is taken for a picture."""
HOLD_S = 1.5
"""Somebody who has moved is believed for so long without moving again."""
LATER_S = 0.4
"""Pause between frames that are looked at while somebody is believed; before, every frame is."""

WINDOW = (13, 13)
STEPS = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 10, 0.03)
THERE_AND_BACK = 0.7
"""A point that, followed there and back, ends so many pixels from where it began was not followed."""
FEWEST = 30
"""Points that must have been followed."""
ROUNDS = 5
RIDGE = np.float32(1e-4) * np.eye(8, dtype=np.float32)

_UNIT: FloatArray = ((POINTS - PATCH / 2) / (PATCH / 2)).astype(np.float32)


def _homography() -> FloatArray:
    """Nx2x8: how each of a plane's eight freedoms moves each point, x and y (small movements; the same source, 4.1)."""
    x, y = _UNIT.T
    one, none = np.ones_like(x), np.zeros_like(x)
    across = np.stack([one, x, y, none, none, none, x * x, x * y], axis=1)
    along = np.stack([none, none, none, one, x, y, x * y, y * y], axis=1)
    return np.stack([across, along], axis=1).astype(np.float32)


_HOMOGRAPHY = _homography()


class Motion:
    """The check of one track."""

    def __init__(self, limit: float = LIMIT, patience_s: float = PATIENCE_S) -> None:
        """See `LIMIT` and `PATIENCE_S`."""
        self._limit = limit
        self._patience_s = patience_s
        self._patches: deque[tuple[float, Patch]] = deque(maxlen=32)
        self._found: deque[tuple[float, float]] = deque(maxlen=32)
        self._first: float | None = None
        self._moved_at: float | None = None
        self._looked_at = 0.0

    def forget(self) -> None:
        """See `Check`."""
        self._patches.clear()
        self._found.clear()
        self._first = self._moved_at = None

    def look(self, view: View) -> Verdict:
        """See `Check`."""
        now = view.now
        self._first = now if self._first is None else self._first
        if self._rests(now):
            return self._verdict(now)
        earlier = self._earlier(now)
        self._patches.append((now, view.patch))
        self._looked_at = now
        if earlier is not None:
            moved = within_face(earlier, view.patch)
            if moved is not None:
                self._found.append((now, moved))
        return self._verdict(now)

    def _earlier(self, now: float) -> Patch | None:
        """The oldest patch that is not too old to be compared with."""
        while self._patches and now - self._patches[0][0] > FARTHEST_S + 1e-6:
            self._patches.popleft()
        if self._patches and now - self._patches[0][0] >= NEAREST_S - 1e-6:
            return self._patches[0][1]
        return None

    def _rests(self, now: float) -> bool:
        """Whether this frame need not be looked at."""
        return self._moved_at is not None and now - self._moved_at <= HOLD_S and now - self._looked_at < LATER_S - 1e-6

    def _verdict(self, now: float) -> Verdict:
        assert self._first is not None
        while self._found and now - self._found[0][0] > WINDOW_S:
            self._found.popleft()
        score = 0.0
        if len(self._found) >= ENOUGH:
            typical = statistics.median(moved for _, moved in self._found)
            score = typical / (typical + self._limit)
            if typical >= self._limit:
                self._moved_at = now
        if self._moved_at is not None and now - self._moved_at <= HOLD_S:
            return Verdict("yes", max(score, 0.5))
        if self._moved_at is None and now - self._first >= self._patience_s:
            return Verdict("no", score)
        return Verdict("open", score) if score else OPEN


def within_face(one: Patch, other: Patch) -> float | None:
    """How far a face has moved within itself, in percent of its patch's side.

    The 90th percentile over the face of what the best plane leaves unexplained, averaged over neighbouring points: a
    nod moves all of them, a word only the lips, noise neighbours in different ways.

    Returns:
        None where too little of the face could be followed: that is no evidence of anything.
    """
    seen = np.flatnonzero(one.inside & other.inside)
    if len(seen) < FEWEST:
        return None
    points = POINTS[seen]
    level = _levelled(one, other, points)
    if level is None:
        return None
    there, followed = _follow(one.unlit, level, points, levels=1)
    back, returned = _follow(level, one.unlit, there, levels=1)
    kept = followed & returned & (np.abs(back - points).max(axis=1) < THERE_AND_BACK)
    if kept.sum() < FEWEST:
        return None
    left = _unexplained(_HOMOGRAPHY[seen[kept]], (there - points)[kept])
    return _typical(left, PLACES[seen[kept]])


def _levelled(one: Patch, other: Patch, points: FloatArray) -> npt.NDArray[np.uint8] | None:
    """The other patch as a first plane would show it, so that what is left to follow is small."""
    there, followed = _follow(one.unlit, other.unlit, points, levels=2)
    if followed.sum() < FEWEST:
        return None
    plane = cv2.findHomography(points[followed], there[followed], 0)[0]
    if plane is None:
        return None
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    level = cv2.warpPerspective(other.unlit, plane, (PATCH, PATCH), flags=flags, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(level, np.uint8)


def _unexplained(model: FloatArray, moved: FloatArray) -> FloatArray:
    """What is left of movements (Nx2) when those of the best plane are taken away.

    Least squares, weighted again and again by Cauchy's function of what was left: a mouth that opens shall not draw the
    plane after it.
    """
    given, wanted = model.reshape(-1, model.shape[2]), moved.reshape(-1)
    weight = np.ones(len(moved), np.float32)
    left, middle = moved, len(moved) // 2
    for _ in range(ROUNDS):
        each = (given * np.repeat(weight, 2)[:, None]).T
        left = (wanted - given @ np.linalg.solve(each @ given + RIDGE, each @ wanted)).reshape(-1, 2)
        squares = left[:, 0] ** 2 + left[:, 1] ** 2
        weight[:] = 1 / (1 + squares / max(float(np.partition(squares, middle)[middle]), 1e-4))
    return left


def _follow(
    one: npt.NDArray[np.uint8], other: npt.NDArray[np.uint8], points: FloatArray, levels: int
) -> tuple[FloatArray, npt.NDArray[np.bool_]]:
    """Where each point of `one` (Nx2) lies in `other`, and whether it was found."""
    start = np.ascontiguousarray(points[:, None], np.float32)
    there, status, _ = cv2.calcOpticalFlowPyrLK(
        one, other, start, None, winSize=WINDOW, maxLevel=levels, criteria=STEPS, minEigThreshold=5e-4
    )
    return there[:, 0], status[:, 0].astype(bool)


def _typical(left: FloatArray, places: npt.NDArray[np.intp]) -> float | None:
    """The 90th percentile of the residuals, each averaged over its 3x3 neighbours of the grid."""
    residual = np.zeros((POINTS_A_SIDE * POINTS_A_SIDE, 3), np.float32)
    residual[places, :2] = left
    residual[places, 2] = 1
    smooth = cv2.blur(residual.reshape(POINTS_A_SIDE, POINTS_A_SIDE, 3), (3, 3)).reshape(-1, 3)[places]
    sure = smooth[:, 2] >= 3 / 9 - 1e-6
    if sure.sum() < FEWEST / 2:
        return None
    lengths = np.hypot(smooth[sure, 0], smooth[sure, 1]) / smooth[sure, 2]
    tenth = len(lengths) * 9 // 10
    return float(np.partition(lengths, tenth)[tenth]) * 100 / PATCH
