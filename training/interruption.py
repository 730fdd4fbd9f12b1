"""Ctrl-C and SIGTERM: a run stops between two steps, never in the middle of a checkpoint."""

from __future__ import annotations

import signal
import threading
from contextlib import suppress
from types import FrameType, TracebackType

from training.runs import Run

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Stopped(KeyboardInterrupt):
    """The run stopped because it was told to. Not an `Exception`, so that no framework takes it for a fault."""


class Interruption:
    """While the block runs, the first signal only sets `asked`; a second one stops at once.

    with Interruption(run) as interruption:
        for batch in batches:
            learn(batch)
            if at_an_epochs_end:
                save_checkpoint()
            interruption.check()
    """

    def __init__(self, run: Run) -> None:
        self.asked = False
        self._run = run
        self._before: dict[signal.Signals, object] = {}

    def __enter__(self) -> Interruption:
        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.signal(number, self._told) for number in SIGNALS}
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]

    def check(self) -> None:
        """Between two steps, with no file half written.

        Raises:
            Stopped: a signal came.
        """
        if self.asked:
            raise self._stopped("stopped")

    def _told(self, number: int, frame: FrameType | None) -> None:
        del number, frame
        if self.asked:
            raise self._stopped("stopped at once")
        self.asked = True
        self._say("stopping as soon as the step or checkpoint in hand is done; once more stops at once")

    def _stopped(self, how: str) -> Stopped:
        sentence = f"{how}; go on with: {self._run.again}"
        self._say(sentence)
        return Stopped(sentence)

    def _say(self, sentence: str) -> None:
        # A signal may come while something is being written, and Python refuses to write into the same stream then.
        with suppress(RuntimeError):
            self._run.log.info("%s", sentence)
