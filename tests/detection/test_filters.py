"""Which detections reach the tracker."""

from __future__ import annotations

import pytest

from device.config import Camera
from device.datatypes import Box, Detection
from device.detection.filters import Filters


def kept(camera: Camera, *boxes: Box, label: str = "person", score: float = 0.9) -> list[Box]:
    """The boxes that pass in a picture of 640 x 480."""
    found = [Detection(box, score, 0, label) for box in boxes]
    return [d.xyxy for d in Filters(camera).keep(found, 640, 480)]


def camera(**rule: float) -> Camera:
    """A camera with one filter, for people."""
    return Camera.model_validate({"objects": {"person": rule}})


SMALL, LARGE = (10.0, 10.0, 20.0, 30.0), (100.0, 100.0, 300.0, 400.0)  # 10 x 20 = 200 and 200 x 300 = 60000 pixels


@pytest.mark.parametrize(
    ("rule", "passing"),
    [
        ({}, [SMALL, LARGE]),
        ({"min_area": 200}, [SMALL, LARGE]),
        ({"min_area": 201}, [LARGE]),
        ({"max_area": 59_999}, [SMALL]),
        ({"max_area": 60_000}, [SMALL, LARGE]),
        ({"min_ratio": 0.6}, [LARGE]),
        ({"max_ratio": 0.5}, [SMALL]),
    ],
)
def test_ok__area_and_ratio(rule: dict[str, float], passing: list[Box]) -> None:
    assert kept(camera(**rule), SMALL, LARGE) == passing


def test_ok__other_labels_and_empty_boxes_are_dropped() -> None:
    assert kept(Camera(), LARGE, label="dog") == []
    assert kept(Camera(), (5.0, 5.0, 5.0, 9.0)) == []


def test_ok__weak_detections_pass_since_the_tracker_needs_them() -> None:
    assert kept(camera(min_score=0.8), LARGE, score=0.1) == [LARGE]


def test_ok__labels_that_may_be_the_wanted_one_pass() -> None:
    cars = Camera.model_validate({"objects": ["car"]})
    assert kept(cars, LARGE, label="truck") == [LARGE]
    assert kept(cars, LARGE, label="person") == []


def test_ok__objects_standing_in_a_mask_are_dropped() -> None:
    lower_half = Camera.model_validate({"masks": [[[0, 0.5], [1, 0.5], [1, 1], [0, 1]]]})
    standing_above, reaching_in = (100.0, 50.0, 150.0, 200.0), (100.0, 50.0, 150.0, 300.0)
    assert kept(lower_half, standing_above, reaching_in) == [standing_above]
