"""Who vouches for the wall clock."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from device.system.clock import FakeClock
from device.system.clocktrust import AGAIN_S, ClockTrust

NOW = 1_795_000_000.0


class NtpClient:
    """A time server's client, asked how it is."""

    def __init__(self, answer: bool | None) -> None:
        self.answer, self.asked = answer, 0

    def __call__(self) -> bool | None:
        self.asked += 1
        return self.answer


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(NOW, 100.0)


def trust(clock: FakeClock, answer: bool | None, rtc: Path) -> ClockTrust:
    return ClockTrust(clock, synchronized=NtpClient(answer), rtc=rtc)


def test_ok__a_time_server(clock: FakeClock, tmp_path: Path) -> None:
    assert trust(clock, True, tmp_path / "none").trusted()


@pytest.mark.parametrize("answer", [False, None])
def test_fail__neither_server_nor_battery(clock: FakeClock, tmp_path: Path, answer: bool | None) -> None:
    assert not trust(clock, answer, tmp_path / "none").trusted()


@pytest.mark.parametrize(
    ("kept", "trusted"),
    [
        (str(int(NOW)), True),
        (str(int(NOW) - 50), True),
        (str(int(NOW) - 3600), False),  # The wall clock was set by hand since.
        ("42", False),  # The battery is empty: it counts from 1970.
        ("nonsense", False),
    ],
)
def test_ok__a_clock_with_a_battery(clock: FakeClock, tmp_path: Path, kept: str, trusted: bool) -> None:
    (tmp_path / "since_epoch").write_text(kept + "\n")
    assert trust(clock, False, tmp_path / "since_epoch").trusted() is trusted


def test_fail__a_battery_clock_of_1970_that_agrees_with_a_wall_clock_of_1970(tmp_path: Path) -> None:
    (tmp_path / "since_epoch").write_text("42\n")
    assert not trust(FakeClock(42.0, 42.0), False, tmp_path / "since_epoch").trusted()


def test_ok__once_synchronised_it_stays_trusted_and_is_asked_now_and_then(clock: FakeClock, tmp_path: Path) -> None:
    client = NtpClient(False)
    told = ClockTrust(clock, synchronized=client, rtc=tmp_path / "none")
    assert not told.trusted()
    client.answer = True
    assert not told.trusted()
    assert client.asked == 1
    clock.advance(AGAIN_S)
    assert told.trusted()
    client.answer = None
    clock.advance(10 * AGAIN_S)
    assert told.trusted()


@pytest.mark.parametrize("step_s", [-3600.0, 3600.0])
@pytest.mark.parametrize("answer", [False, None])
def test_fail__set_by_hand_after_it_was_synchronised(
    clock: FakeClock, tmp_path: Path, step_s: float, answer: bool | None
) -> None:
    client = NtpClient(True)
    told = ClockTrust(clock, synchronized=client, rtc=tmp_path / "none", marker=tmp_path / "none")
    assert told.trusted()
    client.answer = answer
    clock.step_wall(step_s)
    assert not told.trusted()  # At once, not when it is next asked.
    clock.advance(10 * AGAIN_S)
    assert not told.trusted()
    client.answer = True
    clock.advance(AGAIN_S)
    assert told.trusted()
    client.answer = None
    clock.advance(AGAIN_S)
    assert told.trusted()


def test_ok__set_by_the_time_server_itself(clock: FakeClock, tmp_path: Path) -> None:
    told = ClockTrust(clock, synchronized=NtpClient(True), rtc=tmp_path / "none", marker=tmp_path / "none")
    assert told.trusted()
    clock.step_wall(3600.0)
    assert told.trusted()


def test_fail__an_old_mark_does_not_vouch_for_a_clock_that_was_set_since(clock: FakeClock, tmp_path: Path) -> None:
    """systemd-timesyncd's file stays when somebody sets the clock; it is touched when the clock is synchronised."""
    marker = tmp_path / "synchronized"
    marker.touch()
    os.utime(marker, (clock.wall(), clock.wall()))
    told = ClockTrust(clock, synchronized=NtpClient(True), rtc=tmp_path / "none", marker=marker)
    clock.advance(1800.0)
    assert told.trusted()
    clock.step_wall(-3600.0)
    assert not told.trusted()
    clock.advance(AGAIN_S)
    os.utime(marker, (clock.wall(), clock.wall()))
    assert told.trusted()
