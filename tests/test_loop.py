"""The loop: who is told what, when the watchdog is fed, when the detector is asked."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest

from device.capture.motion import Gate, MotionGate
from device.config import Camera
from device.datatypes import (
    CameraHealth,
    CameraState,
    Detection,
    Event,
    Frame,
    Image,
    ObjectCount,
    ObjectEvent,
    Observation,
    Step,
)
from device.detection.filters import Filters
from device.detection.lifecycle import Lifecycle
from device.detection.tracker import Tracker
from device.errors import InputError
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


def unit(finder: Finder, name: str = "front") -> CameraUnit:
    camera = Camera(id=name)
    return CameraUnit(
        motion=MotionGate(camera.motion),
        gate=Gate(camera.motion),
        tamper=None,
        detector=finder,
        filters=Filters(camera),
        tracker=Tracker(camera.tracking),
        lifecycle=Lifecycle(camera),
    )


class Cameras:
    """Two cameras and a clock: `back` goes on, `front` does as told. Made to be iterated by the loop, once."""

    def __init__(self, script: list[tuple[float, str, Frame | None]]) -> None:
        """`script`: at what time, with `front` in which state, which frame comes."""
        self.now, self.state, self.down_since = 0.0, "ok", 0.0
        self.script = script

    def frames(self) -> Iterator[Frame | None]:
        for now, state, frame in self.script:
            self.now = now
            self.down_since = now if state != self.state else self.down_since
            self.state = state
            yield frame

    def health(self) -> list[CameraHealth]:
        down = None if self.state in ("ok", "ended") else self.down_since
        front = CameraHealth("front", self.state, "", 0, 0, 0, down)  # type: ignore[arg-type]
        return [front, CameraHealth("back", "ok", "", 0, 0, 0)]

    def run(self) -> list[tuple[float, Event]]:
        """What was told, each with when."""
        told: list[tuple[float, Event]] = []
        sink = Recorder()
        sink.accept = lambda event: told.append((self.now, event))  # type: ignore[method-assign]
        Loop(
            frames=self.frames(),
            units={"front": unit(Finder()), "back": unit(Finder(), "back")},
            sinks=[sink],
            observers=[],
            health=self.health,
            watchdog=sink,
            stop=threading.Event(),
            clock=lambda: self.now,
        ).run()
        return told


def of_front(told: list[tuple[float, Event]]) -> list[tuple[float, str]]:
    """When what became of the camera `front`'s objects, motion and count."""
    words = []
    for when, event in told:
        if isinstance(event, ObjectEvent) and event.after.camera == "front":
            words.append((when, event.type))
        elif isinstance(event, CameraState) and event.camera == "front":
            words.append((when, f"{event.kind} {'ON' if event.on else 'OFF'}"))
        elif isinstance(event, ObjectCount) and event.camera == "front" and when:
            words.append((when, f"count {event.count}"))
    return words


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


@pytest.mark.parametrize("state", ["lost", "hung", "ended"])
@pytest.mark.parametrize("others_deliver", [True, False])
def test_ok__a_camera_that_is_lost_leaves_nobody_standing(state: str, others_deliver: bool) -> None:
    seen = [(f.monotonic, "ok", f) for f in walk(20)]
    gone = [(2 + i / 10, state, replace(f, camera="back") if others_deliver else None) for i, f in enumerate(empty(60))]
    told = of_front(Cameras([*seen, *gone]).run())
    before = [what for when, what in told if when < 2]
    after = [(when, what) for when, what in told if when >= 2]
    assert before == ["motion ON", "new", "count 1"]
    assert [what for _, what in after] == ["motion OFF", "end", "count 0"], "once each"
    assert all(4 <= when <= 5 for when, _ in after), "lost_s after the camera was last known to work"


def test_ok__a_parked_car_outlasts_a_short_loss_of_its_camera() -> None:
    standing = [(f.monotonic, "ok", f) for f in walk(120, step=0)]
    away: list[tuple[float, str, Frame | None]] = [(12 + i / 10, "lost", None) for i in range(80)]
    back = [(f.monotonic, "ok", f) for f in walk(20, start=200, step=0)]
    told = of_front(Cameras([*standing, *away, *back]).run())
    assert [what for _, what in told if what in ("new", "end", "count 0")] == ["new", "end", "count 0"]
    assert told[-1][0] == pytest.approx(21.9)


def test_ok__what_comes_after_a_loss_is_another() -> None:
    seen = [(f.monotonic, "ok", f) for f in walk(20)]
    away: list[tuple[float, str, Frame | None]] = [(2 + i / 10, "lost", None) for i in range(40)]
    back = [(f.monotonic, "ok", f) for f in walk(20, start=60)]
    told = of_front(Cameras([*seen, *away, *back]).run())
    kinds = [(when, what) for when, what in told if what in ("new", "end")]
    assert [what for _, what in kinds] == ["new", "end", "new", "end"]
    assert kinds[2][0] >= 6.4, "it is confirmed anew"


def test_fail__a_source_that_breaks_still_ends_what_is_open() -> None:
    def breaking() -> Iterator[Frame]:
        yield from walk(20)
        raise InputError("picture 21 cannot be decoded")

    recorder = Recorder()
    loop = Loop(
        frames=breaking(),
        units={"front": unit(Finder())},
        sinks=[recorder],
        observers=[],
        health=list,
        watchdog=recorder,
        stop=threading.Event(),
    )
    with pytest.raises(InputError, match="picture 21"):
        loop.run()
    assert [event.type for event in recorder.events if isinstance(event, ObjectEvent)] == ["new", "end"]


def test_ok__motion_is_off_after_the_end() -> None:
    recorder, _ = run([*walk(20)])
    assert [event.on for event in recorder.events if isinstance(event, CameraState)] == [True, False]


class Failing:
    """A unit whose third frame shows a mistake of its own."""

    def __init__(self) -> None:
        self.frames = self.idles = 0
        self.finished = False

    def process(self, frame: Frame) -> Step:
        self.frames += 1
        failure = ZeroDivisionError("a mistake") if self.frames == 3 else None
        told: list[Event] = [CameraState("front", "motion", failure is not None, 0.0)]
        return Step(Observation(frame, (), moving=False, detected=False), told, failure)

    def idle(self) -> list[Event]:
        self.idles += 1
        return [CameraState("front", "tamper", True, 0.0)]

    def lose(self, _away_s: float) -> list[Event]:
        return []

    def finish(self) -> list[Event]:
        self.finished = True
        return [CameraState("front", "motion", False, 0.0)]


def test_fail__a_unit_that_failed_is_told_then_ends_the_loop() -> None:
    told, failing = Recorder(), Failing()
    frames = [Frame("front", index, np.zeros((4, 4, 3), np.uint8), index / 10, 0.0) for index in range(9)]
    loop = Loop(frames, {"front": failing}, [told], [], list, told, threading.Event())
    with pytest.raises(ZeroDivisionError):
        loop.run()
    assert (failing.frames, failing.finished, told.pings) == (3, True, 2)
    assert [event.on for event in told.events if isinstance(event, CameraState)] == [False, False, True, False]


def test_ok__a_unit_is_asked_also_where_no_frame_comes() -> None:
    """A lock goes to rest whatever the camera does."""
    told, failing = Recorder(), Failing()
    Loop([None, None], {"front": failing}, [told], [], list, told, threading.Event()).run()
    assert failing.idles == 2
    assert [event.kind for event in told.events if isinstance(event, CameraState)] == ["tamper", "tamper", "motion"]
