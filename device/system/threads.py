"""Threads that cannot die unnoticed."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

log = logging.getLogger(__name__)


class Worker:
    """A daemon thread whose end is somebody's business.

    `target` runs until it returns; that is right only after `stop` was asked for by whoever owns it. When it raises,
    `on_failure(name, error)` is called in the thread: the composition root then ends the process, and
    systemd brings it back.
    """

    def __init__(self, name: str, target: Callable[[], None], on_failure: Callable[[str, BaseException], None]) -> None:
        self.name = name
        self._target = target
        self._on_failure = on_failure
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Start the thread. Raises RuntimeError when called twice."""
        self._thread.start()

    def join(self, timeout_s: float | None = None) -> bool:
        """Wait for its end, for at most `timeout_s` seconds; True if it has ended (or was never started)."""
        if self._thread.ident is None:
            return True
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    @property
    def alive(self) -> bool:
        """Whether it is running."""
        return self._thread.is_alive()

    def _run(self) -> None:
        try:
            self._target()
        except BaseException as error:
            log.exception("thread %s died", self.name)
            self._on_failure(self.name, error)
