"""The two times: wall-clock time for people, monotonic time for durations."""

from __future__ import annotations

import ctypes
import time
from pathlib import Path
from typing import Protocol

SYNCHRONIZED = Path("/run/systemd/timesync/synchronized")
_TIMEX_BYTES = 208
_TIME_ERROR = 5


class Clock(Protocol):
    """What tells the time, in seconds."""

    def wall(self) -> float:
        """Since 1970; may step, by NTP or by hand."""

    def monotonic(self) -> float:
        """Since some moment; never steps."""


class SystemClock:
    """The machine's own clock."""

    def wall(self) -> float:
        """Since 1970."""
        return time.time()

    def monotonic(self) -> float:
        """Since the machine started."""
        return time.monotonic()


class FakeClock:
    """A clock that stands still until it is told otherwise: for tests."""

    def __init__(self, wall: float = 1_700_000_000.0, monotonic: float = 1000.0) -> None:
        self._wall = wall
        self._monotonic = monotonic

    def wall(self) -> float:
        """Since 1970."""
        return self._wall

    def monotonic(self) -> float:
        """Since an arbitrary moment."""
        return self._monotonic

    def advance(self, seconds: float) -> None:
        """Let time pass, on both."""
        self._wall += seconds
        self._monotonic += seconds

    def step_wall(self, seconds: float) -> None:
        """Set the wall clock forward or back, as NTP does."""
        self._wall += seconds


class JumpDetector:
    """Notices that the wall clock was set: a Pi without a battery starts with the time it was stopped at."""

    def __init__(self, clock: Clock, tolerance_s: float = 2.0) -> None:
        self._clock = clock
        self._tolerance_s = tolerance_s
        self._offset = clock.wall() - clock.monotonic()

    def jumped_s(self) -> float:
        """By how many seconds the wall clock was set since the last call; 0 where it was not, or only slewed."""
        offset = self._clock.wall() - self._clock.monotonic()
        jump = offset - self._offset
        self._offset = offset
        return jump if abs(jump) > self._tolerance_s else 0.0


def synchronized(marker: Path = SYNCHRONIZED) -> bool | None:
    """Whether the wall clock follows a time server; None where that cannot be told.

    systemd-timesyncd leaves a file; with any other client the kernel knows (adjtimex(2) returns TIME_ERROR while
    unsynchronised). The call is refused in the service's sandbox: it could also set the clock.
    """
    if marker.exists():
        return True
    try:
        state = ctypes.CDLL(None).adjtimex(ctypes.create_string_buffer(_TIMEX_BYTES))
    except (OSError, AttributeError):
        return None
    return None if state < 0 else state != _TIME_ERROR
