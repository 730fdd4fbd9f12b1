"""Which detections begin a track: not the second box on an object that has one."""

from __future__ import annotations

from device.config import Tracking
from device.datatypes import Box, Detection
from device.detection.association import apart
from device.detection.tracker import Tracker


def person(*box: float, confidence: float = 0.8, label: str = "person") -> Detection:
    x1, y1, x2, y2 = box
    return Detection((x1, y1, x2, y2), confidence, 0, label)


FIRST = person(393, 29, 622, 395, confidence=0.81)
SECOND = person(461, 21, 623, 395, confidence=0.61)
"""Boxes that a detector gave one person who turned: their IoU is 0.67, and NMS at 0.7 leaves both."""


def test_ok__a_second_box_on_an_object_begins_no_track() -> None:
    assert apart([SECOND], [FIRST, SECOND]) == []


def test_ok__of_two_boxes_on_a_new_object_the_better_begins_one() -> None:
    assert apart([SECOND, FIRST], [SECOND, FIRST]) == [FIRST]


def test_ok__somebody_beside_begins_one() -> None:
    beside = person(540, 30, 760, 395)
    assert apart([beside], [FIRST, beside]) == [beside]


def test_ok__another_kind_of_object_in_the_same_place_begins_one() -> None:
    bicycle = person(*SECOND.xyxy, confidence=0.6, label="bicycle")
    assert apart([bicycle], [FIRST, bicycle]) == [bicycle]


def test_ok__alike_in_all_but_place_one_of_two_begins_one() -> None:
    twins = [person(100, 100, 200, 300), person(104, 100, 204, 300)]
    assert apart(twins, twins) == [twins[0]]


def test_ok__one_person_whose_box_jumps_keeps_one_track() -> None:
    """As seen: a turn, a second box for one frame, and from then on only boxes that are nearer to the second."""
    tracker = Tracker(Tracking())
    still: Box = (384, 15, 522, 390)
    looks = [[person(*still, confidence=0.91)] for _ in range(20)]
    looks += [[person(402, 20, 559, 394)], [person(416, 20, 582, 394)], [person(395, 26, 600, 395)], [FIRST, SECOND]]
    looks += [[person(491, 27, 646, 394)], [person(485, 36, 672, 394)], [person(493, 42, 700, 393)]]
    ids = {track.id for index, found in enumerate(looks) for track in tracker.update(found, index / 10)}
    assert len(ids) == 1
