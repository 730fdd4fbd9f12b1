"""The one-slot mailbox between a camera's thread and the loop."""

from __future__ import annotations

import threading
from collections.abc import Callable

from device.datatypes import Frame


class Mailbox:
    """Holds the newest frame until it is taken.

    `changed` may be shared by several cameras, so that one consumer waits for all of them. Everything here is done
    under it; a re-entrant lock, so that callers may hold it already.
    """

    def __init__(self, changed: threading.Condition) -> None:
        self.changed = changed
        self.dropped = 0
        """Frames that were replaced by a newer one before anybody took them."""
        self._frame: Frame | None = None

    @property
    def full(self) -> bool:
        """Whether a frame waits."""
        return self._frame is not None

    def put(self, frame: Frame) -> None:
        """Lay the newest frame in, in place of one that nobody took."""
        with self.changed:
            self.dropped += self._frame is not None
            self._frame = frame
            self.changed.notify_all()

    def hand_over(self, frame: Frame, given_up: Callable[[], bool]) -> None:
        """Wait until the slot is free, then lay the frame in; nothing is dropped unless `given_up()` says so."""
        with self.changed:
            self.changed.wait_for(lambda: self._frame is None or given_up())
            if not given_up():
                self._frame = frame
                self.changed.notify_all()

    def take(self) -> Frame | None:
        """The frame, if there is one; the slot is free then."""
        with self.changed:
            frame, self._frame = self._frame, None
            if frame is not None:
                self.changed.notify_all()
            return frame
