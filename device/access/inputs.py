"""The door's contact and the tamper switch: what they say, and when it is an alarm."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

from device.access.keeperlink import KeeperLink

Contact = Literal["open", "closed", "absent"]
Alarm = Literal["", "forced", "held-open"]


@dataclass(frozen=True, slots=True)
class InputState:
    """What is wired to the door, now.

    `contact` is absent where none is wired. `tampered` is True while the box is open or the switch's wire is cut.
    `exit` is True while somebody inside presses the exit button (its second contact: the first one is hard-wired).
    """

    contact: Contact
    tampered: bool
    exit: bool = False


class Inputs(Protocol):
    """What reads them."""

    def read(self) -> InputState:
        """The state now. Never waits."""


class KeeperInputs:
    """The inputs as the keeper of the lock reported them last."""

    def __init__(self, link: KeeperLink, contact: bool, tamper: bool) -> None:
        """`contact` and `tamper` say what is wired: without a keeper that works they read as open and tampered."""
        self._link, self._contact, self._tamper = link, contact, tamper

    def read(self) -> InputState:
        """See Inputs."""
        seen = {} if self._link.fault else self._link.inputs
        contact: Contact = "absent"
        if self._contact:
            contact = "open" if seen.get("contact", True) else "closed"
        return InputState(contact, self._tamper and seen.get("tamper", True), seen.get("exit", False))


class FakeInputs:
    """Inputs that say what they are told to."""

    def __init__(self, state: InputState | None = None) -> None:
        self.state = state or InputState("absent", tampered=False)

    def read(self) -> InputState:
        """See Inputs."""
        return self.state


class DoorWatch:
    """Tells a door that was forced, or is held open, from one that was opened rightly. Has no clock of its own."""

    def __init__(self, held_open_s: float = 30.0, grace_s: float = 1.5) -> None:
        """Args:
        held_open_s: a door that has been open for longer is held open.
        grace_s: a door may still open so long after the lock went to rest, or the exit button was let go.
        """
        self._held_open_s, self._grace_s = held_open_s, grace_s
        self._opened_at: float | None = None
        self._free_until = float("-inf")
        self._forced = False

    def update(self, inputs: InputState, unlocked: bool, now: float) -> Alarm:
        """The alarm that stands now, empty for none. A forced door stays one until it is closed.

        Args:
            inputs: the contacts.
            unlocked: whether the lock is released.
            now: monotonic seconds, never before the last call's.
        """
        if unlocked or inputs.exit:
            self._free_until = now + self._grace_s
        if inputs.contact != "open":
            self._opened_at, self._forced = None, False
            return ""
        if self._opened_at is None:
            self._opened_at = now
            self._forced = now > self._free_until
        if self._forced:
            return "forced"
        return "held-open" if now - self._opened_at > self._held_open_s else ""
