"""Which detections count: those of wanted labels, of a plausible size and shape, outside the masks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from device.config import Camera, ObjectFilter
from device.datatypes import Box, Detection
from device.detection.association import group_of
from device.detection.zones import Masks, foot


def box_passes(rule: ObjectFilter, box: Box) -> bool:
    """Whether a box (pixels) has the area and the ratio that a label's filter asks for."""
    width, height = box[2] - box[0], box[3] - box[1]
    if width <= 0 or height <= 0:
        return False
    area, ratio = width * height, width / height
    if area < rule.min_area or (rule.max_area is not None and area > rule.max_area):
        return False
    return ratio >= rule.min_ratio and (rule.max_ratio is None or ratio <= rule.max_ratio)


class Filters:
    """The filters of one camera, in front of its tracker.

    `min_score` is not asked here: weak detections carry a track through an occlusion, and an object needs that score
    once, not in each frame. The lifecycle asks it.

    Raises:
        ConfigError: a mask's polygon is not one.
    """

    def __init__(self, camera: Camera) -> None:
        self._rules: Mapping[str, ObjectFilter] = camera.objects
        # A van is a car in one frame and a truck in the next: its track needs both to settle what it is.
        self._groups = {group_of(label) for label in camera.objects}
        self._masks = Masks(camera.id, camera.masks)

    def keep(self, detections: Iterable[Detection], width_px: int, height_px: int) -> list[Detection]:
        """The detections that count, of a picture of so many pixels. Labels that may be a wanted one stay, too."""
        return [d for d in detections if self._passes(d, width_px, height_px)]

    def _passes(self, detection: Detection, width_px: int, height_px: int) -> bool:
        rule = self._rules.get(detection.label)
        if rule is None:
            if group_of(detection.label) not in self._groups:
                return False
        elif not box_passes(rule, detection.xyxy):
            return False
        return foot(detection.xyxy, width_px, height_px) not in self._masks
