"""Devices and video files through OpenCV."""

from __future__ import annotations

import logging
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from device.capture.camera import EndOfSource
from device.capture.opencv import DeviceSource, PresentationTimes, VideoFileSource
from device.capture.pixels import to_image
from device.errors import InputError
from tests.capture.conftest import MakeClip


def times_of(source: VideoFileSource) -> list[float]:
    source.open()
    times = []
    try:
        while True:
            times.append(source.grab())
    except EndOfSource:
        return times
    finally:
        source.close()


def test_ok__a_video_plays_whole_and_on_time(make_clip: MakeClip) -> None:
    times = times_of(VideoFileSource(make_clip(frames=45, fps=25)))
    assert times == pytest.approx([index / 25 for index in range(45)], abs=1e-3)


def test_ok__colours_are_rgb(tmp_path: Path) -> None:
    path = tmp_path / "red.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 10, (64, 48))
    writer.write(np.full((48, 64, 3), (0, 0, 255), np.uint8))  # OpenCV writes BGR: this is red.
    writer.release()
    source = VideoFileSource(path)
    source.open()
    source.grab()
    red, green, blue = to_image(source.retrieve()).mean(axis=(0, 1))
    assert red > 240
    assert max(green, blue) < 15


def test_ok__opened_again_it_starts_again(make_clip: MakeClip) -> None:
    source = VideoFileSource(make_clip(frames=12))
    assert times_of(source) == times_of(source)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "is empty; it must be a video"),
        (b"I am a shopping list, whatever my name says.\n" * 50, "is no video that can be read"),
        (b"\x00\x00\x00\x20ftypisom" + bytes(3000), "is no video that can be read"),
    ],
)
def test_fail__what_is_no_video_is_told_in_a_sentence(tmp_path: Path, content: bytes, sentence: str) -> None:
    path = tmp_path / "clip.mp4"
    path.write_bytes(content)
    with pytest.raises(InputError, match=sentence) as caught:
        VideoFileSource(path).open()
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_fail__a_video_without_its_end_cannot_be_opened(make_clip: MakeClip) -> None:
    clip = make_clip(frames=60)
    clip.write_bytes(clip.read_bytes()[: clip.stat().st_size // 2])  # An mp4 has its table of contents at the end.
    with pytest.raises(InputError, match="is no video that can be read: it is damaged, cut short"):
        VideoFileSource(clip).open()


def test_ok__a_video_cut_short_plays_what_it_has_and_warns(
    make_clip: MakeClip, caplog: pytest.LogCaptureFixture
) -> None:
    clip = make_clip("clip.avi", frames=90)
    clip.write_bytes(clip.read_bytes()[: clip.stat().st_size // 2])
    with caplog.at_level(logging.WARNING):
        times = times_of(VideoFileSource(clip))
    assert 30 <= len(times) <= 50
    assert f"{clip} is cut short: {len(times)} of 90 pictures could be read" in caplog.text


def test_ok__nothing_but_our_sentence_reaches_stderr(make_clip: MakeClip) -> None:
    clip = make_clip("clip.avi", frames=40)
    broken = bytearray(clip.read_bytes())
    broken[len(broken) // 3 : len(broken) // 2] = bytes(len(broken) // 2 - len(broken) // 3)
    clip.write_bytes(broken)
    program = (
        "import sys; from pathlib import Path\n"
        "from device.capture.opencv import VideoFileSource\n"
        "from device.capture.camera import EndOfSource\n"
        "source = VideoFileSource(Path(sys.argv[1])); source.open()\n"
        "try:\n"
        "    while True: source.grab(); source.retrieve()\n"
        "except EndOfSource: pass\n"
    )
    done = subprocess.run([sys.executable, "-c", program, str(clip)], capture_output=True, text=True, check=True)
    assert done.stdout == ""
    assert done.stderr.count("\n") <= 1, done.stderr


def test_fail__a_camera_that_is_not_there() -> None:
    with pytest.raises(InputError, match=r"^/dev/video97 is not there; this machine has .*: plug it in, or correct"):
        DeviceSource("/dev/video97", 640, 480).open()


def test_fail__a_device_that_is_no_camera(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="gives no picture"):
        DeviceSource("/dev/null", 640, 480).open()
    plain = tmp_path / "video0"
    plain.touch()
    with pytest.raises(InputError, match="is no camera device"):
        DeviceSource(str(plain), 640, 480).open()


def test_ok__stated_times_at_a_variable_rate_are_kept() -> None:
    times = PresentationTimes(30)
    assert [times.next(stated) for stated in (1.4, 1.5, 1.9, 1.91, 4.4)] == pytest.approx([0, 0.1, 0.5, 0.51, 3.0])


@pytest.mark.parametrize("stated", [[0.0] * 6, [float("nan")] * 6, [5.0, 4.0, 3.0, 2.0, 1.0, 0.0]])
def test_ok__broken_times_become_the_nominal_rate(stated: list[float]) -> None:
    times = PresentationTimes(10)
    assert [times.next(value) for value in stated] == pytest.approx([0, 0.1, 0.2, 0.3, 0.4, 0.5])


def test_ok__one_broken_time_stamp_costs_no_hour() -> None:
    times = PresentationTimes(10)
    given = [times.next(value) for value in (0.0, 0.1, 95_443.0, 0.3, 0.4)]
    assert given == sorted(given)
    assert given[-1] < 0.6


@pytest.mark.parametrize("fps", [0.0, float("nan"), 1e9, -3.0])
def test_ok__a_nonsense_rate_is_taken_as_25(fps: float) -> None:
    times = PresentationTimes(fps)
    assert [times.next(0.0), times.next(0.0)] == pytest.approx([0.0, 0.04])
