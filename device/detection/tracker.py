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
from device.inference.boxes import iou

Mask = npt.NDArray[np.bool_]

HIGH = 0.5
"""Detections from here on are believed on their own and begin tracks; weaker ones, from LOW, only continue one
(ByteTrack's track_thresh; an int8 YOLOv8n at 320 is right nine times of ten from here on, COCO)."""
LOW = 0.1
"""Below this nothing is looked at (ByteTrack's own value). The detector in front must report from here on."""
OVERLAP = 0.1
"""Least IoU of a believed detection with the predicted box. ByteTrack asks 0.2 at 30 frames a second, the reference
implementation 0.1; at 5 to 10 a second boxes overlap less."""
WEAK_OVERLAP = 0.2
"""Least IoU of a weak one. ByteTrack asks 0.5, but the half-hidden people whom this is for have boxes half as large."""
SAME_OBJECT = 0.7
"""Two boxes of one group that overlap so much are one object given two labels: a detector's NMS works per class."""
OUT_OF_SIGHT = 0.1
"""IoU that a track missed before must be ahead of one in sight for the same detection: who is hidden behind another
person is predicted where that person is."""
RECENT_S = 1.0
"""Weak detections continue only tracks seen so short a time ago (ByteTrack: those of the frame before). So do believed
ones that overlap no prediction but are as near as the filter finds likely, of tracks that missed one look at most: at
few frames a second the boxes of a walker do not overlap."""
MIN_HITS = 3
"""Detections that confirm a track, whatever the time: at 1 frame a second a single flicker must not do it."""

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
        # ByteTrack drops what misses its second look; at few looks a second that would cost real objects: one miss is
        # forgiven, later half as many in a row as it was seen in.
        is_doubtful = not self.confirmed and self.misses > max(1, self.hits // 2)
        return is_doubtful or now - self.missed_since >= lost_s

    def track(self, predicted: Box) -> Track:
        """The track as others see it."""
        label, class_id = max(self.votes, key=self.votes.__getitem__)
        return Track(
            id=self.id,
            class_id=class_id,
            label=label,
            seen_as=self.detection.label,
            xyxy=predicted if self.misses else self.detection.xyxy,
            confidence=self.detection.confidence,
            start=self.start,
            last_seen=self.last_seen,
            hits=self.hits,
            matched=self.misses == 0,
            confirmed=self.confirmed,
        )


class Tracker:
    """Follows the objects of one camera.

    Args:
        settings: when a track counts as confirmed, and how long one out of sight is kept.
        high: confidence from which a detection begins a track, where objects of less than HIGH are wanted.
    """

    def __init__(self, settings: Tracking, high: float = HIGH) -> None:
        self._settings = settings
        self._high = high
        self._filter = BoxFilter()
        self._paths: list[_Path] = []
        self._next_id = 1
        self._now: float | None = None

    def reset(self) -> None:
        """Forget all tracks; the ids go on."""
        self._filter, self._paths, self._now = BoxFilter(), [], None

    def update(self, detections: Sequence[Detection], now: float) -> list[Track]:
        """Associate one look's detections with the tracks so far.

        Args:
            detections: all objects found, weak ones (from LOW) too: they carry tracks through occlusions.
            now: time of the frame in seconds, on any clock that does not run backwards. Gaps are fine.
        Returns:
            All live tracks, confirmed or not, in or out of sight, oldest first.
        """
        # What an object did while nobody looked is anyone's guess after a while; one at rest is where it was.
        dt = 0.0 if self._now is None else min(max(now - self._now, 0.0), self._settings.lost_s)
        self._now = now
        self._filter.predict(dt)
        found = _one_label_each([d for d in detections if d.confidence >= LOW])
        unmatched = self._associate(found, now)
        self._drop_lost(now)
        self._start([d for d in unmatched if d.confidence >= self._high], now)
        predicted = self._filter.boxes().tolist()
        return [path.track((b[0], b[1], b[2], b[3])) for path, b in zip(self._paths, predicted, strict=True)]

    def _associate(self, found: list[Detection], now: float) -> list[Detection]:
        """Give detections to tracks; return those that are left."""
        free_tracks = np.ones(len(self._paths), dtype=bool)
        free_found = np.ones(len(found), dtype=bool)
        if self._paths and found:
            corners = np.array([d.xyxy for d in found])
            boxes = centred(corners)
            pairs = self._pairs(corners, boxes, free_tracks, free_found, found, now)
            for row, column in pairs:
                self._paths[row].see(found[column], now, self._settings.confirm_s)
            rows, columns = np.array(pairs, dtype=np.intp).reshape(-1, 2).T
            self._filter.update(rows, boxes[columns])
        for index in (missed := np.flatnonzero(free_tracks)):
            self._paths[index].miss(now)
        self._filter.hold_size(missed)
        return [d for d, free in zip(found, free_found.tolist(), strict=True) if free]

    def _pairs(
        self,
        corners: Array,
        boxes: Array,
        free_tracks: Mask,
        free_found: Mask,
        found: list[Detection],
        now: float,
    ) -> list[tuple[int, int]]:
        """The rounds of association, each among what those before left; what is taken is cleared in the two masks."""
        overlap = iou(self._filter.boxes().astype(np.float32), corners.astype(np.float32))
        groups = [group_of(d.label) for d in found]
        unlike = np.array([[path.group != group for group in groups] for path in self._paths])
        overlap[unlike] = -1.0
        misses = np.array([path.misses for path in self._paths])
        overlap -= OUT_OF_SIGHT * (misses[:, None] > 1)
        believed = np.array([d.confidence >= self._high for d in found])
        recent = np.array([now - path.last_seen <= RECENT_S for path in self._paths])
        pairs: list[tuple[int, int]] = []

        def take(similarity: npt.NDArray[np.floating], tracks: Mask, ones: Mask, least: float) -> None:
            rows, columns = np.flatnonzero(tracks & free_tracks), np.flatnonzero(ones & free_found)
            if not rows.size or not columns.size:
                return
            for row, column in _assign(similarity[np.ix_(rows, columns)], least):
                free_tracks[rows[row]] = free_found[columns[column]] = False
                pairs.append((int(rows[row]), int(columns[column])))

        take(overlap, misses >= 0, believed, OVERLAP)
        take(overlap, recent, ~believed, WEAK_OVERLAP)
        jumped = recent & (misses <= 1)
        if (free_tracks & jumped).any() and (free_found & believed).any():
            nearness = 1.0 - self._filter.distance2(boxes) / GATE
            nearness[unlike] = -1.0
            take(nearness, jumped, believed, 0.0)
        return pairs

    def _drop_lost(self, now: float) -> None:
        """Forget tracks that were not found for too long."""
        rows = [i for i, path in enumerate(self._paths) if not path.is_over(now, self._settings.lost_s)]
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


def _assign(similarity: npt.NDArray[np.floating], least: float) -> list[tuple[int, int]]:
    """The pairs (row, column) of the best assignment (Jonker-Volgenant) with a similarity of at least `least`."""
    if similarity.max() < least:
        return []
    # A cost limit lets lapjv leave pairs apart; the small surplus keeps `least` itself in.
    _, columns, _ = lap.lapjv(1.0 - similarity, extend_cost=True, cost_limit=1.0 - least + 1e-9)
    return [(row, int(column)) for row, column in enumerate(columns) if column >= 0]


def _one_label_each(found: list[Detection]) -> list[Detection]:
    """Of boxes of one group that lie on each other, keep the most confident."""
    if len({d.label for d in found if d.label in _GROUP_OF}) < 2:
        return found
    found = sorted(found, key=lambda d: -d.confidence)
    corners = np.array([d.xyxy for d in found], dtype=np.float32)
    over = iou(corners, corners) >= SAME_OBJECT
    kept: list[int] = []
    for i, d in enumerate(found):
        if not any(
            over[i, k] and found[k].label != d.label and group_of(found[k].label) == group_of(d.label) for k in kept
        ):
            kept.append(i)
    return [found[i] for i in kept]
