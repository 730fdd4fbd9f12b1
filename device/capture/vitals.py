"""How a camera is doing: the states it goes through, the sentence for each, the counts. No threads, no waiting."""

from __future__ import annotations

import logging
from typing import Literal

from device.capture.pacing import Clock
from device.datatypes import CameraHealth

log = logging.getLogger(__name__)

State = Literal["starting", "ok", "never-opened", "lost", "hung", "ended"]


class Vitals:
    """Keeps a camera's state and says each change once, in the log. Its user holds a lock."""

    def __init__(self, camera: str, clock: Clock) -> None:
        self.state: State = "starting"
        self.frames = 0
        self._camera = camera
        self._clock = clock
        self._message = ""
        self._reconnects = 0
        self._last_good = clock.monotonic()
        self._ever_worked = False
        self._down_since: float | None = None

    def delivered(self, *, fresh: bool) -> None:
        """A frame came. `fresh` is False where it shows the very same picture as the one before: that cures no hang."""
        self.frames += 1
        if self.state == "hung" and not fresh:
            return
        now = self._clock.monotonic()
        if self._down_since is not None:
            self._reconnects += self._ever_worked
            log.info(
                "camera %s works %s after %.0f s",
                self._camera,
                "again" if self._ever_worked else "now",
                now - self._down_since,
            )
        self.state, self._message, self._down_since = "ok", "", None
        self._last_good, self._ever_worked = now, True

    def down(self, fault: str, *, hung: bool = False) -> None:
        """It cannot be opened or read: `fault` says why. A camera that never worked is another matter than a lost
        one."""
        state: State = "hung" if hung else "lost" if self._ever_worked else "never-opened"
        verb = {"hung": "hangs", "lost": "was lost", "never-opened": "cannot be opened"}[state]
        message = f"camera {self._camera} {verb}: {fault}"
        if (state, message) != (self.state, self._message):
            log.warning("%s; trying again until it works", message)
        self.state, self._message = state, message
        if self._down_since is None:
            self._down_since = self._last_good

    def end(self, fault: str = "") -> None:
        """A recording is over; `fault` says why where it ended early."""
        self.state = "ended"
        self._message = f"camera {self._camera} ended early: {fault}" if fault else ""
        if fault:
            log.error("%s", self._message)

    def health(self, dropped: int, hang: str = "") -> CameraHealth:
        """A picture of it now. `hang` says what has been under way for too long, where something has."""
        return CameraHealth(
            camera=self._camera,
            state="hung" if hang else self.state,
            message=f"camera {self._camera} hangs: {hang}" if hang else self._message,
            frames=self.frames,
            dropped=dropped,
            reconnects=self._reconnects,
            down_since=self._last_good if hang and self._down_since is None else self._down_since,
        )
