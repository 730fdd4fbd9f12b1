"""The word to systemd: ready, alive, stopping. Fed by the loop's own turns, never by a timer: a hang is noticed."""

from __future__ import annotations

import logging
import os
import socket
import time
from collections import deque
from collections.abc import Callable, Mapping
from typing import Protocol

log = logging.getLogger(__name__)

PING_INTERVAL_S = 1.0
"""Turns that follow each other more quickly are told once: the service's limit is many times longer."""


class Notifier(Protocol):
    """Who passes a state to systemd."""

    def notify(self, state: str) -> None:
        """Send one `NAME=value`, as in sd_notify(3)."""


class SystemdNotifier:
    """Sends states to the socket that systemd named; a systemd that does not listen is no reason to stop watching."""

    def __init__(self, address: str) -> None:
        # A leading @ stands for a NUL: a socket that is in no folder.
        self._address = "\0" + address[1:] if address.startswith("@") else address
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK)

    def notify(self, state: str) -> None:
        """Send one state; what cannot be sent is logged."""
        try:
            self._socket.sendto(state.encode(), self._address)
        except OSError as error:
            log.debug("systemd did not hear %s: %s", state, error)


class Watchdog:
    """Tells systemd how the daemon is doing; without a `NOTIFY_SOCKET` nobody is told.

    `history` holds the last states, told or not: for tests.
    """

    def __init__(
        self,
        *,
        notifier: Notifier | None = None,
        clock: Callable[[], float] = time.monotonic,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        env = os.environ if environment is None else environment
        address = env.get("NOTIFY_SOCKET")
        self._notifier = notifier or (SystemdNotifier(address) if address else None)
        self._clock = clock
        self._last_ping = -PING_INTERVAL_S
        self._status = ""
        self.timeout_s = _microseconds(env.get("WATCHDOG_USEC")) if _meant_for_us(env) else None
        self.history: deque[str] = deque(maxlen=1000)

    def ready(self) -> None:
        """Cameras, models and storage are set up: the service counts as started."""
        self._tell("READY=1")

    def ping(self) -> None:
        """The loop turned: it processed a frame, or dealt with a camera that is known to be down."""
        now = self._clock()
        if now - self._last_ping >= PING_INTERVAL_S:
            self._last_ping = now
            self._tell("WATCHDOG=1")

    def stopping(self) -> None:
        """The end was asked for; open events are being finished."""
        self._tell("STOPPING=1")

    def extend(self, seconds: float) -> None:
        """Starting or stopping takes so many seconds more; tell again before they are over."""
        self._tell(f"EXTEND_TIMEOUT_USEC={int(seconds * 1_000_000)}")

    def status(self, text: str) -> None:
        """One line for `systemctl status`; told only where it has changed."""
        line = " ".join(text.split())
        if line != self._status:
            self._status = line
            self._tell(f"STATUS={line}")

    def _tell(self, state: str) -> None:
        self.history.append(state)
        if self._notifier is not None:
            self._notifier.notify(state)


def _meant_for_us(env: Mapping[str, str]) -> bool:
    return env.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())


def _microseconds(text: str | None) -> float | None:
    """The limit that the service sets, in seconds; None where it sets none."""
    return int(text) / 1_000_000 if text and text.isdigit() else None
