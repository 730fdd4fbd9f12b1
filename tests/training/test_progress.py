"""Progress without a terminal: lines now and then, with the time that is left."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
import termios

import pytest

from training.progress import EVERY_S, Progress, progress


def test_ok__a_line_now_and_then(capsys: pytest.CaptureFixture[str]) -> None:
    times = iter([0.0, *(EVERY_S * step / 2 for step in range(1, 9))])
    work = Progress(range(8), "epoch 3", clock=lambda: next(times))
    for number in work:
        work.note(loss=0.5 / (number + 1), kind="mixup")
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "epoch 3: 2 of 8 (25 %), 00:45 left, loss 0.25, kind mixup"
    assert [line.split(",")[0] for line in lines] == [
        f"epoch 3: {done} of 8 ({100 * done // 8} %)" for done in (2, 4, 6, 8)
    ]
    assert "left" not in lines[-1]


def test_ok__work_of_unknown_length(capsys: pytest.CaptureFixture[str]) -> None:
    times = iter([0.0, EVERY_S, EVERY_S + 1])
    assert list(Progress((n for n in range(2)), "photos", clock=lambda: next(times))) == [0, 1]
    assert capsys.readouterr().err == "photos: 1\n"


def test_ok__steps_by_hand() -> None:
    with progress(10, "steps") as bar:
        bar.advance(3)
        bar.advance()
        assert bar.done == 4
        assert len(bar) == 10


TYPED = """
from training.progress import progress, BarAwareHandler
import logging, time
log = logging.Logger("x"); log.addHandler(BarAwareHandler())
with progress(2, "epoch") as bar:
    bar.advance(); log.info("a line above"); bar.advance()
"""


def test_ok__a_bar_on_a_terminal() -> None:
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (25, 80))
    process = subprocess.Popen([sys.executable, "-c", TYPED], stderr=theirs)
    os.close(theirs)
    seen = b""
    while True:
        try:
            piece = os.read(ours, 4096)
        except OSError:  # The other end was closed.
            break
        if not piece:
            break
        seen += piece
    assert process.wait(30) == 0
    assert b"epoch:" in seen
    assert b"a line above\r\n" in seen
    assert b"%" in seen
