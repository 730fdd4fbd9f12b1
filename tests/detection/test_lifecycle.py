"""The life of events: what a person at the broker sees of objects that come, rest and go."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import count, pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from device.config import Camera
from device.datatypes import Box, Detection, Event, Frame, ObjectCount, ObjectEvent
from device.detection.lifecycle import MAX_FRAMES, Lifecycle, event_id
from device.detection.tracker import Tracker

WIDTH, HEIGHT = 640, 480
IMAGE = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
START = 1_700_000_000.0


class Scene:
    """A camera's tracker and lifecycle, fed by hand."""

    def __init__(self, **camera: object) -> None:
        self.camera = Camera.model_validate(camera)
        numbers = count(1)
        self.tracker = Tracker(self.camera.tracking)
        self.lifecycle = Lifecycle(self.camera, new_id=lambda _: f"id-{next(numbers)}")
        self.events: list[Event] = []
        self.now = 0.0

    def look(self, *found: Detection, after: float = 0.1) -> list[Event]:
        """One frame, so many seconds after the last."""
        self.now = round(self.now + after, 6)
        frame = Frame("front", 0, IMAGE.copy(), self.now, START + self.now)
        told = self.lifecycle.update(frame, self.tracker.update(found, self.now))
        self.events += told
        return told

    def watch(self, seconds: float, place: Callable[[float], Iterable[Detection]], fps: float = 10.0) -> None:
        """Many frames; `place` says what is where, so many seconds after the beginning."""
        for index in range(round(seconds * fps)):
            self.look(*place(index / fps), after=1 / fps)

    def finish(self) -> list[Event]:
        """Shut down."""
        told = self.lifecycle.finish()
        self.events += told
        return told

    def told(self, kind: str | None = None) -> list[ObjectEvent]:
        """What was told of objects."""
        return [e for e in self.events if isinstance(e, ObjectEvent) and kind in (None, e.type)]

    def counts(self, label: str = "person") -> list[int]:
        """The counts that were told."""
        return [e.count for e in self.events if isinstance(e, ObjectCount) and e.label == label]


def person(x: float, y: float = 200.0, score: float = 0.9, scale: float = 1.0, label: str = "person") -> Detection:
    """A box of 60 x 160, its left upper corner at x, y."""
    return Detection((x, y, x + 60 * scale, y + 160 * scale), score, 0, label)


def test_ok__a_person_walks_through() -> None:
    scene = Scene()
    scene.watch(1.0, lambda _: [])
    scene.watch(4.0, lambda t: [person(100 + 80 * t)])
    scene.watch(3.0, lambda _: [])
    assert [e.type for e in scene.told()] == ["new", "end"]
    new, end = scene.told()
    assert new.before == new.after
    assert (new.after.id, new.after.label, new.after.camera) == ("id-1", "person", "front")
    assert new.after.start_time == pytest.approx(START + 1.1)
    assert new.after.frame_time == pytest.approx(START + 1.6)
    assert new.after.end_time is None
    assert end.before == new.after
    assert end.after.end_time == pytest.approx(START + 5.0)
    assert not end.after.active
    assert scene.counts() == [0, 1, 0]


@pytest.mark.parametrize("fps", [2, 5, 10, 30])
def test_ok__the_same_events_at_every_frame_rate(fps: int) -> None:
    scene = Scene()
    scene.watch(4.0, lambda t: [person(100 + 60 * t)], fps)
    scene.watch(3.0, lambda _: [], fps)
    scene.watch(4.0, lambda t: [person(400 - 60 * t)], fps)
    scene.finish()
    assert [e.type for e in scene.told()] == ["new", "end", "new", "end"]


def test_ok__a_flicker_is_no_event() -> None:
    scene = Scene()
    scene.watch(20.0, lambda t: [person(100)] if int(t * 10) % 7 == 0 else [])
    scene.finish()
    assert scene.told() == []
    assert scene.counts() == [0]


