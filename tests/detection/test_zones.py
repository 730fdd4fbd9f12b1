"""Zones and masks: which points are in which polygon."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from device.config import Zone
from device.detection.zones import Masks, Polygon, Zones, foot
from device.errors import ConfigError

SQUARE = [(0.2, 0.2), (0.8, 0.2), (0.8, 0.8), (0.2, 0.8)]
HORSESHOE = [(0.1, 0.1), (0.9, 0.1), (0.9, 0.9), (0.6, 0.9), (0.6, 0.4), (0.4, 0.4), (0.4, 0.9), (0.1, 0.9)]


@pytest.mark.parametrize(
    ("point", "inside"),
    [
        ((0.5, 0.5), True),
        ((0.1, 0.5), False),
        ((0.5, 0.9), False),
        ((0.2, 0.5), True),  # on the left edge
        ((0.5, 0.8), True),  # on the lower edge
        ((0.8, 0.8), True),  # a corner
        ((0.9, 0.8), False),  # beside it, level with an edge
        ((0.1, 0.2), False),
    ],
)
def test_ok__inside_and_edges(point: tuple[float, float], inside: bool) -> None:
    assert (point in Polygon("zone", SQUARE)) is inside
    assert (point in Polygon("zone", SQUARE[::-1])) is inside


def test_ok__hollow_of_a_horseshoe_is_outside() -> None:
    polygon = Polygon("zone", HORSESHOE)
    assert (0.5, 0.7) not in polygon
    assert (0.25, 0.7) in polygon
    assert (0.75, 0.7) in polygon
    assert polygon.area == pytest.approx(0.64 - 0.2 * 0.5)


@given(x=st.floats(0, 1), y=st.floats(0, 1))
def test_ok__rectangle_agrees_with_comparison(x: float, y: float) -> None:
    if min(abs(x - 0.2), abs(x - 0.8), abs(y - 0.2), abs(y - 0.8)) > 1e-6:
        assert ((x, y) in Polygon("zone", SQUARE)) is (0.2 < x < 0.8 and 0.2 < y < 0.8)


@given(corners=st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=3, max_size=8))
def test_ok__every_polygon_holds_its_corners_or_is_refused(corners: list[tuple[float, float]]) -> None:
    try:
        polygon = Polygon("zone", corners)
    except ConfigError:
        return
    assert all(corner in polygon for corner in corners)
    assert (1.5, 0.5) not in polygon


@pytest.mark.parametrize(
    ("corners", "word"),
    [
        ([(0.1, 0.1), (0.9, 0.9), (0.9, 0.1), (0.1, 0.9)], "cross"),
        ([(0.1, 0.1), (0.5, 0.5), (0.9, 0.9)], "encloses"),
        ([(0.5, 0.5)] * 4, "encloses"),
        ([(0.5, 0.5), (0.505, 0.5), (0.5, 0.505)], "encloses"),
    ],
)
def test_fail__no_polygon(corners: list[tuple[float, float]], word: str) -> None:
    with pytest.raises(ConfigError, match=f"zone 'walk' of camera 'front'.*{word}"):
        Zones("front", {"walk": Zone(polygon=corners)})
    with pytest.raises(ConfigError, match=f"mask 1 of camera 'front'.*{word}"):
        Masks("front", [corners])


def test_ok__zones_report_their_labels_only() -> None:
    zones = Zones(
        "front",
        {"all": Zone(polygon=SQUARE), "cars": Zone(polygon=SQUARE, objects=["car"]), "far": Zone(polygon=HORSESHOE)},
    )
    assert zones.at((0.5, 0.5), "person") == ("all",)
    assert zones.at((0.5, 0.5), "car") == ("all", "cars")
    assert zones.at((0.7, 0.5), "car") == ("all", "cars", "far")
    assert zones.at((0.0, 0.0), "car") == ()


def test_ok__an_object_stands_at_the_middle_of_its_lower_edge() -> None:
    assert foot((100, 50, 200, 240), 400, 300) == (0.375, 0.8)
    assert foot((-50, 10, 20, 400), 400, 300) == (0.0, 1.0)
