"""The two times."""

from __future__ import annotations

import time
from pathlib import Path

from device.system.clock import FakeClock, JumpDetector, SystemClock, synchronized


def test_ok__a_step_of_the_wall_clock_is_noticed_once() -> None:
    clock = FakeClock()
    jumps = JumpDetector(clock)
    clock.advance(3600)
    assert jumps.jumped_s() == 0
    clock.step_wall(-120)
    clock.advance(5)
    assert jumps.jumped_s() == -120
    assert jumps.jumped_s() == 0


def test_ok__slewing_is_no_jump() -> None:
    clock = FakeClock()
    jumps = JumpDetector(clock)
    for _ in range(10):
        clock.step_wall(0.5)
        assert jumps.jumped_s() == 0


def test_ok__the_system_clock_is_the_machines() -> None:
    assert abs(SystemClock().wall() - time.time()) < 5
    assert abs(SystemClock().monotonic() - time.monotonic()) < 5


def test_ok__the_file_of_timesyncd_settles_it(tmp_path: Path) -> None:
    marker = tmp_path / "synchronized"
    assert synchronized(marker) in (True, False, None)
    marker.touch()
    assert synchronized(marker) is True
