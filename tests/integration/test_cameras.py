"""Several cameras in one process, cameras that are away, and the word to systemd."""

from __future__ import annotations

import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
import yaml

from tests.daemon import Daemon, write_config
from tests.mosquitto import eventually


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two seconds of a moving square."""
    path = tmp_path_factory.mktemp("clip") / "square.mp4"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), 10, (320, 240))
    for step in range(20):
        picture = np.full((240, 320, 3), 90, np.uint8)
        picture[80:160, 10 * step : 10 * step + 80] = 220
        writer.write(picture)
    writer.release()
    return path


class Systemd:
    """The side of systemd that a service speaks to."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(path))
        self._socket.setblocking(False)
        self._heard: list[str] = []

    def heard(self, word: str) -> int:
        """How often it was told this so far."""
        while True:
            try:
                self._heard.append(self._socket.recv(4096).decode())
            except BlockingIOError:
                return sum(word in told for told in self._heard)


@pytest.fixture
def systemd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Systemd]:
    """Makes the next daemon a service."""
    service = Systemd(tmp_path / "notify")
    monkeypatch.setenv("NOTIFY_SOCKET", str(service.path))
    yield service
    service._socket.close()


def two_cameras(folder: Path, first: object, second: object) -> Path:
    """A configuration for two cameras at real pace, looped."""
    path = write_config(folder, first, camera={"pace": "real", "loop": True})
    config = yaml.safe_load(path.read_text(encoding="utf-8"))
    config["cameras"].append(config["cameras"][0] | {"id": "back", "source": str(second)})
    path.write_text(yaml.safe_dump(config), encoding="utf-8")
    return path


def test_ok__two_cameras_end_when_both_have_ended(tmp_path: Path, clip: Path) -> None:
    path = two_cameras(tmp_path, clip, clip)
    config = yaml.safe_load(path.read_text(encoding="utf-8"))
    for camera in config["cameras"]:
        camera |= {"loop": False, "pace": "fast"}
    path.write_text(yaml.safe_dump(config), encoding="utf-8")
    with Daemon(path) as daemon:
        assert daemon.end(timeout_s=30) == 0, daemon.said
    assert "camera front" in daemon.said
    assert "camera back" in daemon.said


def test_ok__a_camera_that_is_away_does_not_stop_the_other(tmp_path: Path, clip: Path, systemd: Systemd) -> None:
    with Daemon(two_cameras(tmp_path, clip, "/dev/video97")) as daemon:
        daemon.wait_for("first look")
        daemon.wait_for("/dev/video97")
        assert eventually(lambda: systemd.heard("WATCHDOG=1") >= 3, 20)
        assert daemon.process.poll() is None
        assert daemon.end(signal.SIGTERM, 30) == 0, daemon.said
    assert systemd.heard("READY=1") == 1
    assert systemd.heard("STOPPING=1") == 1


def test_ok__as_a_service_it_waits_for_its_only_camera(tmp_path: Path, systemd: Systemd) -> None:
    """Reported, being reconnected, and the watchdog is fed meanwhile: systemd has nothing to restart."""
    with Daemon(write_config(tmp_path, "/dev/video97")) as daemon:
        daemon.wait_for("/dev/video97")
        assert eventually(lambda: systemd.heard("WATCHDOG=1") >= 3, 20)
        assert systemd.heard("READY=1") == 1
        assert daemon.end(signal.SIGTERM, 30) == 0, daemon.said


def test_fail__started_by_a_person_it_says_at_once_that_no_camera_is_there(tmp_path: Path) -> None:
    with Daemon(two_cameras(tmp_path, "/dev/video96", "/dev/video97")) as daemon:
        assert daemon.end(timeout_s=30) == 1
    last = daemon.said.strip().splitlines()[-1]
    assert "/dev/video96" in last
    assert "/dev/video97" in last


@pytest.fixture
def silent_camera() -> Iterator[str]:
    """The address of a camera that accepts every connection and never says a word."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as server:
        yield f"rtsp://127.0.0.1:{server.getsockname()[1]}/live"


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_ok__a_signal_while_the_first_camera_opens_ends_it(
    tmp_path: Path, silent_camera: str, how: signal.Signals
) -> None:
    with Daemon(write_config(tmp_path, silent_camera)) as daemon:
        daemon.wait_for("camera front: rtsp://")
        began = time.monotonic()
        assert daemon.end(how, 20) == 0, daemon.said
    assert time.monotonic() - began < 6


def test_ok__cameras_that_hang_do_not_delay_the_end(tmp_path: Path, silent_camera: str, systemd: Systemd) -> None:
    path = write_config(tmp_path, silent_camera)
    config = yaml.safe_load(path.read_text(encoding="utf-8"))
    config["cameras"] = [config["cameras"][0] | {"id": f"c{number}"} for number in range(4)]
    path.write_text(yaml.safe_dump(config), encoding="utf-8")
    with Daemon(path) as daemon:
        for number in range(4):
            daemon.wait_for(f"camera c{number}: rtsp://")
        assert eventually(lambda: systemd.heard("READY=1") == 1, 20)
        began = time.monotonic()
        assert daemon.end(signal.SIGTERM, 30) == 0, daemon.said
    assert time.monotonic() - began < 10


def test_fail__a_missing_file_is_told_before_the_page_runs(tmp_path: Path) -> None:
    with Daemon(write_config(tmp_path, tmp_path / "no.mp4", web={"enabled": True, "port": 28913})) as daemon:
        assert daemon.end(timeout_s=30) == 1
    assert "no.mp4 is not there" in daemon.said
    assert "page on" not in daemon.said
