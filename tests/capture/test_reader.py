"""One camera at work: pace, mailbox, loss, hang, end."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from device.capture.memory import MemorySource
from device.capture.opencv import VideoFileSource
from device.capture.reader import Reader
from device.datatypes import Frame
from device.errors import InputError
from tests.capture.conftest import MakeClip, MakeReader
from tests.capture.doubles import PATIENCE_S, FakeClock, ScriptedSource, picture


def until(condition: Callable[[], object], changed: threading.Condition) -> None:
    """Wait for another thread's doing."""
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, "the camera's thread did not get there"
        with changed:
            changed.wait(0.01)


def all_frames(reader: Reader) -> list[Frame]:
    frames = []
    while (frame := reader.take(PATIENCE_S)) is not None:
        frames.append(frame)
    return frames


def test_ok__fast_hands_over_every_frame(make_reader: MakeReader) -> None:
    images = [picture(number) for number in range(40)]
    reader = make_reader(MemorySource(images, fps=10), pace="fast", fps=10)
    reader.start()
    frames = all_frames(reader)
    assert [frame.index for frame in frames] == list(range(40))
    assert all(frame.image is image for frame, image in zip(frames, images, strict=True)), "a needless copy was made"
    assert reader.health().dropped == 0
    assert reader.health().state == "ended"


def test_ok__both_paces_choose_the_same_frames_of_a_video(make_reader: MakeReader, make_clip: MakeClip) -> None:
    clip = make_clip(frames=36, fps=29.97)
    taken = {}
    for pace in ("fast", "real"):
        reader = make_reader(VideoFileSource(clip), pace=pace, fps=10)
        began = time.monotonic()
        reader.start()
        frames = all_frames(reader)
        taken[pace] = [(frame.index, round(frame.monotonic - frames[0].monotonic, 6)) for frame in frames]
        took_s = time.monotonic() - began
        assert (took_s >= 1.0) == (pace == "real"), f"{pace} took {took_s:.2f} s for 1.2 s of video"
    assert taken["fast"] == taken["real"]
    assert [index for index, _ in taken["fast"]] == [0, 3, 6, 9, 12, 15, 18, 21, 24, 27, 30, 33]


def test_ok__real_pace_keeps_the_newest_and_counts_the_others(make_reader: MakeReader, clock: FakeClock) -> None:
    reader = make_reader(MemorySource([picture(n) for n in range(20)], fps=10), clock=clock, pace="real", fps=10)
    reader.start()
    until(lambda: reader.ended, reader.changed)
    frames = all_frames(reader)
    assert [frame.index for frame in frames] == [19]
    assert reader.health().dropped == 19
    assert reader.health().frames == 20


def test_ok__real_pace_waits_for_each_presentation_time(make_reader: MakeReader, clock: FakeClock) -> None:
    reader = make_reader(MemorySource([picture(n) for n in range(5)], fps=4), clock=clock, pace="real", fps=30)
    reader.start()
    until(lambda: reader.ended, reader.changed)
    assert clock.waits == pytest.approx([0.0, 0.25, 0.25, 0.25, 0.25])


def test_ok__times_go_on_over_loops(make_reader: MakeReader, clock: FakeClock) -> None:
    source = MemorySource([picture(n) for n in range(5)], fps=10, loop=True)
    reader = make_reader(source, clock=clock, pace="fast", fps=10)
    reader.start()
    frames = [reader.take(PATIENCE_S) for _ in range(23)]
    times = [frame.monotonic for frame in frames if frame is not None]
    assert times == pytest.approx([1000 + number / 10 for number in range(23)])
    assert [frame.index for frame in frames if frame is not None] == list(range(23))
    assert all(frame.wall == pytest.approx(frame.monotonic + 1_700_000_000) for frame in frames if frame is not None)
    assert source.openings == 5


def test_ok__the_picture_is_turned_once(make_reader: MakeReader) -> None:
    reader = make_reader(MemorySource([picture(1)]), pace="fast", rotate=90)
    reader.start()
    frame = reader.take(PATIENCE_S)
    assert frame is not None
    assert np.array_equal(frame.image, np.rot90(picture(1), k=-1))
    assert frame.image.flags.c_contiguous


def test_ok__a_live_camera_delivers_its_newest_whatever_the_pace(make_reader: MakeReader, clock: FakeClock) -> None:
    steps = [step for n in range(10) for step in (lambda: clock.advance(0.1), picture(n))]
    source = ScriptedSource(steps)
    reader = make_reader(source, clock=clock, pace="fast", fps=10)
    reader.start()
    assert source.hanging.wait(PATIENCE_S)
    frame = reader.take()
    assert frame is not None
    assert frame.index == 9
    assert np.array_equal(frame.image, picture(9))
    assert reader.take() is None
    assert reader.health().state == "ok"


