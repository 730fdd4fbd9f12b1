"""Can the wall clock be believed: was it set by a time server, or is it kept by a clock with a battery?"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from device.system.clock import Clock, synchronized

RTC = Path("/sys/class/rtc/rtc0/since_epoch")
EARLIEST = 1_760_000_000
"""Seconds since 1970 of a day in 2025: a hardware clock before that has lost its battery."""
AGREE_S = 60.0
"""The wall clock, set from the hardware clock at boot, is no further from it than this."""
AGAIN_S = 30.0
"""How long an answer holds."""


class ClockTrust:
    """Answers in microseconds; asks the machine now and then. A clock that was once synchronised since boot stays
    trusted: it drifts by seconds a day."""

    def __init__(
        self, clock: Clock, *, synchronized: Callable[[], bool | None] = synchronized, rtc: Path = RTC
    ) -> None:
        self._clock, self._synchronized, self._rtc = clock, synchronized, rtc
        self._asked_at: float | None = None
        self._trusted = self._once = False

    def trusted(self) -> bool:
        """Whether somebody vouches for the time."""
        now = self._clock.monotonic()
        if self._asked_at is None or now - self._asked_at >= AGAIN_S:
            self._asked_at = now
            self._once = self._once or self._synchronized() is True
            self._trusted = self._once or self._kept_by_battery()
        return self._trusted

    def _kept_by_battery(self) -> bool:
        try:
            kept = int(self._rtc.read_text())
        except (OSError, ValueError):
            return False
        return kept >= EARLIEST and abs(kept - self._clock.wall()) <= AGREE_S