def test_ok__an_object_that_never_reaches_its_score_is_no_event() -> None:
    scene = Scene(objects={"person": {"min_score": 0.7}})
    scene.watch(2.0, lambda _: [person(100, score=0.65)])
    assert scene.told() == []
    scene.look(person(100, score=0.72))
    assert [(e.type, e.after.top_score) for e in scene.told()] == [("new", 0.72)]
    scene.look(person(100, score=0.4))
    scene.finish()
    assert (scene.told()[-1].after.score, scene.told()[-1].after.top_score) == (0.4, 0.72)


def test_ok__labels_nobody_asked_for_make_no_event() -> None:
    scene = Scene(objects=["car"])
    scene.watch(2.0, lambda _: [person(100, label="truck")])
    assert scene.told() == []


def test_ok__zones_are_told_when_entered_and_left() -> None:
    scene = Scene(zones={"left": {"polygon": [[0, 0], [0.5, 0], [0.5, 1], [0, 1]]}})
    scene.watch(4.0, lambda t: [person(150 + 80 * t)])
    zones = [(e.type, e.after.current_zones, e.after.entered_zones) for e in scene.told()]
    assert zones == [("new", ("left",), ("left",)), ("update", (), ("left",))]


def test_ok__feet_on_a_zone_edge_do_not_flood_the_broker() -> None:
    scene = Scene(zones={"left": {"polygon": [[0, 0], [0.5, 0], [0.5, 1], [0, 1]]}})
    scene.watch(4.0, lambda t: [person(290 + (4 if int(t * 10) % 2 else -4))])
    assert [e.type for e in scene.told()] == ["new"]


def test_ok__updates_of_a_walker_come_at_most_each_interval() -> None:
    scene = Scene(tracking={"update_interval_s": 2.0})
    scene.watch(7.0, lambda t: [person(50 + 70 * t)])
    at = [round(e.after.frame_time - START, 1) for e in scene.told("update")]
    assert len(at) == 3
    assert all(b - a >= 1.99 for a, b in pairwise(at))


def test_ok__a_parked_object_is_one_event_however_long_it_stays() -> None:
    scene = Scene()
    rng = np.random.default_rng(1)
    scene.watch(60.0, lambda _: [person(100 + rng.normal(0, 2))] if rng.random() < 0.7 else [])
    kinds = [(e.type, e.after.stationary) for e in scene.told()]
    assert kinds[0] == ("new", False)
    assert kinds.count(("update", True)) >= 1
    assert ("update", False) not in kinds
    # Missed for longer than a moving object is waited for, and found again by another track: still the same one.
    scene.watch(15.0, lambda _: [])
    scene.watch(5.0, lambda _: [person(103)])
    scene.finish()
    assert [e.type for e in scene.told() if e.type != "update"] == ["new", "end"]
    assert scene.counts() == [0, 1, 0]


def test_ok__a_parked_object_that_leaves_ends() -> None:
    scene = Scene()
    scene.watch(10.0, lambda _: [person(100)])
    assert scene.told()[-1].after.stationary
    scene.watch(19.9, lambda _: [])
    assert len(scene.told("end")) == 0
    scene.watch(0.3, lambda _: [])
    assert [e.after.end_time for e in scene.told("end")] == [pytest.approx(START + 10.0)]


def test_ok__rest_and_departure_are_told() -> None:
    scene = Scene()
    scene.watch(8.0, lambda _: [person(100)])
    scene.watch(4.0, lambda t: [person(100 + 60 * t)])
    states = [(e.after.stationary, e.after.position_changes) for e in scene.told()]
    assert states[:3] == [(False, 0), (True, 0), (False, 1)]
    assert scene.told()[1].after.frame_time - START == pytest.approx(5.1, abs=0.2)
    assert scene.told()[1].after.motionless_count >= 50


def test_ok__who_slowly_drifts_is_not_at_rest() -> None:
    scene = Scene()
    scene.watch(20.0, lambda t: [person(100 + 12 * t)])
    assert not any(e.after.stationary for e in scene.told())


