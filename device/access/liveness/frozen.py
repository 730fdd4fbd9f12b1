"""A camera never gives the same picture of a face twice: its noise alone differs.

Where it does, the stream hangs, a recording is repeated, or a picture was put in its place.
"""

from __future__ import annotations

import hashlib
from collections import deque

import numpy as np

from device.access.alignment import FloatArray
from device.access.liveness.verdict import Verdict, View

DIFFERENT = 0.12
"""Mean difference of the small pictures of two frames, in grey values, from which on they differ."""
ENOUGH = 5
"""Frames until it says yes."""
STILL_S = 0.6
"""As long as a stream of a slower camera may repeat a picture."""
REMEMBERED = 64
"""Pictures: at 10 a second, a loop of six seconds is found out."""


class Frozen:
    """The check of one track."""

    def __init__(self) -> None:
        self._digests: deque[bytes] = deque(maxlen=REMEMBERED)
        self._last: FloatArray | None = None
        self._changed_at = 0.0
        self._different = 0
        self._looped = False

    def forget(self) -> None:
        """See `Check`. That a loop was seen is kept."""
        self._digests.clear()
        self._last, self._different = None, 0

    def look(self, view: View) -> Verdict:
        """See `Check`."""
        digest = hashlib.blake2b(view.crop.data, digest_size=16).digest()
        repeated = bool(self._digests) and digest == self._digests[-1]
        if not repeated:
            self._looped = self._looped or digest in self._digests
            self._digests.append(digest)
        small = view.small
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
