"""Detections become tracks: ByteTrack's two-stage association, aware of time. No I/O, no clock.

Source: Zhang et al., ByteTrack: Multi-Object Tracking by Associating Every Detection Box, ECCV 2022.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import lap
import numpy as np
import numpy.typing as npt

from device.config import Tracking
from device.datatypes import Box, Detection, Track
from device.detection.kalman import GATE, Array, BoxFilter, centred

Rows = npt.NDArray[np.intp]

HIGH = 0.4
"""Detections from here on are believed on their own; weaker ones, from LOW, only continue a track."""
LOW = 0.1
"""Below this nothing is looked at (ByteTrack's own value: where a detector's noise begins)."""
OVERLAP = 0.2
"""Least IoU of a believed detection with the predicted box (ByteTrack: match_thresh 0.8 as a distance)."""
WEAK_OVERLAP = 0.5
"""Least IoU of a weak one: it has less to say for itself (ByteTrack's second association)."""
SAME_OBJECT = 0.7
"""Two boxes of one group that overlap so much are one object given two labels: a detector's NMS works per class."""
SECOND_CHANCE_S = 1.0
"""A believed detection that overlaps no prediction may still be a track seen so short a time ago, if the filter finds
it likely: at few frames a second a walker's boxes do not overlap. Later the gate is wider than two people."""
MIN_HITS = 3
"""Detections that confirm a track, whatever the time: at 1 frame a second a single flicker must not do it."""
TENTATIVE_MISSES = 1
"""Looks in a row that a track may miss before it is confirmed (ByteTrack allows none, at 30 frames a second)."""

_GROUPS = (
    ("car", "truck", "bus", "train"),
    ("bicycle", "motorcycle"),
    ("cat", "dog", "bird", "horse", "sheep", "cow", "bear"),
)
_GROUP_OF = {label: group[0] for group in _GROUPS for label in group}


def group_of(label: str) -> str:
    """The group within which a label may flip from frame to frame without being another object.

    COCO detectors call one van car, truck and bus in turn, and one animal cat and dog; they do not call a person a car.
    Labels that are in no group stand alone.
    """
    return _GROUP_OF.get(label, label)


@dataclass(slots=True)
class _Path:
    """What a track knows beside its filter."""

    id: int
    group: str
    start: float
    last_seen: float
    detection: Detection
    hits: int = 0
    misses: int = 0
    missed_since: float | None = None
    confirmed: bool = False
    votes: dict[tuple[str, int], float] = field(default_factory=dict)

    def see(self, detection: Detection, now: float, confirm_s: float) -> None:
        """Count a detection that is this object."""
        self.detection, self.last_seen = detection, now
        self.misses, self.missed_since = 0, None
        self.hits += 1
        name = (detection.label, detection.class_id)
        self.votes[name] = self.votes.get(name, 0.0) + detection.confidence
        # The tenth of a millisecond: times of 0.1 s steps add up to 0.4999.
        self.confirmed = self.confirmed or (self.hits >= MIN_HITS and now - self.start >= confirm_s - 1e-4)

    def miss(self, now: float) -> None:
        """Count a look that did not find this object."""
        self.misses += 1
        self.missed_since = now if self.missed_since is None else self.missed_since

    def is_over(self, now: float, lost_s: float) -> bool:
        """Whether to forget it. The time counts from the first look that missed it, not from a pause before."""
        if self.missed_since is None:
            return False
        return now - self.missed_since >= lost_s or (not self.confirmed and self.misses > TENTATIVE_MISSES)

    def track(self, predicted: Box) -> Track:
        """The track as others see it."""
        label, class_id = max(self.votes, key=self.votes.__getitem__)
        matched = self.misses == 0
        return Track(
            id=self.id,
            class_id=class_id,
            label=label,
            xyxy=self.detection.xyxy if matched else predicted,
            confidence=self.detection.confidence,
            start=self.start,
            last_seen=self.last_seen,
            hits=self.hits,
            matched=matched,
            confirmed=self.confirmed,
        )


class Tracker:
    """Follows the objects of one camera.

    Args:
        settings: when a track counts as confirmed, and how long one out of sight is kept.
    """

    def __init__(self, settings: Tracking) -> None:
        self._settings = settings
        self._filter = BoxFilter()
        self._paths: list[_Path] = []
        self._next_id = 1
        self._now: float | None = None

    def update(self, detections: Sequence[Detection], now: float) -> list[Track]:
        """Associate one look's detections with the tracks so far.

        Args:
            detections: all objects found, weak ones (from LOW) too: they carry tracks through occlusions.
            now: time of the frame in seconds, on any clock that does not run backwards. Gaps are fine.
        Returns:
            All live tracks, confirmed or not, in or out of sight, oldest first.
        """
        # What an object did while nobody looked for longer than tracks are kept is anyone's guess, so it is not
        # predicted further than that; one at rest is where it was.
        dt = 0.0 if self._now is None else min(max(now - self._now, 0.0), self._settings.lost_s)
        self._now = now
        self._filter.predict(dt)
        found = _one_label_each([d for d in detections if d.confidence >= LOW])
        unmatched = self._associate(found, now)
        self._drop_lost(now)
        self._start([d for d in unmatched if d.confidence >= HIGH], now)
        return self._tracks()

    def _associate(self, found: list[Detection], now: float) -> list[Detection]:
        """Give detections to tracks; return those that are left."""
        free_tracks = np.ones(len(self._paths), dtype=bool)
        free_found = np.ones(len(found), dtype=bool)
        if self._paths and found:
            corners = np.array([d.xyxy for d in found], dtype=np.float64)
            boxes = centred(corners)
            pairs = self._pairs(corners, boxes, free_tracks, free_found, found, now)
            for row, column in pairs:
                self._paths[row].see(found[column], now, self._settings.confirm_s)
            if pairs:
                rows, columns = (np.array(side, dtype=np.intp) for side in zip(*pairs, strict=True))
                self._filter.update(rows, boxes[columns])
        missed = np.flatnonzero(free_tracks)
        for index in missed:
            self._paths[index].miss(now)
        self._filter.hold_size(missed)
        return [found[i] for i in np.flatnonzero(free_found)]

    def _pairs(
        self,
        corners: Array,
        boxes: Array,
        free_tracks: npt.NDArray[np.bool_],
        free_found: npt.NDArray[np.bool_],
        found: list[Detection],
        now: float,
    ) -> list[tuple[int, int]]:
        """The rounds of association, each among what those before left; what is taken is cleared in the two masks."""
        alike = np.array([[path.group == group_of(d.label) for d in found] for path in self._paths])
        overlap = np.where(alike, iou(self._filter.boxes(), corners), -1.0)
        believed = np.array([d.confidence >= HIGH for d in found])
        confirmed = np.array([path.confirmed for path in self._paths])
        recent = np.array([now - path.last_seen <= SECOND_CHANCE_S for path in self._paths])
        pairs: list[tuple[int, int]] = []

        def take(similarity: Array, tracks: npt.NDArray[np.bool_], ones: npt.NDArray[np.bool_], least: float) -> None:
            rows, columns = np.flatnonzero(tracks & free_tracks), np.flatnonzero(ones & free_found)
            for row, column in _assign(similarity[np.ix_(rows, columns)], least):
                free_tracks[rows[row]] = free_found[columns[column]] = False
                pairs.append((int(rows[row]), int(columns[column])))

        take(overlap, confirmed, believed, OVERLAP)
        take(overlap, confirmed & recent, ~believed, WEAK_OVERLAP)
        take(overlap, ~confirmed, believed, OVERLAP)
        if (free_tracks & recent).any() and (free_found & believed).any():
            nearness = 1.0 - self._filter.distance2(boxes) / GATE
            take(np.where(alike, nearness, -1.0), recent, believed, 0.0)
        take(overlap, ~confirmed, ~believed, WEAK_OVERLAP)
        return pairs

    def _drop_lost(self, now: float) -> None:
        """Forget tracks that were not found for too long."""
        rows = [i for i, path in enumerate(self._paths) if not path.is_over(now, self._settings.lost_s)]
        if len(rows) < len(self._paths):
            self._paths = [self._paths[i] for i in rows]
            self._filter.keep(np.array(rows, dtype=np.intp))

    def _start(self, found: list[Detection], now: float) -> None:
        """Begin a track for each detection."""
        for detection in found:
            path = _Path(self._next_id, group_of(detection.label), now, now, detection)
            path.see(detection, now, self._settings.confirm_s)
            self._paths.append(path)
            self._next_id += 1
        if found:
            self._filter.add(centred(np.array([d.xyxy for d in found], dtype=np.float64)))

    def _tracks(self) -> list[Track]:
        predicted = self._filter.boxes().tolist()
        return [path.track((b[0], b[1], b[2], b[3])) for path, b in zip(self._paths, predicted, strict=True)]


def iou(ours: Array, theirs: Array) -> Array:
    """Intersection over union of each of Nx4 with each of Kx4 corner boxes: NxK, 0 to 1."""
    top_left = np.maximum(ours[:, None, :2], theirs[None, :, :2])
    bottom_right = np.minimum(ours[:, None, 2:], theirs[None, :, 2:])
    common = np.maximum(bottom_right - top_left, 0.0).prod(axis=2)
    areas = [np.maximum((side[:, 2:] - side[:, :2]).prod(axis=1), 1e-9) for side in (ours, theirs)]
    overlap: Array = common / (areas[0][:, None] + areas[1][None, :] - common)
    return overlap


def _assign(similarity: Array, least: float) -> list[tuple[int, int]]:
    """The pairs (row, column) of the best assignment (Jonker-Volgenant) with a similarity of at least `least`."""
    if not similarity.size or similarity.max() < least:
        return []
    # A cost limit lets lapjv leave pairs apart; the small surplus keeps `least` itself in.
    _, columns, _ = lap.lapjv(1.0 - similarity, extend_cost=True, cost_limit=1.0 - least + 1e-9)
    return [(row, int(column)) for row, column in enumerate(columns) if column >= 0]


def _one_label_each(found: list[Detection]) -> list[Detection]:
    """Of boxes of one group that lie on each other, keep the most confident."""
    if len({d.label for d in found if d.label in _GROUP_OF}) < 2:
        return found
    found = sorted(found, key=lambda d: -d.confidence)
    corners = np.array([d.xyxy for d in found], dtype=np.float64)
    over = iou(corners, corners) >= SAME_OBJECT
    kept: list[int] = []
    for i, d in enumerate(found):
        if not any(
            over[i, k] and found[k].label != d.label and group_of(found[k].label) == group_of(d.label) for k in kept
        ):
            kept.append(i)
    return [found[i] for i in kept]
