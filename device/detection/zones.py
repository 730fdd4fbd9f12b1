"""Polygons in the picture: zones that events name, and masks where nothing counts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from device import config
from device.datatypes import Box
from device.errors import ConfigError

MIN_AREA = 1e-4
"""Smallest polygon, as a part of the picture: a hundredth of each side. Nothing can stand in less."""

Corner = tuple[float, float]


def foot(box: Box, width_px: int, height_px: int) -> Corner:
    """The point where an object stands: the middle of its box's lower edge, relative to the picture (0 to 1)."""
    x1, _, x2, y2 = box
    return min(max((x1 + x2) / 2 / width_px, 0.0), 1.0), min(max(y2 / height_px, 0.0), 1.0)


class Polygon:
    """A simple polygon, its corners relative to the picture (0 to 1).

    Args:
        name: how messages call it, as in "zone 'walk' of camera 'front'".
        corners: three or more [x, y], in either direction.
    Raises:
        ConfigError: its edges cross, or it encloses next to nothing.
    """

    def __init__(self, name: str, corners: Sequence[Corner]) -> None:
        self.corners = tuple(corners)
        if _crosses_itself(self.corners):
            raise ConfigError(f"{name}: the polygon's edges cross each other; list its corners in order around it")
        if self.area < MIN_AREA:
            raise ConfigError(
                f"{name}: the polygon encloses {self.area:.6f} of the picture; it needs three corners that are not in "
                f"a line and at least {MIN_AREA} of the picture"
            )

    @property
    def area(self) -> float:
        """Part of the picture that it encloses (shoelace formula)."""
        return abs(sum(ax * by - bx * ay for (ax, ay), (bx, by) in _edges(self.corners))) / 2

    def __contains__(self, point: Corner) -> bool:
        """Whether a point is inside or on the edge: a zone that ends at the picture's border holds who stands there."""
        x, y = point
        inside = False
        for (ax, ay), (bx, by) in _edges(self.corners):
            if _turn((ax, ay), (bx, by), point) == 0 and _within(ax, x, bx) and _within(ay, y, by):
                return True
            if (ay > y) != (by > y) and x < ax + (y - ay) * (bx - ax) / (by - ay):
                inside = not inside
        return inside


class Zones:
    """The zones of one camera.

    Args:
        camera: the camera's id, for messages.
        zones: polygon and labels by name.
    Raises:
        ConfigError: a polygon is not one.
    """

    def __init__(self, camera: str, zones: Mapping[str, config.Zone]) -> None:
        self._zones = {
            name: (Polygon(f"zone {name!r} of camera {camera!r}", zone.polygon), frozenset(zone.objects))
            for name, zone in zones.items()
        }

    def at(self, point: Corner, label: str) -> tuple[str, ...]:
        """Names of the zones that hold the point and report the label, in the order of the configuration."""
        return tuple(
            name
            for name, (polygon, labels) in self._zones.items()
            if (not labels or label in labels) and point in polygon
        )


class Masks:
    """The masks of one camera: where nothing counts."""

    def __init__(self, camera: str, polygons: Iterable[Sequence[Corner]]) -> None:
        self._polygons = [
            Polygon(f"mask {number} of camera {camera!r}", corners) for number, corners in enumerate(polygons, 1)
        ]

    def __contains__(self, point: Corner) -> bool:
        return any(point in polygon for polygon in self._polygons)


def _edges(corners: Sequence[Corner]) -> list[tuple[Corner, Corner]]:
    return list(zip(corners, (*corners[1:], corners[0]), strict=True))


def _turn(a: Corner, b: Corner, c: Corner) -> int:
    """1 where c lies left of the line from a to b, -1 right, 0 on it (to a billionth of the picture)."""
    cross = (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])
    return 0 if abs(cross) < 1e-9 else 1 if cross > 0 else -1


def _within(a: float, value: float, b: float) -> bool:
    return min(a, b) - 1e-9 <= value <= max(a, b) + 1e-9


def _crosses_itself(corners: Sequence[Corner]) -> bool:
    """Whether two edges that are not neighbours cut through each other. Touching is allowed."""
    edges = _edges(corners)
    for i, (a, b) in enumerate(edges):
        for c, d in edges[i + 2 :]:
            if _turn(a, b, c) * _turn(a, b, d) < 0 and _turn(c, d, a) * _turn(c, d, b) < 0:
                return True
    return False
