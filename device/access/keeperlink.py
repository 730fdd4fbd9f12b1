"""The daemon's end of the keeper's pipes: starts it, hears it, and starts another one where it was lost."""

from __future__ import annotations

import contextlib
import json
import logging
import math
import os
import select
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import device
from device.access.keeper.settings import KeeperSettings

log = logging.getLogger(__name__)

START_S = 10.0
"""A keeper that has not claimed its pins by then is faulty."""
REST_S = 1.0
"""A keeper that has not put the lock to rest so long after its own bound hangs: the next one will."""
CLOSE_S = 3.0
RESTART_S = (2.0, 60.0)
"""Pause before a keeper that failed is started again, and up to what it grows; one that had worked is followed at once.
"""
SETTINGS_FILE = "keeper.json"
"""Beside the journal; for `python -m device.access.keeper --rest FILE`."""


class KeeperLink:
    """One keeper after the other. Belongs to the thread of the loop.

    `unlocked`, `inputs` (contact, tamper, exit: see `Keeper.inputs`) and `movements` are what was heard last; `fault`
    is a sentence while there is no keeper that works.
    """

    def __init__(self, settings: KeeperSettings) -> None:
        """Start a keeper and wait until it holds its pins. One that cannot leaves a `fault`, no exception."""
        self._settings = settings
        self.unlocked = False
        self.fault = "the keeper of the lock has not been started"
        self.inputs: dict[str, bool] = {}
        self.movements: list[dict[str, Any]] = []
        self._answers: list[dict[str, Any]] = []
        self._authorisation = ""
        self._process: subprocess.Popen[bytes] | None = None
        self._closed = False
        self._unread = b""
        self._start_at = 0.0
        self._pause_s = RESTART_S[0]
        self._due_at = float("inf")
        self._said = ""
        self._start()
        self._wait(START_S, lambda: not self.fault or self._process is None)
        if self.fault:
            self._say(self.fault)

    @property
    def pid(self) -> int | None:
        """The keeper's process; None while there is none."""
        return self._process.pid if self._process else None

    def _start(self) -> None:
        self._unread = b""
        self._due_at = time.monotonic() + START_S
        try:
            folder = self._settings.journal.parent
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            (folder / SETTINGS_FILE).write_text(self._settings.to_json() + "\n")
            self._process = subprocess.Popen(
                [sys.executable, "-m", "device.access.keeper", self._settings.to_json()],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                cwd=Path(device.__file__).parents[1],
                # Ctrl-C is for the daemon; the keeper follows it by the end of the pipe.
                start_new_session=True,
            )
        except OSError as error:
            self._lost(f"the keeper of the lock cannot be started: {error.strerror or error}")
            return
        assert self._process.stdin
        assert self._process.stdout
        os.set_blocking(self._process.stdin.fileno(), False)
        os.set_blocking(self._process.stdout.fileno(), False)

    def _lost(self, sentence: str) -> None:
        """There is no keeper now: what was released rests, as far as can be known."""
        worked = not self.fault
        self.fault = sentence
        process, self._process = self._process, None
        if process is not None:
            for pipe in (process.stdin, process.stdout):
                if pipe is not None:
                    with contextlib.suppress(OSError):
                        pipe.close()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(0.0 if process.poll() is not None else 0.2)
        if self.unlocked:
            self.unlocked = False
            self.movements.append(
                {"unlocked": False, "cause": "keeper-lost", "authorisation": self._authorisation, **_now()}
            )
        self._start_at = time.monotonic() + self._pause_s
        self._pause_s = min(2 * self._pause_s, RESTART_S[1])
        if worked and not self._closed:
            # At once: the kernel may keep a dead keeper's pin where it was, and the next one claims it at rest.
            self._say(sentence)
            self._start()

    def _say(self, sentence: str) -> None:
        """To the log, once for each fault."""
        if sentence != self._said:
            log.error("the lock is faulty: %s", sentence)
            self._said = sentence

    def turn(self) -> None:
        """One turn of the daemon's loop: a sign of life, the news, and a new keeper where one is due."""
        if self._closed:
            return
        self.send({"do": "alive"})
        self._hear()
        if self._process is not None and time.monotonic() > self._due_at:
            self._kill("the keeper of the lock hangs")
        if self._process is None and time.monotonic() >= self._start_at:
            self._start()

    def send(self, message: dict[str, Any]) -> bool:
        """Whether the message is on its way."""
        if self._process is None or self._process.stdin is None:
            return False
        try:
            os.write(self._process.stdin.fileno(), (json.dumps(message) + "\n").encode())
        except BlockingIOError:
            self._kill("the keeper of the lock does not listen any more")
            return False
        except OSError:
            self._hear()
            return False
        return True

    def release(self, seconds: float, authorisation: str, answer_s: float, by: float = math.inf) -> str:
        """Ask for a release and wait for the answer. Returns the refusal; empty where the lock has moved.

        The keeper does it by the moment `by` of time.monotonic, or within `answer_s`, whichever is first, or never.
        """
        if self.fault:
            return self.fault
        self._answers.clear()
        by = min(by, time.monotonic() + answer_s)
        if not self.send({"do": "unlock", "seconds": seconds, "authorisation": authorisation, "by": by}):
            return self.fault or "the keeper does not listen"
        self._wait(answer_s, lambda: bool(self._answers) or bool(self.fault))
        if self._answers:
            return str(self._answers[0].get("why", ""))
        if not self.fault:
            self._kill("the keeper of the lock did not answer")
        return self.fault

    def _wait(self, seconds: float, done: Any) -> None:
        """Hear the keeper until `done`, or for so many seconds."""
        deadline = time.monotonic() + seconds
        while not done():
            left = deadline - time.monotonic()
            if left <= 0 or self._process is None or self._process.stdout is None:
                return
            select.select([self._process.stdout], [], [], left)
            self._hear()

    def _hear(self) -> None:
        """Take in what the keeper has said. Never waits."""
        while self._process is not None and self._process.stdout is not None:
            try:
                chunk = os.read(self._process.stdout.fileno(), 65_536)
            except BlockingIOError:
                return
            except OSError:
                chunk = b""
            if not chunk:
                self._lost(self.fault or "the keeper of the lock has ended")
                return
            *lines, self._unread = (self._unread + chunk).split(b"\n")
            try:
                for line in lines:
                    self._take(json.loads(line))
            except (ValueError, KeyError):
                self._kill("the keeper of the lock said something that is no message")

    def _take(self, news: dict[str, Any]) -> None:
        event = news.pop("event")
        if event == "ready":
            self.fault, self._said, self._pause_s, self._due_at = "", "", RESTART_S[0], float("inf")
            self.unlocked = False
            self._take_inputs(news)
        elif event == "moved":
            self.unlocked, self._authorisation = bool(news["unlocked"]), str(news["authorisation"])
            self.movements.append(news)
            self._due_at = time.monotonic() + self._settings.max_unlock_s + REST_S if self.unlocked else float("inf")
            if self.unlocked:
                self._answers.append(news)
        elif event in ("refused", "extended"):
            self._answers.append(news)
        elif event == "inputs":
            self._take_inputs(news)
        elif event == "fault":
            self.fault = str(news["message"])
            self._say(self.fault)

    def _take_inputs(self, news: dict[str, Any]) -> None:
        self.inputs = {name: bool(news[name]) for name in ("contact", "tamper", "exit") if name in news}

    def _kill(self, sentence: str) -> None:
        """End a keeper that hangs: the next one claims the pin at rest."""
        if self._process is not None:
            self._process.kill()
        self._lost(sentence)

    def close(self) -> None:
        """Close the pipe, by which the keeper rests and ends, and wait for that. Harmless when repeated."""
        if self._closed or self._process is None:
            self._closed = True
            return
        self._closed = True
        process = self._process
        assert process.stdin
        with contextlib.suppress(OSError):
            process.stdin.close()
        self._wait(CLOSE_S, lambda: self._process is None)
        if process.poll() is None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(0.5)
        if process.poll() is None:
            process.kill()
            process.wait()
        self.fault = "the lock is closed"


def _now() -> dict[str, float]:
    return {"wall": time.time(), "monotonic": time.monotonic()}
