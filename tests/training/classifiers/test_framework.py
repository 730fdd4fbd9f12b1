"""TensorFlow's start: quiet, but not mute."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from training.classifiers.framework import CHATTER, without_chatter

SPEAKS = """
import os, sys
from training.classifiers.framework import without_chatter
with without_chatter():
    os.write(2, b"I0000 00:00:1 1 port.cc:153] oneDNN custom operations are on.\\n")
    os.write(2, b"E0000 00:00:1 1 memory.cc:7] out of memory\\n")
    print("a warning of Python", file=sys.stderr)
    if "fall" in sys.argv:
        raise SystemExit("fell")
"""


@pytest.mark.parametrize("ending", ["", "fall"])
def test_ok__errors_and_warnings_are_let_through(ending: str) -> None:
    done = subprocess.run([sys.executable, "-c", SPEAKS, ending], capture_output=True, text=True, check=False)
    assert "oneDNN" not in done.stderr
    assert "out of memory" in done.stderr
    assert "a warning of Python" in done.stderr
    assert ("fell" in done.stderr) == bool(ending)


def test_ok__stderr_is_itself_again(capfd: pytest.CaptureFixture[str]) -> None:
    with without_chatter():
        os.write(2, b"I0000 held back\n")
    os.write(2, b"after\n")
    assert capfd.readouterr().err == "after\n"


def test_ok__only_chatter_is_chatter() -> None:
    for line in (b"E0000 00:00:1 error", b"W0000 00:00:1 warning", b"2026-01-01 10:00:00.1: E tensorflow/x.cc failed"):
        assert not CHATTER.match(line)
    assert CHATTER.match(b"2026-01-01 10:00:00.123: I tensorflow/core/util/port.cc:153] on")


def test_ok__help_needs_no_tensorflow() -> None:
    code = (
        "import sys; import training.classifiers.commands; sys.exit(bool({'keras', 'tensorflow'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
