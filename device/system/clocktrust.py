"""Can the wall clock be believed: was it set by a time server, or is it kept by a clock with a battery?"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from device.system.clock import SYNCHRONIZED, Clock, synchronized

RTC = Path("/sys/class/rtc/rtc0/since_epoch")
EARLIEST = 1_760_000_000
"""Seconds since 1970 of a day in 2025: a hardware clock before that has lost its battery."""
AGREE_S = 60.0
"""The wall clock, set from the hardware clock at boot, is no further from it than this. Nor is one that only drifted
since a time server set it."""
AGAIN_S = 30.0
"""How long an answer holds."""


class ClockTrust:
    """Answers in microseconds; asks the machine now and then. A clock that was once synchronised since boot stays
    trusted, since it drifts by seconds a day, until it is set without a time server: then it must be synchronised anew.
    """

    def __init__(
        self,
        clock: Clock,
        *,
        synchronized: Callable[[], bool | None] = synchronized,
        rtc: Path = RTC,
        marker: Path = SYNCHRONIZED,
    ) -> None:
        """`marker`: touched by systemd-timesyncd whenever it has synchronised; it stays there when the clock is set."""
        self._clock, self._synchronized, self._rtc, self._marker = clock, synchronized, rtc, marker
        self._asked_at: float | None = None
        self._trusted = self._stepped = False
        self._offset: float | None = None
        """Wall clock less monotonic clock, seconds, when it was last synchronised."""

    def trusted(self) -> bool:
        """Whether somebody vouches for the time."""
        now = self._clock.monotonic()
        offset = self._clock.wall() - now
        stepped = self._offset is not None and abs(offset - self._offset) > AGREE_S
        if self._asked_at is None or now - self._asked_at >= AGAIN_S or stepped != self._stepped:
            self._asked_at = now
            if self._synchronized() is True and not (stepped and self._marked_before()):
                self._offset, stepped = offset, False
            self._stepped = stepped
            self._trusted = (self._offset is not None and not stepped) or self._kept_by_battery()
        return self._trusted

    def _marked_before(self) -> bool:
        """Whether systemd-timesyncd's mark is there, but from before the clock was set."""
        try:
            return abs(self._marker.stat().st_mtime - self._clock.wall()) > AGREE_S
        except OSError:
            return False

    def _kept_by_battery(self) -> bool:
        try:
            kept = int(self._rtc.read_text())
        except (OSError, ValueError):
            return False
        return kept >= EARLIEST and abs(kept - self._clock.wall()) <= AGREE_S
