"""Forced, held open, or opened rightly."""

from __future__ import annotations

import pytest

from device.access.inputs import DoorWatch, InputState

OPEN, CLOSED = InputState("open", tampered=False), InputState("closed", tampered=False)
EXIT = InputState("closed", tampered=False, exit=True)


def test_ok__opened_after_a_release() -> None:
    watch = DoorWatch()
    assert watch.update(CLOSED, unlocked=True, now=0) == ""
    assert watch.update(OPEN, unlocked=True, now=1) == ""
    assert watch.update(OPEN, unlocked=False, now=20) == "", "it may stay open when the lock is at rest again"


def test_ok__pulled_just_as_the_lock_went_to_rest() -> None:
    watch = DoorWatch(grace_s=1.5)
    watch.update(CLOSED, unlocked=True, now=0)
    assert watch.update(OPEN, unlocked=False, now=1.5) == ""


@pytest.mark.parametrize("now", [1.6, 100.0])
def test_fail__forced(now: float) -> None:
    watch = DoorWatch(grace_s=1.5)
    watch.update(CLOSED, unlocked=True, now=0)
    watch.update(CLOSED, unlocked=False, now=1)
    assert watch.update(OPEN, unlocked=False, now=now) == "forced"
    assert watch.update(OPEN, unlocked=True, now=now + 1) == "forced", "a grant afterwards makes it no better"
    assert watch.update(CLOSED, unlocked=True, now=now + 2) == ""


def test_ok__somebody_leaves() -> None:
    """The exit button is hard-wired; its second contact tells that nobody forces the door."""
    watch = DoorWatch()
    watch.update(EXIT, unlocked=False, now=0)
    assert watch.update(OPEN, unlocked=False, now=1) == ""


def test_fail__held_open() -> None:
    watch = DoorWatch(held_open_s=30)
    watch.update(OPEN, unlocked=True, now=0)
    assert watch.update(OPEN, unlocked=False, now=30) == ""
    assert watch.update(OPEN, unlocked=False, now=30.1) == "held-open"
    assert watch.update(CLOSED, unlocked=False, now=31) == ""


def test_ok__found_open_at_the_start() -> None:
    """Nobody knows who opened it: that is an alarm."""
    assert DoorWatch().update(OPEN, unlocked=False, now=0) == "forced"


def test_ok__no_contact_no_alarm() -> None:
    assert DoorWatch().update(InputState("absent", tampered=False), unlocked=False, now=0) == ""
