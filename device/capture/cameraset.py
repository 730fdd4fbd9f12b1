"""All cameras of a process, served fairly by one loop."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence

from device.capture.reader import Reader
from device.datatypes import CameraHealth, Frame
from device.errors import InputError

TICK_S = 1.0
"""A loop that waits is woken so often: it feeds the watchdog, deals with cameras that are down, and sees that it shall
stop."""


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

    def start(self) -> None:
        """Start all. Raises InputError, with all stopped again, where a file or folder cannot be read."""
        try:
            for reader in self._readers:
                reader.start()
        except InputError:
            self.stop()
            raise

    def require_one(self, timeout_s: float) -> None:
        """Wait until one camera works, for at most so many seconds.

        Raises:
            InputError: not one could be opened. One that works is enough: the others are tried again for ever.
        """

        def settled() -> bool:
            states = [reader.health().state for reader in self._readers]
            return any(state in ("ok", "ended") for state in states) or "starting" not in states

        with self._changed:
            self._changed.wait_for(settled, timeout_s)
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

    def stop(self) -> None:
        """End the iteration, stop every camera, and let go of the sources."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()
        for reader in self._readers:
            reader.ask_to_stop()
        for reader in self._readers:
            reader.stop()

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
