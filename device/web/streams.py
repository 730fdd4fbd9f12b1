"""How many never-ending answers (MJPEG, SSE) the server gives at once, and how they end when it stops."""

from __future__ import annotations

import threading
from collections.abc import Callable


class Slot:
    """The right to one stream. Given back by `release`, however often that is called."""

    def __init__(self, give_back: Callable[[], None]) -> None:
        self._give_back: Callable[[], None] | None = give_back
        self._lock = threading.Lock()

    def release(self) -> None:
        """Let another stream have it."""
        with self._lock:
            give_back, self._give_back = self._give_back, None
        if give_back:
            give_back()


class Streams:
    """Each stream holds a thread of the server, so there are at most `limit`: the others are for ordinary requests."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._free = limit
        self._lock = threading.Lock()
        self._stopping = threading.Event()

    def open(self) -> Slot | None:
        """A slot, or None when all are taken or the server stops."""
        with self._lock:
            if self.stopping or not self._free:
                return None
            self._free -= 1
        return Slot(self._give_back)

    @property
    def free(self) -> int:
        """How many more may be opened."""
        return self._free

    def _give_back(self) -> None:
        with self._lock:
            self._free += 1

    @property
    def stopping(self) -> bool:
        """Streams look at this twice a second and end."""
        return self._stopping.is_set()

    def stop(self) -> None:
        """End all streams, and open no more."""
        self._stopping.set()

    def pause(self, seconds: float) -> None:
        """Sleep, but wake up at once when the server stops."""
        self._stopping.wait(seconds)
