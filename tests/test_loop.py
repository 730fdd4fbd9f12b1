"""The loop: who is told what, when the watchdog is fed, when the detector is asked."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import numpy as np
import pytest

from device.capture.motion import Gate, MotionGate
from device.config import Camera
from device.datatypes import CameraHealth, Detection, Event, Frame, Image, ObjectCount, ObjectEvent
from device.detection.filters import Filters
from device.detection.lifecycle import Lifecycle
from device.detection.tracker import Tracker
from device.loop import CameraUnit, Loop


class Recorder:
    """Sink and watchdog in one; remembers."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.pings = 0

    def accept(self, event: Event) -> None:
        self.events.append(event)

    def ping(self) -> None:
        self.pings += 1


class Finder:
    """A detector that finds a person wherever the picture is bright."""

    def __init__(self) -> None:
        self.looks = 0

    def detect(self, image: Image) -> list[Detection]:
        self.looks += 1
        rows, columns = np.nonzero(image[..., 0] > 200)
        if not rows.size:
            return []
        box = (float(columns.min()), float(rows.min()), float(columns.max() + 1), float(rows.max() + 1))
        return [Detection(box, 0.9, 0, "person")]


def unit(finder: Finder) -> CameraUnit:
    camera = Camera()
    return CameraUnit(
        motion=MotionGate(camera.motion),
        gate=Gate(camera.motion),
        tamper=None,
        detector=finder,
        filters=Filters(camera),
        tracker=Tracker(camera.tracking),
        lifecycle=Lifecycle(camera),
    )


def walk(count: int, start: int = 0, step: int = 6) -> Iterator[Frame]:
    """A bright figure that walks, 10 frames a second."""
    for index in range(start, start + count):
        image = np.full((240, 320, 3), 80, np.uint8)
        left = 10 + step * (index - start)
        image[80:200, left : left + 50] = 255
        yield Frame("front", index, image, index / 10, 1000 + index / 10)


def empty(count: int, start: int = 0) -> Iterator[Frame]:
    """Nothing but a wall."""
    for index in range(start, start + count):
        yield Frame("front", index, np.full((240, 320, 3), 80, np.uint8), index / 10, 1000 + index / 10)


def run(frames: list[Frame | None], state: str = "ok", max_frames: int | None = None) -> tuple[Recorder, Finder]:
    recorder, finder = Recorder(), Finder()
    health = CameraHealth("front", state, "", 0, 0, 0)  # type: ignore[arg-type]
    Loop(
        frames=frames,
        units={"front": unit(finder)},
        sinks=[recorder],
        observers=[],
        health=lambda: [health],
        watchdog=recorder,
        stop=threading.Event(),
        max_frames=max_frames,
    ).run()
    return recorder, finder


def test_ok__a_walk_is_one_event_that_ends_with_the_source() -> None:
    recorder, _ = run([*walk(20)])
    objects = [event for event in recorder.events if isinstance(event, ObjectEvent)]
    assert [event.type for event in objects] == ["new", "end"]
    assert objects[0].best is not None
    assert objects[-1].after.end_time == pytest.approx(1001.9)
    counts = [event.count for event in recorder.events if isinstance(event, ObjectCount)]
    assert counts == [0, 1, 0]


def test_ok__a_still_scene_is_looked_at_each_ten_seconds() -> None:
    _, finder = run([*empty(250)])
    assert finder.looks == 3


def test_ok__somebody_who_stands_still_is_followed_until_at_rest() -> None:
    """The gate is closed by stillness; the lifecycle keeps it open while the object is not at rest yet."""
    standing = [*walk(10), *walk(100, start=10, step=0)]
    _, finder = run(standing)
    assert 50 < finder.looks < 85


@pytest.mark.parametrize(
    ("state", "pings"), [("ok", 0), ("lost", 2), ("hung", 2), ("never-opened", 2), ("starting", 2)]
)
def test_ok__a_turn_without_a_frame_feeds_the_watchdog_only_where_that_is_known(state: str, pings: int) -> None:
    recorder, _ = run([None, None], state)
    assert recorder.pings == pings


def test_ok__each_processed_frame_feeds_the_watchdog() -> None:
    recorder, _ = run([*empty(7)])
    assert recorder.pings == 7


def test_ok__max_frames_ends_it_in_order() -> None:
    recorder, _ = run([*walk(30)], max_frames=15)
    assert recorder.pings == 15
    objects = [event for event in recorder.events if isinstance(event, ObjectEvent)]
    assert [event.type for event in objects] == ["new", "end"]