def test_ok__found_again_near_by_it_is_the_same_event() -> None:
    """Behind a tree for 1.5 s, where it changed its pace so that the tracker takes it for another."""
    scene = Scene()
    scene.watch(2.0, lambda t: [person(100 + 100 * t)])
    scene.watch(1.5, lambda _: [])
    scene.watch(2.0, lambda t: [person(290, 260 + 20 * t)])
    scene.finish()
    assert [e.type for e in scene.told() if e.type != "update"] == ["new", "end"]


def test_ok__who_comes_in_where_another_left_is_another() -> None:
    scene = Scene()
    scene.watch(3.0, lambda t: [_cut(person(400 + 90 * t))])
    scene.watch(1.0, lambda _: [])
    scene.watch(3.0, lambda t: [_cut(person(620 - 90 * t))])
    scene.finish()
    assert [e.type for e in scene.told() if e.type != "update"] == ["new", "new", "end", "end"]


def _cut(detection: Detection) -> Detection:
    """Only what is in the picture."""
    x1, y1, x2, y2 = detection.xyxy
    box: Box = (x1, y1, min(x2, float(WIDTH)), min(y2, float(HEIGHT)))
    return Detection(box, detection.confidence, 0, detection.label)


def test_ok__two_at_once_are_two() -> None:
    scene = Scene()
    scene.watch(3.0, lambda t: [person(50 + 80 * t), person(500 - 80 * t, 210)])
    assert [e.after.id for e in scene.told("new")] == ["id-1", "id-2"]
    assert scene.counts() == [0, 2]


def test_ok__best_picture_is_the_surest_and_whole_one() -> None:
    scene = Scene()
    scene.watch(1.0, lambda _: [Detection((0, 200, 60, 360), 0.9, 0, "person")])
    first = scene.told("new")[0].best
    assert first is not None
    assert first.box == (0, 200, 60, 360)
    scene.watch(6.0, lambda t: [person(20 + 60 * t, score=0.8)])
    told = [e for e in scene.told("update") if e.best is not None]
    assert told, "a whole person is worth more than one cut off by the border"
    assert told[0].best is not None
    assert told[0].best.image.shape == IMAGE.shape
    assert told[0].best.box[0] > 2


def test_ok__a_picture_is_told_once_and_then_let_go() -> None:
    scene = Scene()
    scene.watch(30.0, lambda _: [person(100)])
    assert [e.best is not None for e in scene.told()] == [True] + [False] * (len(scene.told()) - 1)
    assert all(e.after.has_snapshot for e in scene.told())


