"""What the keeper does: release for a bounded time, and rest in every other case. No clock and no pipe of its own."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Any

from device.access.keeper.journal import Journal
from device.access.keeper.lamps import sequence
from device.access.keeper.lines import Lines
from device.access.keeper.settings import KeeperSettings

INPUT_POLL_S = 0.05
"""Contacts bounce for some milliseconds: a level counts when two looks this far apart agree."""
LATE = "it came too late"
INPUTS = {"contact": "door contact", "tamper": "tamper switch", "exit": "exit button"}
_AUTHORISATION = re.compile(r"[0-9a-f]{64}")


class Keeper:
    """Holds the pins. `now` is seconds on the machine's monotonic clock, the same for every process."""

    def __init__(
        self, settings: KeeperSettings, lines: Lines, journal: Journal, tell: Callable[[dict[str, Any]], None]
    ) -> None:
        """Claim every pin, the lock's first and at its rest level.

        Raises:
            LinesError: a pin is absent or in use.
            OSError: the journal cannot be written.
        """
        self._settings, self._lines, self._journal, self._tell = settings, lines, journal, tell
        self._since: float | None = None
        self._until = self._heard = 0.0
        self._authorisation = ""
        self._steps: list[tuple[float, int, int]] = []
        self._look_at = 0.0
        lines.claim_output(settings.pin, settings.rest_level, "lock")
        if journal.left_open:
            journal.write("rest", cause="keeper-restarted", authorisation=journal.left_open)
        journal.write("start", cause="claimed-at-rest", pin=settings.pin, level=settings.rest_level)
        for name, pin in settings.outputs.items():
            lines.claim_output(pin, 0, "buzzer" if name == "buzzer" else f"lamp for {name}")
        for name, pin in settings.inputs.items():
            # Contact and tamper switch are closed to ground while all is well, the button while it is pressed.
            lines.claim_input(pin, int(name == "exit"), INPUTS[name])
        self._seen = {name: lines.read(pin) for name, pin in settings.inputs.items()}
        self._stable = dict(self._seen)

    @property
    def unlocked(self) -> bool:
        """Whether the lock is released."""
        return self._since is not None

    def hear(self, message: dict[str, Any], now: float) -> None:
        """Do what the daemon asks. Raises ValueError: that is no message of the daemon's; LinesError."""
        self._heard = now
        word = message.get("do")
        if word == "unlock":
            self._asked(message, now)
        elif word == "rest":
            self.rest("asked")
        elif word == "show" and message.get("signal") in ("granted", "denied", "look", "off"):
            self._steps = [(now + after, *step) for after, *step in sequence(message["signal"], self._settings.outputs)]  # type: ignore[misc]
        elif word != "alive":
            raise ValueError(f"unknown message {message!r}")

    def _asked(self, message: dict[str, Any], now: float) -> None:
        authorisation = message.get("authorisation")
        seconds, by = _number(message.get("seconds")), _number(message.get("by"))
        why = ""
        if not isinstance(authorisation, str) or not _AUTHORISATION.fullmatch(authorisation):
            why, authorisation = "no audit record authorises it", str(authorisation)[:80]
        elif self._journal.used(authorisation):
            why = "this audit record has released the lock before"
        elif seconds <= 0:
            why = "the time is no positive number of seconds"
        elif now > by:
            why = LATE
        if why:
            self._refuse(why, authorisation)
        elif self._since is None:
            self._release(min(seconds, self._settings.max_unlock_s), authorisation, by)
        else:
            self._extend(seconds, authorisation, now)

    def _release(self, seconds: float, authorisation: str, by: float) -> None:
        try:
            self._journal.write("unlock", cause="authorised", authorisation=authorisation, seconds=seconds)
            entry = self._journal.now()
            if entry["monotonic"] > by:
                # The disk was slow, and the daemon has given up: nobody expects the door to open now.
                self._journal.write("rest", cause=LATE, authorisation=authorisation)
                self._refuse(LATE, authorisation)
                return
        except OSError as error:
            self._refuse(f"the journal cannot be written: {error.strerror or error}", authorisation)
            return
        self._since, self._authorisation = entry["monotonic"], authorisation
        self._until = entry["monotonic"] + seconds
        self._lines.write(self._settings.pin, 1 - self._settings.rest_level)
        self._tell({"event": "moved", "unlocked": True, "cause": "authorised", **entry, "authorisation": authorisation})

    def _extend(self, seconds: float, authorisation: str, now: float) -> None:
        """Somebody else may enter while the lock is released. However many do so: the whole time is bounded."""
        assert self._since is not None
        try:
            # Not forced to the disk: a slow one must not delay the end of the release.
            self._journal.write(
                "extend", durable=False, cause="authorised", authorisation=authorisation, seconds=seconds
            )
        except OSError as error:
            self._refuse(f"the journal cannot be written: {error.strerror or error}", authorisation)
            return
        self._until = max(self._until, min(now + seconds, self._since + self._settings.max_unlock_s))
        self._tell({"event": "extended", **self._journal.now(), "authorisation": authorisation})

    def _refuse(self, why: str, authorisation: str) -> None:
        try:
            self._journal.write("refuse", durable=self._since is None, cause=why, authorisation=authorisation)
        except OSError:
            pass
        self._tell({"event": "refused", "why": why, "authorisation": authorisation})

    def rest(self, cause: str) -> None:
        """Put the lock to rest, first the pin, then the journal. Harmless when it is at rest. Raises LinesError."""
        self._lines.write(self._settings.pin, self._settings.rest_level)
        if self._since is None:
            return
        authorisation, self._since, times = self._authorisation, None, self._journal.now()
        try:
            self._journal.write("rest", cause=cause, authorisation=authorisation)
        except OSError:
            # It rests all the same; the daemon is told, and the next release is refused.
            cause += ", journal-failed"
        self._tell({"event": "moved", "unlocked": False, "cause": cause, **times, "authorisation": authorisation})

    def turn(self, now: float) -> None:
        """What is due: the end of a release, a silent daemon, lamps, inputs. Raises LinesError."""
        if self._since is not None and now >= self._until:
            self.rest("deadline")
        elif self._since is not None and now >= self._heard + self._settings.heartbeat_s:
            self.rest("daemon-silent")
        while self._steps and self._steps[0][0] <= now:
            _, pin, level = self._steps.pop(0)
            self._lines.write(pin, level)
        if self._settings.inputs and now >= self._look_at:
            self._look_at = now + INPUT_POLL_S
            self._read_inputs()

    def due(self) -> float | None:
        """The moment of the next turn; None for never."""
        moments = [self._steps[0][0]] if self._steps else []
        if self._since is not None:
            moments += [self._until, self._heard + self._settings.heartbeat_s]
        if self._settings.inputs:
            moments.append(self._look_at)
        return min(moments, default=None)

    def _read_inputs(self) -> None:
        seen = {name: self._lines.read(pin) for name, pin in self._settings.inputs.items()}
        changed = {
            name: level for name, level in seen.items() if self._seen.get(name) == level != self._stable.get(name)
        }
        self._seen = seen
        if changed:
            self._stable.update(changed)
            self._tell({"event": "inputs", **self.inputs()})

    def inputs(self) -> dict[str, bool]:
        """What each wired input says: the door is open, the box is tampered with, the exit button is pressed."""
        return {name: bool(level) != (name == "exit") for name, level in self._stable.items()}


def _number(value: object) -> float:
    """A number of a message; -infinity for what is none."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return -math.inf
    return float(value)
