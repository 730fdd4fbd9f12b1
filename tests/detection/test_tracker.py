"""The tracker alone: who is who from look to look."""

from __future__ import annotations

import time

import numpy as np
import pytest

from device.config import Tracking
from device.datatypes import Box, Detection, Track
from device.detection.association import group_of
from device.detection.tracker import HIGH, Tracker

SETTINGS = Tracking(confirm_s=0.5, lost_s=2.0)


def person(x: float, y: float = 100.0, score: float = 0.9, *, label: str = "person", class_id: int = 0) -> Detection:
    """A box of 40 x 100 whose left upper corner is at x, y."""
    return Detection((x, y, x + 40, y + 100), score, class_id, label)


def follow(tracker: Tracker, looks: list[tuple[float, list[Detection]]]) -> list[Track]:
    """The answer to the last of several looks."""
    tracks: list[Track] = []
    for now, found in looks:
        tracks = tracker.update(found, now)
    return tracks


def test_ok__one_person_keeps_one_id() -> None:
    tracker = Tracker(SETTINGS)
    tracks = follow(tracker, [(k * 0.1, [person(100 + 8 * k)]) for k in range(30)])
    assert [(t.id, t.hits, t.matched, t.confirmed) for t in tracks] == [(1, 30, True, True)]
    assert (tracks[0].start, tracks[0].last_seen) == (0.0, pytest.approx(2.9))
    assert tracks[0].xyxy == person(100 + 8 * 29).xyxy


@pytest.mark.parametrize(("fps", "looks_needed"), [(10, 6), (5, 4), (2, 3), (30, 16)])
def test_ok__confirmed_after_half_a_second_and_three_looks(fps: int, looks_needed: int) -> None:
    tracker = Tracker(SETTINGS)
    states = [tracker.update([person(100)], k / fps)[0].confirmed for k in range(40)]
    assert states.index(True) + 1 == looks_needed
    assert all(states[looks_needed:])


def test_ok__flicker_is_dropped_at_once() -> None:
    tracker = Tracker(SETTINGS)
    tracker.update([person(100)], 0.0)
    assert [t.confirmed for t in tracker.update([], 0.1)] == [False]
    assert tracker.update([], 0.2) == []


def test_ok__one_missed_look_does_not_start_over() -> None:
    tracker = Tracker(SETTINGS)
    looks = [[person(100)], [], [person(100)], [person(100)], [], [person(100)]]
    tracks = follow(tracker, [(k * 0.1, found) for k, found in enumerate(looks)])
    assert [(t.id, t.hits, t.confirmed) for t in tracks] == [(1, 4, True)]


def test_ok__predicted_where_it_would_be_while_out_of_sight() -> None:
    tracker = Tracker(SETTINGS)
    follow(tracker, [(k * 0.1, [person(100 + 8 * k)]) for k in range(20)])
    tracks = follow(tracker, [(2.0 + k * 0.1, []) for k in range(5)])
    assert not tracks[0].matched
    assert tracks[0].xyxy[0] == pytest.approx(100 + 8 * 24, abs=8)
    back = tracker.update([person(100 + 8 * 25)], 2.5)
    assert [(t.id, t.matched) for t in back] == [(1, True)]


def test_ok__lost_after_lost_s_of_looks_not_of_pauses() -> None:
    tracker = Tracker(SETTINGS)
    follow(tracker, [(k * 0.1, [person(100)]) for k in range(10)])
    # The gate let nothing through for a minute: that is no reason to forget who stands there.
    assert [t.id for t in tracker.update([person(101)], 60.0)] == [1]
    assert len(tracker.update([], 120.0)) == 1
    assert len(tracker.update([], 121.9)) == 1
    assert tracker.update([], 122.0) == []


def test_ok__weak_detections_continue_but_do_not_begin() -> None:
    tracker = Tracker(SETTINGS)
    assert tracker.update([person(100, score=HIGH - 0.01)], 0.0) == []
    follow(tracker, [(k * 0.1, [person(100)]) for k in range(1, 10)])
    tracks = follow(tracker, [(k * 0.1, [person(100, score=0.15)]) for k in range(10, 40)])
    assert [(t.id, t.matched, t.confidence) for t in tracks] == [(1, True, 0.15)]
    assert not tracker.update([person(100, score=0.05)], 4.0)[0].matched


