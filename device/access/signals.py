"""Lamps and buzzer at the door."""

from __future__ import annotations

from typing import Literal, Protocol

from device.access.keeperlink import KeeperLink

Signal = Literal["granted", "denied", "look", "off"]


class Signals(Protocol):
    """What tells the people at the door."""

    def show(self, signal: Signal) -> None:
        """Say it; the last word counts, and the lamps go out by themselves. Never waits, never fails."""


class KeeperSignals:
    """The outputs of the keeper of the lock: see `device.access.keeper.lamps` for what is lit how long."""

    def __init__(self, link: KeeperLink) -> None:
        self._link = link

    def show(self, signal: Signal) -> None:
        """See Signals."""
        self._link.send({"do": "show", "signal": signal})


class FakeSignals:
    """Remembers what was shown."""

    def __init__(self) -> None:
        self.shown: list[Signal] = []

    def show(self, signal: Signal) -> None:
        """See Signals."""
        self.shown.append(signal)
