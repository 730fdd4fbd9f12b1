"""The keeper as a process: messages on stdin, news on stdout, and an end that always leaves the lock at rest."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import sys
import time
from collections.abc import Iterator
from typing import Any

from device.access.keeper.journal import Journal
from device.access.keeper.keeper import Keeper
from device.access.keeper.lines import Lines, LinesError, MockLines, open_lgpio
from device.access.keeper.settings import KeeperSettings

LONGEST_MESSAGE = 4096
STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


class Ended(Exception):
    """Why the keeper stops: a cause for the journal."""


class Messages:
    """JSON lines from a pipe that is never waited for."""

    def __init__(self, descriptor: int) -> None:
        os.set_blocking(descriptor, False)
        self._descriptor = descriptor
        self._rest = b""

    def read(self) -> Iterator[dict[str, Any]]:
        """What has arrived.

        Raises:
            Ended: the daemon is gone (what it said last is not done any more), or it sent something else than messages.
        """
        while True:
            try:
                chunk = os.read(self._descriptor, 65_536)
            except BlockingIOError:
                break
            if not chunk:
                raise Ended("daemon-gone")
            self._rest += chunk
        *lines, self._rest = self._rest.split(b"\n")
        if len(self._rest) > LONGEST_MESSAGE:
            raise Ended("garbage")
        for line in lines:
            try:
                message = json.loads(line)
            except ValueError as error:
                raise Ended("garbage") from error
            if not isinstance(message, dict):
                raise Ended("garbage")
            yield message


def tell(news: dict[str, Any]) -> None:
    """Say something to the daemon. One that does not listen is not waited for: the journal has it all.

    Raises:
        Ended: the daemon is gone or has not read for thousands of lines.
    """
    line = (json.dumps(news) + "\n").encode()
    try:
        if os.write(1, line) != len(line):
            raise Ended("daemon-silent")
    except BlockingIOError:
        raise Ended("daemon-silent") from None
    except OSError:
        raise Ended("daemon-gone") from None


def serve(keeper: Keeper, lines: Lines, wakeup: int) -> None:
    """Until there is a reason to stop. Raises Ended, LinesError."""
    messages = Messages(0)
    poll = select.poll()
    poll.register(0, select.POLLIN)
    poll.register(wakeup, select.POLLIN)
    while True:
        due = keeper.due()
        ready = dict(poll.poll(None if due is None else max(0.0, (due - time.monotonic()) * 1000 + 1)))
        if wakeup in ready:
            raise Ended("signal")
        # What is overdue comes before anything that the daemon may still say.
        keeper.turn(time.monotonic())
        if 0 in ready:
            for message in messages.read():
                if message.get("do") == "drive" and isinstance(lines, MockLines):
                    lines.drive(int(message["pin"]), int(message["level"]))
                    continue
                try:
                    keeper.hear(message, time.monotonic())
                except ValueError as error:
                    raise Ended("garbage") from error


def run(settings: KeeperSettings) -> int:
    """Hold the pins until the daemon goes. Returns the exit code: 0 an orderly end, 1 a pin or the journal failed."""
    wakeup, signals = os.pipe()
    os.set_blocking(signals, False)
    os.set_blocking(1, False)
    signal.set_wakeup_fd(signals, warn_on_full_buffer=False)
    for number in STOP_SIGNALS:
        signal.signal(number, lambda _number, _frame: None)
    try:
        journal = Journal(settings.journal)
        lines = _open_lines(settings, journal)
        keeper = Keeper(settings, lines, journal, tell)
    except (LinesError, OSError) as error:
        return _fault(str(error))
    try:
        tell({"event": "ready", "pid": os.getpid(), **keeper.inputs()})
        serve(keeper, lines, wakeup)
    except Ended as end:
        return _end(keeper, journal, str(end))
    except Exception as error:  # noqa: BLE001 (whatever it is, the lock rests; it is told and written down)
        _end(keeper, journal, "fault")
        return _fault(f"{type(error).__name__}: {error}")
    return 0


def rest(settings: KeeperSettings) -> int:
    """Put the pin to rest and leave: for after a daemon and its keeper were killed together."""
    try:
        journal = Journal(settings.journal)
        lines = _open_lines(settings, journal)
        Keeper(settings, lines, journal, lambda _news: None)
        journal.write("stop", cause="rest-only")
    except (LinesError, OSError) as error:
        print(f"keeper: {error}", file=sys.stderr)
        return 1
    return 0


def _open_lines(settings: KeeperSettings, journal: Journal) -> Lines:
    """Raises LinesError."""
    if settings.driver == "mock":
        return MockLines(lambda pin, level: _mock_moved(journal, pin, level))
    return open_lgpio(settings.chip, settings.journal.parent)


def _end(keeper: Keeper, journal: Journal, cause: str) -> int:
    """Rest, whatever else fails on the way."""
    code = 0
    try:
        keeper.rest(cause)
    except Ended:
        pass
    except LinesError as error:
        code = _fault(str(error))
    with contextlib.suppress(OSError):
        journal.write("stop", cause=cause)
    return code


def _fault(sentence: str) -> int:
    with contextlib.suppress(Ended):
        tell({"event": "fault", "message": sentence})
    print(f"keeper: {sentence}", file=sys.stderr)
    return 1


def _mock_moved(journal: Journal, pin: int, level: int) -> None:
    with contextlib.suppress(OSError):
        journal.write("pin", durable=False, pin=pin, level=level)
