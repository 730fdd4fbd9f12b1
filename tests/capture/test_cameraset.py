"""Several cameras, one loop."""

from __future__ import annotations

import itertools
import threading
import time
from pathlib import Path

import pytest

from device.capture.cameraset import CameraSet
from device.capture.memory import MemorySource
from device.capture.opencv import VideoFileSource
from device.datatypes import Frame
from device.errors import InputError
from tests.capture.conftest import MakeReader
from tests.capture.doubles import PATIENCE_S, FakeClock, ScriptedSource, picture


@pytest.fixture
def changed() -> threading.Condition:
    return threading.Condition()


def test_ok__cameras_are_served_in_turn(make_reader: MakeReader, changed: threading.Condition) -> None:
    readers = [
        make_reader(MemorySource([picture(1), picture(2)], loop=True), id=name, pace="fast", changed=changed)
        for name in ("a", "b", "c")
    ]
    cameras = CameraSet(readers)
    cameras.start()
    taken = []
    for frame in itertools.islice(cameras.frames(), 60):
        assert frame is not None
        taken.append(frame.camera)
        time.sleep(0.005)  # A consumer that is slower than the cameras.
    cameras.stop()
    counts = [taken.count(name) for name in ("a", "b", "c")]
    assert min(counts) >= 15, f"somebody was starved: {counts}"


def test_ok__iteration_ends_when_every_recording_has(make_reader: MakeReader, changed: threading.Condition) -> None:
    long = make_reader(MemorySource([picture(n) for n in range(9)]), id="long", pace="fast", changed=changed)
    short = make_reader(MemorySource([picture(n) for n in range(3)]), id="short", pace="fast", changed=changed)
    cameras = CameraSet([long, short])
    cameras.start()
    frames = [frame for frame in cameras.frames() if frame is not None]
    assert [sum(frame.camera == name for frame in frames) for name in ("long", "short")] == [9, 3]
    assert {health.state for health in cameras.health()} == {"ended"}


def test_ok__a_camera_that_is_down_holds_up_nobody(
    make_reader: MakeReader, clock: FakeClock, changed: threading.Condition
) -> None:
    source = ScriptedSource([InputError("gone")] * 3)
    dead = make_reader(source, id="dead", clock=clock, changed=changed)
    alive = make_reader(MemorySource([picture(n) for n in range(9)]), id="alive", pace="fast", changed=changed)
    cameras = CameraSet([dead, alive])
    cameras.start()
    frames = list(itertools.islice((frame for frame in cameras.frames(0.05) if frame is not None), 9))
    assert {frame.camera for frame in frames} == {"alive"}
    source.release.set()
    cameras.stop()


def test_ok__a_wait_without_frames_ticks(
    make_reader: MakeReader, clock: FakeClock, changed: threading.Condition
) -> None:
    cameras = CameraSet([make_reader(ScriptedSource([]), clock=clock, changed=changed)])
    cameras.start()
    assert list(itertools.islice(cameras.frames(0.01), 3)) == [None, None, None]


def test_ok__stop_ends_the_iteration_from_another_thread(
    make_reader: MakeReader, clock: FakeClock, changed: threading.Condition
) -> None:
    cameras = CameraSet([make_reader(ScriptedSource([]), clock=clock, changed=changed)])
    cameras.start()
    got: list[Frame | None] = []
    consumer = threading.Thread(target=lambda: got.extend(cameras.frames(60)))
    consumer.start()
    threading.Thread(target=cameras.stop, daemon=True).start()
    consumer.join(PATIENCE_S)
    assert not consumer.is_alive()
    assert got == []


def test_fail__not_one_camera_works(make_reader: MakeReader, clock: FakeClock, changed: threading.Condition) -> None:
    readers = [
        make_reader(
            ScriptedSource([InputError(f"/dev/video{n} is not there")]), id=f"c{n}", clock=clock, changed=changed
        )
        for n in (7, 8)
    ]
    cameras = CameraSet(readers)
    cameras.start()
    with pytest.raises(InputError, match=r"c7 cannot be opened: /dev/video7 is not there; camera c8 cannot"):
        cameras.require_one(PATIENCE_S)


def test_ok__one_camera_that_works_is_enough(
    make_reader: MakeReader, clock: FakeClock, changed: threading.Condition
) -> None:
    dead = make_reader(ScriptedSource([InputError("gone")]), id="dead", clock=clock, changed=changed)
    alive = make_reader(ScriptedSource([picture(1)]), id="alive", clock=clock, changed=changed)
    cameras = CameraSet([dead, alive])
    cameras.start()
    cameras.require_one(PATIENCE_S)
    assert "ok" in [health.state for health in cameras.health()]


def test_fail__a_missing_file_stops_those_already_started(
    make_reader: MakeReader, changed: threading.Condition, tmp_path: Path
) -> None:
    first = make_reader(MemorySource([picture(1), picture(2)], loop=True), id="first", pace="fast", changed=changed)
    cameras = CameraSet([first, make_reader(VideoFileSource(tmp_path / "no.mp4"), id="second", changed=changed)])
    with pytest.raises(InputError, match=r"no\.mp4 is not there"):
        cameras.start()
    assert first.ended


def test_ok__cameras_that_hang_are_left_behind_together(
    make_reader: MakeReader, clock: FakeClock, changed: threading.Condition
) -> None:
    sources = [ScriptedSource([]) for _ in range(4)]
    cameras = CameraSet(
        [make_reader(source, id=f"c{n}", clock=clock, changed=changed) for n, source in enumerate(sources)]
    )
    cameras.start()
    assert all(source.hanging.wait(PATIENCE_S) for source in sources)
    began = time.monotonic()
    cameras.stop(0.4)
    assert 0.3 < time.monotonic() - began < 1.5


def test_ok__who_is_asked_to_stop_waits_for_no_camera(
    make_reader: MakeReader, clock: FakeClock, changed: threading.Condition
) -> None:
    source = ScriptedSource([])
    source.steps.append(lambda: source.release.wait(PATIENCE_S))
    cameras = CameraSet([make_reader(source, clock=clock, changed=changed)])
    cameras.start()
    stop = threading.Event()
    threading.Timer(0.1, stop.set).start()
    began = time.monotonic()
    cameras.require_one(PATIENCE_S, stop)
    assert stop.is_set()
    assert time.monotonic() - began < 5


def test_fail__a_missing_file_is_told_before_anything_starts(
    make_reader: MakeReader, changed: threading.Condition, tmp_path: Path
) -> None:
    first = make_reader(MemorySource([picture(1)]), id="first", pace="fast", changed=changed)
    cameras = CameraSet([first, make_reader(VideoFileSource(tmp_path / "no.mp4"), id="second", changed=changed)])
    with pytest.raises(InputError, match=r"no\.mp4 is not there"):
        cameras.open()
    assert first.health().frames == 0


def test_fail__readers_that_share_no_condition_are_refused(make_reader: MakeReader) -> None:
    with pytest.raises(ValueError, match="share one condition"):
        CameraSet([make_reader(MemorySource([]), id="a"), make_reader(MemorySource([]), id="b")])