def test_ok__few_frames_are_held_however_many_objects_there_are() -> None:
    scene = Scene(objects={"person": {"min_score": 0.99}})
    growing = [person(60 * (n % 10), 100 + 180 * (n // 10), score=0.6) for n in range(20)]
    held = 0
    for step in range(60):  # One object after another is seen better than before.
        better = growing[step % 20]
        growing[step % 20] = Detection(better.xyxy, min(better.confidence + 0.1, 0.95), 0, "person")
        scene.look(*growing)
        portraits = [s.portrait.pending for s in scene.lifecycle._subjects.values()]
        held = max(held, len({id(p.image) for p in portraits if p is not None}))
        assert all(p is not None for p in portraits)
    assert held == MAX_FRAMES


def test_ok__looks_go_on_while_anything_moves_or_is_missing() -> None:
    scene = Scene()
    assert not scene.lifecycle.needs_frames
    scene.look(person(100))
    assert scene.lifecycle.needs_frames
    scene.watch(6.0, lambda _: [person(100)])
    assert not scene.lifecycle.needs_frames
    scene.look(after=10.0)
    assert scene.lifecycle.needs_frames, "a resting object went missing: look again"
    scene.look(person(100))
    assert not scene.lifecycle.needs_frames
    scene.look(person(100), person(400))
    assert scene.lifecycle.needs_frames


def test_ok__a_gate_that_opens_each_ten_seconds_keeps_a_parked_object() -> None:
    scene = Scene()
    scene.watch(6.0, lambda _: [person(100)])
    for _ in range(20):
        scene.look(person(101), after=10.0)
    assert [e.type for e in scene.told() if e.type != "update"] == ["new"]


def test_ok__shutdown_ends_everything_once() -> None:
    scene = Scene(objects=["person", "car"])
    scene.watch(2.0, lambda _: [person(100), person(400, label="car")])
    last = scene.finish()
    assert [type(e).__name__ for e in last] == ["ObjectEvent", "ObjectEvent", "ObjectCount", "ObjectCount"]
    assert (scene.counts(), scene.counts("car")) == ([0, 1, 0], [0, 1, 0])
    assert scene.finish() == []


def test_ok__ids_look_like_frigates() -> None:
    one, other = event_id(1_700_000_000.25), event_id(1_700_000_000.25)
    assert one.startswith("1700000000.250000-")
    assert len(one.rsplit("-", 1)[1]) == 6
    assert one != other


LOOK = st.lists(
    st.tuples(
        st.integers(0, 560),
        st.integers(0, 300),
        st.sampled_from([0.15, 0.45, 0.6, 0.9]),
        st.sampled_from(["person", "car", "truck"]),
    ),
    max_size=4,
)


@settings(max_examples=150, deadline=None)
@given(looks=st.lists(st.tuples(LOOK, st.sampled_from([0.1, 0.2, 1.0, 15.0]), st.integers(1, 8)), max_size=12))
def test_ok__whatever_is_seen_each_event_has_a_whole_life(
    looks: list[tuple[list[tuple[int, int, float, str]], float, int]],
) -> None:
    scene = Scene(
        objects=["person", "car"],
        zones={"left": {"polygon": [[0, 0], [0.5, 0], [0.5, 1], [0, 1]]}},
        tracking={"update_interval_s": 1.0, "stationary_s": 1.0, "stationary_lost_s": 3.0},
    )
    for found, after, times in looks:
        for _ in range(times):
            scene.look(*(person(x, y, score, label=label) for x, y, score, label in found), after=after)
    scene.finish()
    last: dict[str, ObjectEvent] = {}
    in_view = {"person": 0, "car": 0}
    for event in scene.events:
        if isinstance(event, ObjectCount):
            assert event.count == in_view[event.label]
            continue
        assert isinstance(event, ObjectEvent)
        before = last.get(event.after.id)
        assert (event.type == "new") == (before is None)
        assert event.type != "new" or event.best is not None
        assert event.before == (before.after if before else event.after)
        assert before is None or before.type != "end"
        assert (event.after.end_time is not None) == (event.type == "end")
        assert event.after.label == event.before.label
        assert set(event.before.entered_zones) <= set(event.after.entered_zones)
        assert event.after.top_score >= max(event.before.top_score, event.after.score, 0.5)
        assert event.after.start_time <= (event.after.end_time or event.after.frame_time)
        in_view[event.after.label] += {"new": 1, "update": 0, "end": -1}[event.type]
        last[event.after.id] = event
    assert all(event.type == "end" for event in last.values())
    assert in_view == {"person": 0, "car": 0}
    assert not scene.lifecycle.needs_frames


def test_ok__a_label_nobody_asked_for_lends_its_score_to_none() -> None:
    """A truck that is called a car now and then, weakly, is no car."""
    scene = Scene(objects=["car"])
    looks = [person(100, score=0.9, label="truck"), *[person(100, score=0.45, label="car")] * 6]
    for found in looks:
        scene.look(found)
    scene.finish()
    assert scene.told() == []


def test_ok__an_event_has_the_scores_of_its_own_label() -> None:
    scene = Scene(objects={"car": {"min_score": 0.4}})
    looks = [person(100, score=0.9, label="truck"), *[person(100, score=0.45, label="car")] * 6]
    for found in looks:
        scene.look(found)
    scene.look(person(100, score=0.8, label="truck"))
    scene.finish()
    assert [(e.type, e.after.label, e.after.top_score, e.after.score) for e in scene.told()] == [
        ("new", "car", 0.45, 0.45),
        ("end", "car", 0.45, 0.45),
    ]
