"""Who is who from frame to frame: an identity belongs to a track, and a track that jumps is a new one."""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from device.access.facetracker import LOST_S, FaceTracker
from device.datatypes import Face

SHAPE = np.array([[0.3, 0.35], [0.7, 0.35], [0.5, 0.55], [0.35, 0.75], [0.65, 0.75]])
"""Landmarks of a face that looks straight ahead, in sides of its box."""


def face(x: float, y: float = 100.0, side: float = 80.0, turned: float = 0.0) -> Face:
    """A square face with its left upper corner at x, y. `turned` moves its nose, in sides."""
    landmarks = SHAPE * side + [x, y]
    landmarks[2, 0] += turned * side
    return Face((x, y, x + side, y + side), 0.9, landmarks.astype(np.float32))


def unit(*numbers: float) -> np.ndarray:
    vector = np.array(numbers, np.float32)
    return vector / np.linalg.norm(vector)


ANA, BOB = unit(1, 0.1, 0), unit(0.1, 1, 0.2)


def ids(tracker: FaceTracker, *frames: list[Face], fps: float = 10.0) -> list[list[int]]:
    return [[track.id for track in tracker.update(faces, index / fps)] for index, faces in enumerate(frames)]


def test_ok__a_face_that_moves_a_little_is_the_same() -> None:
    walk = [[face(100 + 12 * step, side=80 + step)] for step in range(20)]
    assert ids(FaceTracker(), *walk) == [[1]] * 20


def test_ok__turning_the_head_is_the_same() -> None:
    nod = [[face(100, turned=0.15 * np.sin(step / 3))] for step in range(20)]
    assert ids(FaceTracker(), *nod) == [[1]] * 20


@pytest.mark.parametrize(
    "other",
    [face(180), face(100, y=180), face(80, y=80, side=120), face(115, y=115, side=50), face(100, turned=1.0)],
    ids=["beside it", "below it", "larger", "smaller", "another shape"],
)
def test_fail__a_jump_is_another(other: Face) -> None:
    assert ids(FaceTracker(), [face(100)], [other]) == [[1], [2]]


def test_fail__one_who_was_away_is_another() -> None:
    tracker = FaceTracker()
    assert tracker.update([face(100)], 0.0)[0].id == 1
    assert tracker.update([], LOST_S - 0.1) == []
    assert tracker.update([face(100)], LOST_S)[0].id == 1
    assert tracker.following
    tracker.update([], 2 * LOST_S + 0.05)
    assert tracker.ended == (1,)
    assert not tracker.following
    assert tracker.update([face(100)], 2 * LOST_S + 0.1)[0].id == 2


def test_ok__two_people_keep_their_numbers_whatever_the_order() -> None:
    tracker = FaceTracker()
    left, right = face(100), face(300, side=90)
    assert ids(tracker, [right, left], [left, right], [right], [left, right]) == [[1, 2], [2, 1], [1], [2, 1]]


def test_fail__two_who_may_be_either_are_both_new() -> None:
    """Where two faces come so close that each may be the other, neither keeps the identity."""
    tracker = FaceTracker()
    assert ids(tracker, [face(100), face(140)], [face(118), face(122)]) == [[1, 2], [3, 4]]
    assert set(tracker.ended) == {1, 2}


def test_fail__who_steps_in_front_of_another_does_not_inherit() -> None:
    """One track, and two faces that it may be: both begin anew."""
    tracker = FaceTracker()
    assert ids(tracker, [face(100)], [face(92), face(110)]) == [[1], [2, 3]]


def test_fail__a_face_swapped_in_at_the_very_place_is_found_by_its_embedding() -> None:
    tracker = FaceTracker()
    for step in range(5):
        [track] = tracker.update([face(100)], step / 10)
        assert tracker.recognise(track, ANA) is track
    [track] = tracker.update([face(100)], 0.5)
    assert track.id == 1
    swapped = tracker.recognise(track, BOB)
    assert swapped.id == 2
    assert (swapped.start, swapped.hits) == (0.5, 1)
    assert tracker.ended == (1,)
    [track] = tracker.update([face(100)], 0.6)
    assert track.id == 2
    assert tracker.recognise(track, BOB) is track
    # The first is not taken up again, either.
    [track] = tracker.update([face(100)], 0.7)
    assert tracker.recognise(track, ANA).id == 3


def test_fail__a_slow_drift_to_another_is_found() -> None:
    """The mean of all earlier embeddings does not follow as the last one would."""
    tracker, changed = FaceTracker(), 0
    for step in range(60):
        [track] = tracker.update([face(100)], step / 10)
        blend = unit(*((1 - step / 59) * ANA + step / 59 * unit(-1, 0.3, 0)))
        changed += tracker.recognise(track, blend).id != track.id
    assert changed >= 1


def test_fail__an_embedding_that_is_no_number_is_nobody_known() -> None:
    tracker = FaceTracker()
    [track] = tracker.update([face(100)], 0.0)
    tracker.recognise(track, ANA)
    [track] = tracker.update([face(100)], 0.1)
    assert tracker.recognise(track, np.full(3, np.nan, np.float32)).id == 2


def test_fail__a_lost_camera_ends_all_and_no_number_comes_back() -> None:
    tracker = FaceTracker()
    tracker.update([face(100), face(300)], 0.0)
    assert tracker.reset() == (1, 2)
    assert [track.id for track in tracker.update([face(100), face(300)], 0.1)] == [3, 4]


def test_fail__a_box_without_an_area_is_nobody() -> None:
    flat = Face((10, 10, 10, 50), 0.9, SHAPE.astype(np.float32))
    assert ids(FaceTracker(), [flat], [flat], [flat]) == [[1], [2], [3]]


@settings(max_examples=200, deadline=None)
@given(
    st.lists(
        st.lists(st.tuples(st.floats(0, 600), st.floats(0, 400), st.floats(10, 200)), max_size=4),
        min_size=2,
        max_size=12,
    )
)
def test_ok__whatever_comes_numbers_are_unique_and_never_come_back(frames: list[list[tuple[float, ...]]]) -> None:
    tracker, ended, live = FaceTracker(), set(), set()
    for index, boxes in enumerate(frames):
        tracks = tracker.update([face(x, y, side) for x, y, side in boxes], index / 10)
        seen = [track.id for track in tracks]
        assert len(set(seen)) == len(boxes)
        ended |= set(tracker.ended)
        assert not ended & set(seen)
        live |= set(seen)
    assert max(live, default=0) == len(live)


@pytest.fixture
def talk(shared_data) -> Iterator[np.ndarray]:  # type: ignore[no-untyped-def]
    """Ten frames a second of a man who gives a talk."""
    capture = cv2.VideoCapture(str(shared_data / "videos" / "obama.mp4"))
    frames = []
    while (read := capture.read())[0]:
        frames.append(read[1][..., ::-1].copy())
    capture.release()
    return iter(frames[::2])


def test_ok__a_man_who_gives_a_talk_is_one(talk: Iterator[np.ndarray], yunet) -> None:  # type: ignore[no-untyped-def]
    tracker = FaceTracker()
    seen = {
        track.id for index, image in enumerate(talk) for track in tracker.update(yunet.detect(image), index * 2 / 15)
    }
    assert seen == {1}
