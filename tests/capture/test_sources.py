"""From the setting to the source; the Pi's camera; the demonstration."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from device import config
from device.capture.demo import demo_source
from device.capture.opencv import DeviceSource, StreamSource, VideoFileSource
from device.capture.picamera import PicameraSource
from device.capture.pixels import to_image
from device.capture.replay import StillsSource
from device.capture.scene import SceneSource
from device.capture.sources import open_source
from device.datatypes import Frame
from device.errors import ConfigError, InputError
from tests.capture.conftest import MakeClip, MakeReader
from tests.capture.doubles import PATIENCE_S


@pytest.mark.parametrize(
    ("source", "kind", "description"),
    [
        ("/dev/video2", DeviceSource, "/dev/video2"),
        ("3", DeviceSource, "/dev/video3"),
        ("file:///abs/my%20walk.mp4", VideoFileSource, "/abs/my walk.mp4"),
        ("rtsp://me:secret@cam/live", StreamSource, "rtsp://me:***@cam/live"),
        ("HTTPS://cam/live", StreamSource, "HTTPS://cam/live"),
        ("clips/walk.mp4", VideoFileSource, "BASE/clips/walk.mp4"),
        ("still.JPG", StillsSource, "BASE/still.JPG"),
        ("/abs/walk.mkv", VideoFileSource, "/abs/walk.mkv"),
    ],
)
def test_ok__each_source_is_of_its_kind(source: str, kind: type, description: str, tmp_path: Path) -> None:
    made = open_source(config.Camera(source=source), tmp_path, tmp_path)
    assert type(made) is kind
    assert made.description == description.replace("BASE", str(tmp_path))


def test_fail__a_stream_of_an_unknown_kind(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"cannot begin with rtmp://; streams begin with rtsp, rtsps, http, https://"):
        open_source(config.Camera(source="rtmp://cam/live"), tmp_path, tmp_path)


def test_fail__an_address_that_no_machine_can_have(tmp_path: Path) -> None:
    source = open_source(config.Camera(source="rtsp://cam..garden/x/y"), tmp_path, tmp_path)
    with pytest.raises(InputError, match=r"no machine can have the name cam\.\.garden; check the address"):
        source.open()


def test_fail__no_source_at_all(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="`source` is empty"):
        open_source(config.Camera(source=""), tmp_path, tmp_path)


class FakePicamera2:
    """Stands for the metal: gives what picamera2 gives, in the format it was asked for."""

    cameras = 1
    gives_format: str | None = None
    log: list[str] = []  # noqa: RUF012 - one history for the test to read

    def __init__(self, number: int) -> None:
        self.log.append(f"opened {number}")

    @classmethod
    def global_camera_info(cls) -> list[dict[str, str]]:
        return [{"Model": "imx708"}] * cls.cameras

    def create_video_configuration(self, **asked: Any) -> dict[str, Any]:
        return asked

    def configure(self, asked: dict[str, Any]) -> None:
        self.given = {name: dict(asked[name]) for name in ("main", "lores") if asked[name]}
        if self.gives_format:
            self.given["main"]["format"] = self.gives_format

    def camera_configuration(self) -> dict[str, Any]:
        return self.given

    def start(self) -> None:
        self.log.append("started")

    def capture_request(self) -> FakePicamera2:
        self.log.append("requested")
        return self

    def make_array(self, stream: str) -> np.ndarray:
        width, height = self.given[stream]["size"]
        if self.given[stream]["format"] == "YUV420":
            grey = np.full((height * 3 // 2, width + 32), 128, np.uint8)
            grey[:height] = 200
            return grey
        assert self.given[stream]["format"] == "BGR888"
        return np.full((height, width, 3), (200, 60, 30), np.uint8)  # In memory red first, as picamera2's BGR888 is.

    def release(self) -> None:
        self.log.append("released")

    def close(self) -> None:
        self.log.append("closed")


@pytest.fixture
def driver() -> type[FakePicamera2]:
    class Driver(FakePicamera2):
        log: list[str] = []  # noqa: RUF012

    return Driver


def test_ok__the_pi_camera_gives_rgb_and_returns_its_buffers(driver: type[FakePicamera2]) -> None:
    source = PicameraSource(64, 48, 10, driver=driver)
    source.open()
    for _ in range(3):
        assert source.grab() is None
    image = to_image(source.retrieve())
    source.close()
    assert tuple(image[0, 0]) == (200, 60, 30)
    assert driver.log.count("requested") == driver.log.count("released") == 3
    assert driver.log[-1] == "closed"


def test_ok__the_low_resolution_stream_is_converted_and_cropped(driver: type[FakePicamera2]) -> None:
    source = PicameraSource(64, 48, 10, stream="lores", driver=driver)
    source.open()
    source.grab()
    image = to_image(source.retrieve())
    assert image.shape == (48, 64, 3)
    assert image.min() == image.max()


def test_fail__a_driver_with_another_byte_order_is_refused(driver: type[FakePicamera2]) -> None:
    driver.gives_format = "RGB888"
    with pytest.raises(InputError, match="gives RGB888 where BGR888 was asked for"):
        PicameraSource(64, 48, 10, driver=driver).open()


def test_fail__no_camera_on_the_cable(driver: type[FakePicamera2]) -> None:
    driver.cameras = 0
    with pytest.raises(InputError, match="sees no camera 0: check its ribbon cable"):
        PicameraSource(64, 48, 10, driver=driver).open()


def test_fail__picamera2_is_not_installed(tmp_path: Path) -> None:
    source = open_source(config.Camera(source="picamera2"), tmp_path, tmp_path)
    with pytest.raises(InputError, match=r"needs the package picamera2 .*sudo apt install python3-picamera2"):
        source.open()


def test_ok__the_demonstration_plays_footage_where_there_is_no_camera(
    make_clip: MakeClip, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    clip = make_clip()
    with caplog.at_level(logging.INFO):
        source = demo_source(config.Camera(), tmp_path, str(tmp_path / "video0"), lambda _cache: clip)
    assert isinstance(source, VideoFileSource)
    assert source.loop
    assert source.description == str(clip)
    assert "playing clip.mp4 again and again" in caplog.text


def test_ok__the_demonstration_draws_where_there_is_no_network_either(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def no_network(_cache: Path) -> Path:
        raise InputError("bikes.mp4 cannot be fetched: no network")

    source = demo_source(config.Camera(), tmp_path, str(tmp_path / "video0"), no_network)
    assert isinstance(source, SceneSource)
    assert "no network" in caplog.text
    assert "drawn scene" in caplog.text


def test_ok__a_camera_that_does_not_work_is_said_and_passed_over(
    tmp_path: Path, make_clip: MakeClip, caplog: pytest.LogCaptureFixture
) -> None:
    assert isinstance(demo_source(config.Camera(), tmp_path, "/dev/null", lambda _cache: make_clip()), VideoFileSource)
    assert "/dev/null is there but gives no picture" in caplog.text


def test_ok__the_drawn_scene_moves_and_is_the_same_each_time(make_reader: MakeReader) -> None:
    def frames() -> list[Frame]:
        reader = make_reader(SceneSource(320, 240, 10), pace="fast", fps=10)
        reader.start()
        taken = [reader.take(PATIENCE_S) for _ in range(20)]
        reader.stop()
        return [frame for frame in taken if frame is not None]

    first, second = frames(), frames()
    assert len(first) == 20
    assert all(np.array_equal(a.image, b.image) for a, b in zip(first, second, strict=True))
    assert not np.array_equal(first[0].image, first[10].image)
