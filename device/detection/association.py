"""Which boxes belong together: the arithmetic of the tracker's association."""

from __future__ import annotations

import lap
import numpy as np
import numpy.typing as npt

from device.datatypes import Detection
from device.inference.boxes import iou

Similarity = npt.NDArray[np.floating]

SAME_OBJECT = 0.7
"""Two boxes of one group that overlap so much are one object given two labels: a detector's NMS works per class."""
SECOND_BOX = 0.5
"""A detection that overlaps a better one of its group so much begins no track: it is more often a second box on the
same object, left over by the detector's NMS (0.7), than somebody behind, who will come out. The customary threshold of
NMS where boxes are counted (Frigate 0.4, YOLOv5 0.45, torchvision's detectors 0.5)."""

_GROUPS = (
    ("car", "truck", "bus", "train"),
    ("bicycle", "motorcycle"),
    ("cat", "dog", "bird", "horse", "sheep", "cow", "bear"),
)
_GROUP_OF = {label: group[0] for group in _GROUPS for label in group}


def group_of(label: str) -> str:
    """The group within which a label may flip from frame to frame without being another object.

    COCO detectors call one van car, truck and bus in turn, and one animal cat and dog; never a person a car.
    """
    return _GROUP_OF.get(label, label)


def assign(similarity: Similarity, rows: list[int], columns: list[int], least: float) -> list[tuple[int, int]]:
    """The pairs of the best assignment (Jonker-Volgenant) of these rows and columns, each at least `least` alike."""
    if not rows or not columns:
        return []
    if len(rows) == len(columns) == 1:
        return [(rows[0], columns[0])] if similarity[rows[0], columns[0]] >= least else []
    part = similarity[np.ix_(rows, columns)]
    if part.max() < least:
        return []
    # A cost limit lets lapjv leave pairs apart; the small surplus keeps `least` itself in.
    _, chosen, _ = lap.lapjv(1.0 - part, extend_cost=True, cost_limit=1.0 - least + 1e-9)
    return [(row, columns[column]) for row, column in zip(rows, chosen.tolist(), strict=True) if column >= 0]


def one_label_each(found: list[Detection]) -> list[Detection]:
    """Of boxes of one group that lie on each other, keep the most confident."""
    if len({d.label for d in found if d.label in _GROUP_OF}) < 2:
        return found
    found = sorted(found, key=lambda d: -d.confidence)
    over = iou(_corners(found), _corners(found)) >= SAME_OBJECT
    kept: list[int] = []
    for i, d in enumerate(found):
        rivals = (found[k] for k in kept if over[i, k])
        if not any(r.label != d.label and group_of(r.label) == group_of(d.label) for r in rivals):
            kept.append(i)
    return [found[i] for i in kept]


def apart(new: list[Detection], found: list[Detection]) -> list[Detection]:
    """Of `new`, those that are no second box on an object of which `found` holds a better one."""
    if not new or len(found) < 2:
        return new
    over = iou(_corners(new), _corners(found)) >= SECOND_BOX
    return [
        d
        for row, d in enumerate(new)
        if not any(
            over[row, column] and other is not d and _better(other, d) and group_of(other.label) == group_of(d.label)
            for column, other in enumerate(found)
        )
    ]


def _better(one: Detection, other: Detection) -> bool:
    """By confidence; of equals, the one more to the left."""
    return (one.confidence, -one.xyxy[0]) > (other.confidence, -other.xyxy[0])


def _corners(found: list[Detection]) -> npt.NDArray[np.float32]:
    return np.array([d.xyxy for d in found], dtype=np.float32)
