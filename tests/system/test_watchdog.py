"""The word to systemd."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from device.system.clock import FakeClock
from device.system.watchdog import Watchdog


def test_ok__without_systemd_nobody_is_told_and_history_is_kept() -> None:
    watchdog = Watchdog(environment={})
    watchdog.ready()
    watchdog.ping()
    watchdog.stopping()
    assert list(watchdog.history) == ["READY=1", "WATCHDOG=1", "STOPPING=1"]
    assert watchdog.timeout_s is None


def test_ok__quick_turns_are_told_once_a_second() -> None:
    clock = FakeClock()
    watchdog = Watchdog(environment={}, clock=clock.monotonic)
    for _ in range(30):
        watchdog.ping()
        clock.advance(0.1)
    assert list(watchdog.history) == ["WATCHDOG=1"] * 3


def test_ok__status_is_one_line_told_when_it_changes() -> None:
    watchdog = Watchdog(environment={})
    for text in ("camera front\nis down", "camera front is down", "all is well"):
        watchdog.status(text)
    assert list(watchdog.history) == ["STATUS=camera front is down", "STATUS=all is well"]


@pytest.mark.parametrize("abstract", [False, True])
def test_ok__a_real_socket_hears_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, abstract: bool) -> None:
    path = f"@{tmp_path.name}-{os.getpid()}" if abstract else str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as server:
        server.bind("\0" + path[1:] if abstract else path)
        server.settimeout(5)
        monkeypatch.setenv("NOTIFY_SOCKET", path)
        watchdog = Watchdog()
        watchdog.ready()
        watchdog.extend(2.5)
        assert server.recv(100) == b"READY=1"
        assert server.recv(100) == b"EXTEND_TIMEOUT_USEC=2500000"


def test_ok__the_limit_is_read_where_it_is_ours() -> None:
    assert Watchdog(environment={"WATCHDOG_USEC": "30000000"}).timeout_s == 30
    assert Watchdog(environment={"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "1"}).timeout_s is None


def test_ok__a_systemd_that_went_away_does_not_end_the_daemon(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "gone"))
    watchdog = Watchdog()
    watchdog.ping()
    assert list(watchdog.history) == ["WATCHDOG=1"]
