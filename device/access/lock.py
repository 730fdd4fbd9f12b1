"""The lock, as the door unit sees it. The pin itself belongs to the keeper, a process of its own."""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from device.access.keeperlink import KeeperLink
from device.errors import InputError
from device.system.clock import Clock, FakeClock

log = logging.getLogger(__name__)

State = Literal["locked", "unlocked", "faulty"]
ANSWER_S = 1.0
"""A release that was not confirmed within this time is a fault; the keeper does not do it any later either."""


PERSISTENCE = tuple(
    Path("/sys/module") / chip / "parameters" / "persist_gpio_outputs" for chip in ("pinctrl_rp1", "pinctrl_bcm2835")
)


class LockError(InputError):
    """The lock was not released: the keeper refused, was silent, or is not there."""


@dataclass(frozen=True, slots=True)
class LockMovement:
    """The lock moved.

    `cause` is authorised (released), or why it rests: deadline, asked, daemon-silent, daemon-gone, signal, garbage,
    fault, keeper-lost. `authorisation` is the hash of the audit record (hexadecimal) that the release rested on.
    """

    unlocked: bool
    cause: str
    wall: float
    monotonic: float
    authorisation: str


class Lock(Protocol):
    """What the door unit needs of a lock."""

    @property
    def state(self) -> State:
        """locked, unlocked, or faulty: then nothing may be granted."""

    @property
    def fault(self) -> str:
        """Why it is faulty, in one sentence; empty while it is not."""

    def unlock(self, seconds: float, authorisation: str, by: float = math.inf) -> None:
        """Release the lock for a time; returns when it has moved.

        Args:
            seconds: how long; the keeper's own bound may be less.
            authorisation: SHA-256 of the committed audit record (64 hexadecimal digits), good for one release.
            by: not later than this, on time.monotonic's clock.
        Raises:
            LockError: it has not moved.
        """

    def rest(self) -> None:
        """Lock now."""

    def poll(self) -> list[LockMovement]:
        """What has moved since the last call. To be called by each turn of the loop, and by nothing else: this is
        what tells the keeper that the loop still turns."""

    def close(self) -> None:
        """Lock, and let go of the pin. Harmless when repeated."""


class KeeperLock:
    """The lock behind a keeper."""

    def __init__(self, link: KeeperLink) -> None:
        """`link` is shared with `KeeperInputs` and `KeeperSignals`."""
        self._link = link

    @property
    def state(self) -> State:
        """See Lock."""
        if self.fault:
            return "faulty"
        return "unlocked" if self._link.unlocked else "locked"

    @property
    def fault(self) -> str:
        """See Lock."""
        return self._link.fault

    def unlock(self, seconds: float, authorisation: str, by: float = math.inf) -> None:
        """See Lock."""
        refusal = self._link.release(seconds, authorisation, ANSWER_S, by)
        if refusal:
            raise LockError(f"the lock was not released: {refusal}")

    def rest(self) -> None:
        """See Lock."""
        self._link.send({"do": "rest"})

    def poll(self) -> list[LockMovement]:
        """See Lock."""
        self._link.turn()
        moved, self._link.movements = self._link.movements, []
        return [
            LockMovement(
                bool(news["unlocked"]),
                str(news["cause"]),
                float(news["wall"]),
                float(news["monotonic"]),
                str(news["authorisation"]),
            )
            for news in moved
        ]

    def close(self) -> None:
        """See Lock. What moved by this is still given by `poll`."""
        self._link.close()


def outlives_its_keeper(settings: Sequence[Path] = PERSISTENCE) -> bool | None:
    """Whether this kernel leaves a pin where it was when the process that held it is killed.

    Raspberry Pi's kernels do, unless /boot/firmware/config.txt says `dtparam=strict_gpiod`: a keeper that is killed
    with the lock released then leaves it released, until the next keeper claims the pin.

    Returns:
        None where the kernel does not say (no Raspberry Pi).
    """
    for path in settings:
        try:
            return path.read_text().strip() == "Y"
        except OSError:
            continue
    return None


class FakeLock:
    """A lock without metal that remembers: `FakeLock().pulses == [3.0]` after one release for three seconds."""

    def __init__(self, clock: Clock | None = None, max_unlock_s: float = 10.0) -> None:
        """`clock` ends the releases; it stands still where None."""
        self.pulses: list[float] = []
        self.authorisations: list[str] = []
        self.fault = ""
        self.max_unlock_s = max_unlock_s
        self._clock = clock or FakeClock()
        self._until = 0.0
        self._open = False
        self._movements: list[LockMovement] = []

    @property
    def state(self) -> State:
        """See Lock."""
        if self.fault:
            return "faulty"
        self._expire()
        return "unlocked" if self._open else "locked"

    def unlock(self, seconds: float, authorisation: str, by: float = math.inf) -> None:
        """See Lock; refuses what a keeper refuses."""
        if self._clock.monotonic() > by:
            raise LockError("the lock was not released: it came too late")
        if self.fault or not authorisation or authorisation in self.authorisations or not seconds > 0:
            why = self.fault or (
                "this audit record has released the lock before" if authorisation else "not authorised"
            )
            raise LockError(f"the lock was not released: {why}")
        self._expire()
        self.pulses.append(seconds)
        self.authorisations.append(authorisation)
        self._until = self._clock.monotonic() + min(seconds, self.max_unlock_s)
        if not self._open:
            self._move(True, "authorised")

    def rest(self) -> None:
        """See Lock."""
        if self._open:
            self._move(False, "asked")

    def poll(self) -> list[LockMovement]:
        """See Lock."""
        self._expire()
        moved, self._movements = self._movements, []
        return moved

    def close(self) -> None:
        """See Lock."""
        self.rest()

    def _expire(self) -> None:
        if self._open and self._clock.monotonic() >= self._until:
            self._move(False, "deadline")

    def _move(self, unlocked: bool, cause: str) -> None:
        self._open = unlocked
        self._movements.append(
            LockMovement(unlocked, cause, self._clock.wall(), self._clock.monotonic(), self.authorisations[-1])
        )
