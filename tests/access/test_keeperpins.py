"""The keeper's pins, on gpiozero's mock: strikes, relays, inputs, lamps, and pins that cannot be had."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from device.access.inputs import InputState, KeeperInputs
from device.access.keeper.settings import KeeperSettings
from device.access.keeperlink import KeeperLink
from device.access.lock import FakeLock, KeeperLock, LockError, outlives_its_keeper
from device.access.signals import KeeperSignals
from device.system.clock import FakeClock
from tests.access.mocklock import ROOT, journal, levels, record, until


@pytest.mark.parametrize(
    ("strike", "active_high", "rest"),
    [("fail-secure", True, 0), ("fail-secure", False, 1), ("fail-safe", True, 1), ("fail-safe", False, 0)],
)
def test_ok__strikes_and_relays(
    journal_path: Path, opened: Callable[..., KeeperLink], strike: str, active_high: bool, rest: int
) -> None:
    """The very first level of the pin is that of rest, also for an active-low relay."""
    lock = KeeperLock(opened(strike=strike, active_high=active_high))
    lock.unlock(9, record("a"))
    lock.close()
    assert levels(journal_path) == [rest, 1 - rest, rest]


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"pin": 99}, "GPIO 99 for the lock cannot be had"),
        ({"contact_pin": 99}, "GPIO 99 for the door contact cannot be had"),
        ({"driver": "lgpio"}, "lgpio is not installed|no GPIO chip of a Raspberry Pi"),
        ({"driver": "lgpio", "chip": 77}, "lgpio is not installed|/dev/gpiochip77"),
    ],
)
def test_fail__pin_absent(opened: Callable[..., KeeperLink], given: dict[str, Any], sentence: str) -> None:
    """A faulty lock is no crash: it says why, and releases nothing."""
    lock = KeeperLock(opened(**given))
    assert lock.state == "faulty"
    with pytest.raises(LockError, match=sentence):
        lock.unlock(1, record("a"))


def test_fail__journal_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    link = KeeperLink(KeeperSettings(journal=tmp_path / "file" / "journal.jsonl", driver="mock"))
    assert KeeperLock(link).state == "faulty"
    link.close()


def test_ok__inputs(opened: Callable[..., KeeperLink]) -> None:
    link = opened(contact_pin=5, tamper_pin=6, exit_pin=13)
    inputs = KeeperInputs(link, contact=True, tamper=True)
    assert inputs.read().contact == "closed"
    assert not inputs.read().tampered
    for pin, level in ((5, 1), (6, 1), (13, 0)):
        link.send({"do": "drive", "pin": pin, "level": level})

    def changed() -> bool:
        link.turn()
        return inputs.read() == InputState("open", tampered=True, exit=True)

    assert until(changed)
    link.close()
    assert inputs.read().contact == "open", "without a keeper nobody knows"


def test_ok__absent_inputs(opened: Callable[..., KeeperLink]) -> None:
    state = KeeperInputs(opened(), contact=False, tamper=False).read()
    assert (state.contact, state.tampered, state.exit) == ("absent", False, False)


def test_ok__signals(journal_path: Path, opened: Callable[..., KeeperLink]) -> None:
    link = opened(granted_pin=22, denied_pin=23, look_pin=24, buzzer_pin=25)
    signals = KeeperSignals(link)
    signals.show("denied")
    assert until(lambda: levels(journal_path, 25)[-6:] == [1, 0, 1, 0, 1, 0])
    assert levels(journal_path, 23)[-1] == 1
    signals.show("granted")
    assert until(lambda: levels(journal_path, 22)[-1] == 1 and levels(journal_path, 23)[-1] == 0)
    signals.show("off")
    assert until(lambda: levels(journal_path, 22)[-1] == 0)
    assert levels(journal_path) == [0]


def test_ok__rest_only(journal_path: Path, opened: Callable[..., KeeperLink]) -> None:
    """After a daemon and its keeper were killed together: by the settings left beside the journal."""
    link = opened()
    KeeperLock(link).unlock(9, record("a"))
    assert link.pid
    os.kill(link.pid, signal.SIGKILL)
    command = [sys.executable, "-m", "device.access.keeper", "--rest", str(journal_path.parent / "keeper.json")]
    subprocess.run(command, cwd=ROOT, check=True)
    assert journal(journal_path, "rest")[-1]["cause"] == "keeper-restarted"
    assert levels(journal_path) == [0, 1, 0]


def test_ok__fake_lock() -> None:
    clock = FakeClock()
    lock = FakeLock(clock)
    lock.unlock(3.0, record("a"))
    assert (lock.state, lock.pulses) == ("unlocked", [3.0])
    with pytest.raises(LockError):
        lock.unlock(3.0, record("a"))
    clock.advance(3.0)
    assert [(moved.unlocked, moved.cause) for moved in lock.poll()] == [(True, "authorised"), (False, "deadline")]
    assert lock.state == "locked"
    lock.fault = "a wire is cut"
    with pytest.raises(LockError, match="wire"):
        lock.unlock(1.0, record("b"))


@pytest.mark.parametrize(("text", "outlives"), [("Y\n", True), ("N\n", False)])
def test_ok__what_the_kernel_does_with_a_dead_keepers_pin(tmp_path: Path, text: str, outlives: bool) -> None:
    (tmp_path / "persist_gpio_outputs").write_text(text)
    assert outlives_its_keeper([tmp_path / "absent", tmp_path / "persist_gpio_outputs"]) is outlives
    assert outlives_its_keeper([tmp_path / "absent"]) is None
