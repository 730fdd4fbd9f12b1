"""Detections become tracks: ByteTrack's two-stage association, aware of time. No I/O, no clock.

Source: Zhang et al., ByteTrack: Multi-Object Tracking by Associating Every Detection Box, ECCV 2022.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from device.config import Tracking
from device.datatypes import Box, Detection, Track
from device.detection.association import Similarity, apart, assign, group_of, one_label_each
from device.detection.kalman import GATE, Array, BoxFilter, centred
from device.inference.boxes import iou

Free = set[int]
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
OUT_OF_SIGHT = 0.1
"""IoU that a track missed before must be ahead of one in sight for the same detection: who is hidden behind another
person is predicted where that person is."""
RECENT_S = 1.0
"""Weak detections continue only tracks seen so short a time ago (ByteTrack: those of the frame before). So do believed
ones that overlap no prediction but are as near as the filter finds likely, of tracks that missed one look at most: at
few frames a second the boxes of a walker do not overlap."""
MIN_HITS = 3
"""Detections that confirm a track, whatever the time: at 1 frame a second a single flicker must not do it."""


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
        high: confidence from which a detection begins a track.
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
        found = one_label_each([d for d in detections if d.confidence >= LOW])
        unmatched = self._associate(found, now)
        self._drop_lost(now)
        self._start(apart([d for d in unmatched if d.confidence >= self._high], found), now)
        return self._tracks()

    def _associate(self, found: list[Detection], now: float) -> list[Detection]:
        """Give detections to tracks; return those that are left."""
        free_tracks, free_found = set(range(len(self._paths))), set(range(len(found)))
        if self._paths and found:
            corners = np.array([d.xyxy for d in found])
            boxes = centred(corners)
            pairs = self._pairs(corners, boxes, free_tracks, free_found, found, now)
            for row, column in pairs:
                self._paths[row].see(found[column], now, self._settings.confirm_s)
            if pairs:
                self._filter.update([row for row, _ in pairs], boxes[[column for _, column in pairs]])
        for index in free_tracks:
            self._paths[index].miss(now)
        self._filter.hold_size(sorted(free_tracks))
        return [found[column] for column in sorted(free_found)]

    def _pairs(
        self, corners: Array, boxes: Array, free_tracks: Free, free_found: Free, found: list[Detection], now: float
    ) -> list[tuple[int, int]]:
        """The rounds of association, each among what those before left; what is taken leaves the two sets."""
        overlap = iou(self._filter.boxes().astype(np.float32), corners.astype(np.float32))
        groups = [group_of(d.label) for d in found]
        unlike = np.array([[path.group != group for group in groups] for path in self._paths])
        overlap[unlike] = -1.0
        if missed := [row for row, path in enumerate(self._paths) if path.misses > 1]:
            overlap[missed] -= OUT_OF_SIGHT
        believed = {column for column, d in enumerate(found) if d.confidence >= self._high}
        recent = {row for row, path in enumerate(self._paths) if now - path.last_seen <= RECENT_S}
        pairs: list[tuple[int, int]] = []

        def take(similarity: Similarity, tracks: Free, ones: Free, least: float) -> None:
            rows, columns = sorted(tracks & free_tracks), sorted(ones & free_found)
            for row, column in assign(similarity, rows, columns, least):
                free_tracks.remove(row)
                free_found.remove(column)
                pairs.append((row, column))

        take(overlap, free_tracks, believed, OVERLAP)
        take(overlap, recent, free_found - believed, WEAK_OVERLAP)
        jumped = recent.difference(missed)
        if free_tracks & jumped and free_found & believed:
            nearness = 1.0 - self._filter.distance2(boxes) / GATE
            nearness[unlike] = -1.0
            take(nearness, jumped, believed, 0.0)
        return pairs

    def _drop_lost(self, now: float) -> None:
        """Forget tracks that were not found for too long."""
        rows = [i for i, path in enumerate(self._paths) if not path.is_over(now, self._settings.lost_s)]
        if len(rows) < len(self._paths):
            self._paths = [self._paths[i] for i in rows]
            self._filter.keep(rows)

    def _start(self, found: list[Detection], now: float) -> None:
        """Begin a track for each detection."""
        for detection in found:
            self._paths.append(_Path(self._next_id, group_of(detection.label), now, now, detection))
            self._paths[-1].see(detection, now, self._settings.confirm_s)
            self._next_id += 1
        if found:
            self._filter.add(centred(np.array([d.xyxy for d in found])))

    def _tracks(self) -> list[Track]:
        predicted = self._filter.boxes().tolist()
        return [path.track((b[0], b[1], b[2], b[3])) for path, b in zip(self._paths, predicted, strict=True)]
