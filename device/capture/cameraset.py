"""All cameras of a process, served fairly by one loop."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence

from device.capture.reader import Reader
from device.datatypes import CameraHealth, Frame
from device.errors import InputError, SerenoError

TICK_S = 1.0
"""A loop that waits is woken so often: it feeds the watchdog, deals with cameras that are down, and sees that it shall
stop."""

STOP_S = 3.0
"""All cameras together get so long to stop; one that hangs is left behind."""
SLICE_S = 0.25


class CameraSet:
    """Serves several readers in turn.

    Args:
        readers: not started yet, all made with the same condition `changed`.
    Raises:
        ValueError: there are none, or they do not share a condition.
    """

    def __init__(self, readers: Sequence[Reader]) -> None:
        if not readers or any(reader.changed is not readers[0].changed for reader in readers):
            raise ValueError("a camera set needs readers that share one condition")
        self._readers = list(readers)
        self._changed: threading.Condition = readers[0].changed
        self._stopped = False

    def open(self) -> None:
        """Open recordings, so that a missing one is told before anything else runs. Raises as `start`."""
        try:
            for reader in self._readers:
                reader.open()
        except SerenoError:
            self.stop()
            raise

    def start(self) -> None:
        """Start all. Raises InputError (ConfigError of an empty `source`), with all stopped again, where a file or
        folder cannot be read."""
        self.open()
        for reader in self._readers:
            reader.start()

    def require_one(self, timeout_s: float, stop: threading.Event | None = None) -> None:
        """Wait until one camera works, for at most so many seconds, or until `stop` is set.

        Raises:
            InputError: not one could be opened. One that works is enough: the others are tried again for ever.
        """

        def settled() -> bool:
            states = [reader.health().state for reader in self._readers]
            return any(state in ("ok", "ended") for state in states) or "starting" not in states

        deadline = time.monotonic() + timeout_s
        with self._changed:
            while not self._changed.wait_for(settled, min(SLICE_S, max(0.0, deadline - time.monotonic()))):
                if (stop is not None and stop.is_set()) or time.monotonic() >= deadline:
                    break
            if stop is not None and stop.is_set():
                return
            down = [health for health in self.health() if health.state not in ("ok", "ended", "starting")]
        if len(down) == len(self._readers):
            raise InputError("; ".join(health.message for health in down))

    def frames(self, tick_s: float = TICK_S) -> Iterator[Frame | None]:
        """Frames as they come, the cameras in turn; None when none came for `tick_s` seconds.

        Ends when every source has ended and every frame was taken, or after `stop`.

        Raises:
            InputError: a recording ended before its end; said after all others have ended.
        """
        turn = 0
        while True:
            with self._changed:
                self._changed.wait_for(self._due, tick_s)
                if self._stopped:
                    return
                turn, frame = self._next(turn)
                if frame is None and all(reader.ended for reader in self._readers):
                    break
            for reader in self._readers:
                reader.supervise()
            yield frame
        for reader in self._readers:
            if reader.error is not None:
                raise reader.error

    def health(self) -> list[CameraHealth]:
        """How each is doing, in the order of the configuration."""
        return [reader.health() for reader in self._readers]

    def ask_to_stop(self) -> None:
        """End the iteration, and ask every camera to stop, without waiting for it."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()
        for reader in self._readers:
            reader.ask_to_stop()

    def stop(self, timeout_s: float = STOP_S) -> None:
        """Stop every camera and let go of the sources; in `timeout_s` seconds, however many hang."""
        self.ask_to_stop()
        deadline = time.monotonic() + timeout_s
        for reader in self._readers:
            reader.stop(max(0.0, deadline - time.monotonic()))

    def _due(self) -> bool:
        return (
            self._stopped
            or any(reader.waiting for reader in self._readers)
            or all(reader.ended for reader in self._readers)
        )

    def _next(self, turn: int) -> tuple[int, Frame | None]:
        """The next waiting frame, looking from camera number `turn` on; and whose turn is next."""
        count = len(self._readers)
        for step in range(count):
            number = (turn + step) % count
            frame = self._readers[number].take()
            if frame is not None:
                return (number + 1) % count, frame
        return turn, None