def test_fail__a_camera_that_was_never_there_is_not_called_lost(
    make_reader: MakeReader, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    absent = InputError("/dev/video9 is not there: plug it in")
    source = ScriptedSource([absent] * 7)
    reader = make_reader(source, clock=clock)
    with caplog.at_level(logging.WARNING):
        reader.start()
        until(lambda: source.openings >= 8, reader.changed)
    health = reader.health()
    assert health.state == "never-opened"
    assert health.message == "camera front cannot be opened: /dev/video9 is not there: plug it in"
    assert health.down_since == 1000.0
    assert clock.waits == [1, 2, 4, 8, 16, 30, 30]
    assert len(caplog.records) == 1, "the same sentence was said at each try"


def test_fail__a_camera_lost_later_is_reported_and_comes_back(make_reader: MakeReader, clock: FakeClock) -> None:
    looked = []
    reader: Reader
    steps = [
        picture(1),
        lambda: clock.advance(5),
        InputError("/dev/video0 is gone: plug the camera in again"),
        InputError("/dev/video0 is not there"),
        lambda: looked.append(reader.health()),
        picture(2),
        picture(3),
    ]
    source = ScriptedSource(steps)
    reader = make_reader(source, clock=clock, fps=120)
    reader.start()
    assert source.hanging.wait(PATIENCE_S)
    assert looked[0].state == "lost"
    assert looked[0].message == "camera front was lost: /dev/video0 is not there"
    assert looked[0].down_since == 1000.0
    assert clock.waits == [1, 2]
    assert (reader.health().state, reader.health().reconnects, reader.health().down_since) == ("ok", 1, None)
    assert source.openings == 3
    assert source.closings == 2


def test_fail__the_same_picture_for_too_long_is_a_hang_until_it_changes(
    make_reader: MakeReader, clock: FakeClock
) -> None:
    looked = []
    reader: Reader
    frozen: list[object] = []
    stale: list[object] = []
    for _ in range(12):
        frozen += [lambda: clock.advance(1), picture(1), lambda: reader.take()]
    reopened = [
        lambda: clock.advance(1),
        picture(1),
        lambda: looked.append(reader.health()),
        lambda: stale.append(reader.take()),
    ]
    source = ScriptedSource([*frozen, *reopened, lambda: clock.advance(1), picture(2)])  # type: ignore[list-item]
    reader = make_reader(source, clock=clock, hang_s=10)
    reader.start()
    assert source.hanging.wait(PATIENCE_S)
    assert source.openings == 2
    assert looked[0].state == "hung", "the same picture after reopening is no cure"
    assert stale == [None], "nobody looks at what is long gone"
    assert "the very same picture for 10 s" in looked[0].message
    assert reader.health().state == "ok"
    assert reader.health().reconnects == 1


def test_fail__a_read_that_never_returns_is_seen_from_outside_and_left_behind(
    make_reader: MakeReader, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    first = ScriptedSource([picture(1)])
    second = ScriptedSource([picture(2), lambda: clock.advance(1), picture(3)])
    reader = make_reader(first, second, clock=clock, hang_s=10, fps=120)
    reader.start()
    assert first.hanging.wait(PATIENCE_S)
    reader.take()
    assert reader.health().state == "ok"
    clock.advance(11)
    health = reader.health()
    assert health.state == "hung"
    assert health.message == "camera front hangs: waiting for a picture (a scripted camera) has taken 11 s"
    assert health.down_since == 1000.0
    reader.supervise()
    assert second.openings == 0, "it was given up before the time-outs inside the source could act"
    clock.advance(5)
    reader.supervise()
    assert second.hanging.wait(PATIENCE_S)
    assert reader.health().state == "ok"
    assert "left behind" in caplog.text
    first.release.set()
    until(lambda: first.closings, reader.changed)
    frame = reader.take()
    assert frame is not None
    assert np.array_equal(frame.image, picture(3)), "a picture of the thread that was left behind got through"


def test_fail__one_thread_is_left_behind_at_most(make_reader: MakeReader, clock: FakeClock) -> None:
    sources = [ScriptedSource([picture(1)]), ScriptedSource([picture(2)]), ScriptedSource([picture(3)])]
    reader = make_reader(*sources, clock=clock, hang_s=10)
    reader.start()
    assert sources[0].hanging.wait(PATIENCE_S)
    clock.advance(16)
    reader.supervise()
    assert sources[1].hanging.wait(PATIENCE_S)
    clock.advance(16)
    reader.supervise()
    assert reader.health().state == "hung"
    assert sources[2].openings == 0
    sources[0].release.set()
    until(lambda: sources[0].closings, reader.changed)
    time.sleep(0.05)  # The thread ends a moment after it has closed its source.
    reader.supervise()
    assert sources[2].hanging.wait(PATIENCE_S)


def test_fail__a_missing_file_is_told_at_the_start(make_reader: MakeReader, tmp_path: Path) -> None:
    reader = make_reader(VideoFileSource(tmp_path / "nowhere.mp4"))
    with pytest.raises(InputError, match=r"nowhere\.mp4 is not there"):
        reader.start()


def test_fail__a_file_deleted_between_loops_ends_with_its_error(make_reader: MakeReader, make_clip: MakeClip) -> None:
    clip = make_clip(frames=12, fps=10)
    reader = make_reader(VideoFileSource(clip, loop=True), pace="fast")
    reader.start()
    clip.unlink()
    assert len(all_frames(reader)) == 12
    assert reader.health().state == "ended"
    assert "ended early" in reader.health().message
    assert reader.error is not None


def test_fail__a_fault_of_ours_ends_the_process(
    make_reader: MakeReader, clock: FakeClock, failures: list[tuple[str, BaseException]]
) -> None:
    reader = make_reader(ScriptedSource([picture(1), ZeroDivisionError("bug")]), clock=clock)
    reader.start()
    until(lambda: failures, reader.changed)
    assert failures[0][0] == "camera-front"
    assert isinstance(failures[0][1], ZeroDivisionError)


@pytest.mark.parametrize("pace", ["fast", "real"])
def test_ok__stop_ends_a_thread_that_waits(make_reader: MakeReader, pace: str) -> None:
    reader = make_reader(MemorySource([picture(1), picture(2), picture(3)], fps=0.01), pace=pace, fps=10)
    reader.start()
    assert reader.take(PATIENCE_S) is not None
    began = time.monotonic()
    reader.stop()
    assert time.monotonic() - began < 3
    assert reader.ended