def test_ok__objects_wanted_at_a_lower_score_begin_there() -> None:
    assert len(Tracker(SETTINGS, high=0.3).update([person(100, score=0.35)], 0.0)) == 1


def test_ok__a_person_never_becomes_a_car() -> None:
    tracker = Tracker(SETTINGS)
    follow(tracker, [(k * 0.1, [person(100)]) for k in range(10)])
    tracks = tracker.update([person(100, label="car", class_id=2)], 1.0)
    assert [(t.id, t.label, t.matched) for t in tracks] == [(1, "person", False), (2, "car", True)]


def test_ok__a_van_of_changing_label_is_one_track_named_by_the_majority() -> None:
    tracker = Tracker(SETTINGS)
    labels = ["truck", "car", "car", "bus", "car", "truck", "car"]
    tracks = follow(tracker, [(k * 0.1, [person(100, label=name, class_id=7)]) for k, name in enumerate(labels)])
    assert [(t.id, t.label, t.hits) for t in tracks] == [(1, "car", 7)]
    assert group_of("truck") == group_of("car") != group_of("person")


def test_ok__two_labels_on_one_box_are_one_object() -> None:
    tracker = Tracker(SETTINGS)
    found = [person(100, score=0.8, label="car", class_id=2), person(102, score=0.6, label="truck", class_id=7)]
    assert [t.label for t in tracker.update(found, 0.0)] == ["car"]


def test_ok__boxes_that_do_not_overlap_at_two_frames_a_second() -> None:
    tracker = Tracker(SETTINGS)
    tracks = follow(tracker, [(k * 0.5, [person(20 + 55 * k)]) for k in range(10)])
    assert [(t.id, t.hits) for t in tracks] == [(1, 10)]


def test_ok__no_jump_across_the_room() -> None:
    tracker = Tracker(SETTINGS)
    follow(tracker, [(k * 0.1, [person(100)]) for k in range(20)])
    assert [t.id for t in tracker.update([person(400)], 2.0)] == [1, 2]


def test_ok__irregular_times_give_the_same_ids() -> None:
    rng = np.random.default_rng(3)
    times = np.cumsum(rng.uniform(0.03, 0.4, 60))
    tracker = Tracker(SETTINGS)
    for now in times:
        tracks = tracker.update([person(100 + 60 * now), person(900 - 60 * now, 110)], float(now))
    assert sorted(t.id for t in tracks) == [1, 2]


def test_ok__same_time_twice_and_nothing_at_all() -> None:
    tracker = Tracker(SETTINGS)
    assert tracker.update([], 5.0) == []
    tracker.update([person(100)], 5.0)
    assert [t.hits for t in tracker.update([person(100)], 5.0)] == [2]


def test_ok__empty_boxes_do_no_harm() -> None:
    tracker = Tracker(SETTINGS)
    flat: Box = (50.0, 50.0, 50.0, 50.0)
    for k in range(5):
        tracks = tracker.update([Detection(flat, 0.9, 0, "person"), person(300)], k * 0.1)
    assert all(np.isfinite(t.xyxy).all() for t in tracks)
    assert any(t.hits == 5 and t.xyxy == person(300).xyxy for t in tracks)


@pytest.mark.parametrize(("objects", "budget_ms"), [(5, 0.3), (30, 1.0)])
def test_ok__fast_enough_beside_the_detector(objects: int, budget_ms: float) -> None:
    rng = np.random.default_rng(0)
    starts, speeds = rng.uniform(0, 1200, (objects, 2)), rng.uniform(-30, 30, (objects, 2))
    looks = [
        [person(float(x), float(y), float(rng.uniform(0.2, 0.9))) for x, y in starts + speeds * k * 0.1]
        for k in range(200)
    ]
    best_ms = 1e9
    for _ in range(5):  # The best of five: other work on the machine only ever adds.
        tracker = Tracker(SETTINGS)
        started = time.process_time()
        for k, found in enumerate(looks):
            tracker.update(found, k * 0.1)
        best_ms = min(best_ms, (time.process_time() - started) / len(looks) * 1e3)
    assert best_ms <= budget_ms
