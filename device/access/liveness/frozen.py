"""A camera never gives the same picture of a face twice: its noise alone differs.

Where it does, the stream hangs, a recording is repeated, or a picture was put in its place.
"""

from __future__ import annotations

import hashlib
from collections import deque

import cv2
import numpy as np
import numpy.typing as npt

from device.access.liveness.verdict import Verdict, View
from device.datatypes import Image

SMALL = 32
"""Side of the small grey picture by which two frames are called nearly the same."""
DIFFERENT = 0.12
"""Mean difference in grey values from which on two of them differ: see docs/security.md."""
ENOUGH = 5
"""Frames until it says yes."""
STILL_S = 0.6
"""As long as a stream of a slower camera may repeat a picture."""
REMEMBERED = 64
"""Pictures: at 10 a second, a loop of six seconds is found out."""

Grey = npt.NDArray[np.float32]


class Frozen:
    """The check of one track."""

    def __init__(self) -> None:
        self._digests: deque[bytes] = deque(maxlen=REMEMBERED)
        self._last: Grey | None = None
        self._changed_at = 0.0
        self._different = 0
        self._looped = False

    def forget(self) -> None:
        """See `Check`. That a loop was seen is kept."""
        self._digests.clear()
        self._last, self._different = None, 0

    def look(self, view: View) -> Verdict:
        """See `Check`."""
        crop = _crop(view)
        digest = hashlib.blake2b(np.ascontiguousarray(crop).data, digest_size=16).digest()
        repeated = bool(self._digests) and digest == self._digests[-1]
        if not repeated:
            self._looped = self._looped or digest in self._digests
            self._digests.append(digest)
        small = _small(crop)
        if self._last is None:
            self._changed_at = view.now
        elif not repeated and float(np.abs(small - self._last).mean()) >= DIFFERENT:
            self._changed_at = view.now
            self._different += 1
        self._last = small
        if self._looped or view.now - self._changed_at >= STILL_S:
            return Verdict("no", 0.0)
        if self._different + 1 >= ENOUGH:
            return Verdict("yes", 1.0)
        return Verdict("open", 0.5 * self._different / ENOUGH)


def _crop(view: View) -> Image:
    """The face's box, at least one pixel of it."""
    height, width = view.frame.image.shape[:2]
    x1, y1, x2, y2 = view.face.xyxy
    left, top = min(max(int(x1), 0), width - 1), min(max(int(y1), 0), height - 1)
    return view.frame.image[top : max(int(y2), top + 1), left : max(int(x2), left + 1)]


def _small(crop: Image) -> Grey:
    grey = cv2.cvtColor(np.ascontiguousarray(crop), cv2.COLOR_RGB2GRAY)
    return np.asarray(cv2.resize(grey, (SMALL, SMALL), interpolation=cv2.INTER_AREA), np.float32)
