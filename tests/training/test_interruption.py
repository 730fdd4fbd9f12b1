"""Ctrl-C, as a person types it: a real process, a real signal."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from training.interruption import Interruption, Stopped
from training.runs import Run

TRAINING = """
import sys, threading
from pathlib import Path
from training.interruption import Interruption, Stopped
from training.runs import Run

run = Run(Path(sys.argv[1]), {"family": "cnn"}, resume=False)
wait = threading.Event()
try:
    with Interruption(run) as interruption:
        for epoch in range(1000):
            with run.writing("checkpoint") as scratch:
                scratch.write_text(f"half of {epoch}")
                print("writing", flush=True)
                if epoch == 1:
                    while not interruption.asked or sys.argv[2] == "twice":
                        wait.wait(0.02)
                scratch.write_text(f"whole {epoch}")
            interruption.check()
except Exception:
    sys.exit(99)
except Stopped as stopped:
    print(stopped, flush=True)
    sys.exit(130)
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["SIGINT", "SIGTERM"])
def test_ok__checkpoint_in_hand_is_finished(tmp_path: Path, number: signal.Signals) -> None:
    run = tmp_path / "run"
    process = begin(run, "once")
    process.send_signal(number)
    said, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    assert (run / "checkpoint").read_text() == "whole 1"
    sentence = f"stopped; go on with: python -m training cnn --resume {run}"
    assert sentence in said
    log = (run / "log.txt").read_text()
    assert "stopping as soon as the step or checkpoint in hand is done" in log
    assert sentence in log


def test_ok__second_signal_stops_at_once_and_the_last_checkpoint_stays(tmp_path: Path) -> None:
    run = tmp_path / "run"
    process = begin(run, "twice")
    process.send_signal(signal.SIGINT)
    assert process.stderr is not None
    assert "once more stops at once" in process.stderr.readline()
    process.send_signal(signal.SIGINT)
    said, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    assert "stopped at once; go on with" in said
    assert (run / "checkpoint").read_text() == "whole 0"
    assert not list(run.glob(".part*"))


def begin(run: Path, how: str) -> subprocess.Popen[str]:
    """A training that waits in the middle of its second checkpoint."""
    process = subprocess.Popen(
        [sys.executable, "-c", TRAINING, str(run), how], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    for _ in range(2):
        assert process.stdout.readline() == "writing\n"
    return process


def test_ok__a_signal_in_the_midst_of_a_line_of_the_log_stops_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = Run(tmp_path / "run", {"family": "cnn"}, resume=False)

    def busy(*_: object) -> None:
        raise RuntimeError("reentrant call inside <_io.BufferedWriter name='<stderr>'>")

    with Interruption(run):
        signal.raise_signal(signal.SIGINT)
        monkeypatch.setattr(run.log, "info", busy)
        with pytest.raises(Stopped, match="stopped at once"):
            signal.raise_signal(signal.SIGINT)
