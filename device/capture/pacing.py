"""Time in the capture room: which frames are due, how long to wait before the next try, whether a picture is frozen."""

from __future__ import annotations

import math
import threading
import time
import zlib
from dataclasses import dataclass

import numpy as np

from device.datatypes import Image


class Clock:
    """The machine's clocks. Tests hand in one of their own, whose `wait` passes at once."""

    def monotonic(self) -> float:
        """Seconds that never run backwards: NTP may step the wall clock after boot."""
        return time.monotonic()

    def wall(self) -> float:
        """Seconds since 1970."""
        return time.time()

    def wait(self, stop: threading.Event, seconds: float) -> bool:
        """Wait so long, or until `stop` is set; True if it was."""
        return stop.wait(max(0.0, seconds))


class Decimator:
    """Chooses the frames to look at, `fps` a second at most, by their times alone: the same ones at any pace.

    A frame is due when it reaches the next point of a grid of 1/fps steps, so the rate has no drift. A little early
    counts as due: a camera set to that very rate delivers now early, now late, and would lose frames.
    """

    def __init__(self, fps: float) -> None:
        self._step = 1.0 / fps
        self._next: float | None = None
        self._before = 0.0

    def due(self, time_s: float) -> bool:
        """Whether the frame of this time (seconds, never decreasing) is to be looked at."""
        if self._next is None:
            self._next = self._before = time_s
        # A quarter of a step at most, and of a quick source less than half the way from the frame before to this one.
        early = min(self._step / 4, 0.4 * (time_s - self._before))
        self._before = time_s
        if time_s < self._next - early:
            return False
        # After a gap the grid goes on where the frames are; what was missed is not made up for by a burst.
        missed = math.floor((time_s - self._next) / self._step + 1e-6)
        self._next += self._step * (max(0, missed) + 1)
        return True


class Timeline:
    """Turns a recording's presentation times into frames' times: counted from its opening, and on over each loop."""

    def __init__(self) -> None:
        self._base: tuple[float, float] | None = None
        self._offset = 0.0
        self._last = -1.0
        self._interval = 0.0

    def place(self, presented: float, monotonic: float, wall: float) -> tuple[float, float]:
        """The time of the picture presented at `presented` seconds, on the monotonic and the wall clock, which show now
        so much."""
        if self._base is None:
            self._base = (monotonic - presented, wall - presented)
        if self._last >= 0:
            self._interval = presented - self._last
        self._last = presented
        return self._base[0] + self._offset + presented, self._base[1] + self._offset + presented

    def rewind(self) -> bool:
        """The recording starts again, one interval after its last picture; False if it had none, or lasts no time at
        all."""
        if self._last < 0 or self._last + self._interval <= 0:
            return False
        self._offset += self._last + self._interval
        self._last = -1.0
        return True


class Punctuality:
    """How late the pictures of a live source come.

    Where they say when they were taken, on whatever clock, each is compared with the promptest: a backlog that is sent
    after a pause is late, the present after a pause is not. Where they do not, one that comes after a pause may be as
    old as the pause.
    """

    def __init__(self, now: float = 0.0) -> None:
        """`now`: see `restart`."""
        self.restart(now)

    def restart(self, now: float) -> None:
        """The source was opened anew, and that is done `now`."""
        self._last = now
        self._promptest = math.inf
        self._mark = (now, math.inf)
        self.settled = False
        """Whether pictures with times have stopped coming faster than they were taken, so that the promptest is one of
        the present."""

    def late_s(self, now: float, taken: float | None) -> float:
        """Seconds by which a picture may be late that comes `now` and was taken at `taken` on its own clock; infinite
        where that clock has jumped ahead."""
        pause, self._last = now - self._last, now
        if taken is None:
            return pause
        delay, first = now - taken, self._promptest == math.inf
        if delay < self._promptest - JUMP_S and not first:
            return math.inf
        self._promptest = min(self._promptest + DRIFT * pause, delay)
        since, then = self._mark
        if now - since >= SETTLING_S:
            self.settled = self.settled or then - self._promptest < FALL_S
            self._mark = (now, self._promptest)
        # Of the first one nobody knows how late it is; but no more than the time in which nothing came.
        return pause if first else delay - self._promptest


DRIFT = 5e-4
"""Of two clocks against each other, at most: five times what quartz does."""
JUMP_S = 1.0
SETTLING_S, FALL_S = 1.0, 0.1
"""Pictures that come a tenth faster than they were taken, over a second, are a backlog."""


@dataclass
class Backoff:
    """How long to wait before the next try: doubles from `first_s` to `most_s`.

    One second: a camera that was jolted is back at once. Thirty: one that is away for the night costs nothing, and is
    seen again within half a minute.
    """

    first_s: float = 1.0
    most_s: float = 30.0
    _next_s: float = 0.0

    def delay(self) -> float:
        """Seconds to wait now."""
        delay = self._next_s or self.first_s
        self._next_s = min(self.most_s, delay * 2)
        return delay

    def reset(self) -> None:
        """It works again: the next failure is a new one."""
        self._next_s = 0.0


class FreezeWatch:
    """For how long has a live camera shown the very same picture? A sensor's noise never repeats itself."""

    def __init__(self) -> None:
        self._sum = 0
        self._image: Image | None = None
        self._since = 0.0

    def look(self, image: Image, now: float) -> float | None:
        """Seconds since the picture last changed; None where this one is new. `now` in seconds, never decreasing."""
        # A sixty-fourth of the pixels tell nearly every picture from the last one; only if they agree, all are
        # compared.
        checksum = zlib.crc32(image[::8, ::8].tobytes())
        if self._image is not None and checksum == self._sum and np.array_equal(image, self._image):
            return now - self._since
        self._sum, self._image, self._since = checksum, image, now
        return None

    def restart(self, now: float) -> None:
        """The camera was reopened: give it time to show something new."""
        self._since = now
