"""The published ByteTrack (`trackers`, Roboflow, Apache-2.0) and ours behind one call, to compare them in tests."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import supervision as sv
from trackers import ByteTrackTracker

from device.config import Tracking
from device.detection.tracker import HIGH, Tracker
from tests.detection.scenes import Identified, Look


def published(looks: Iterable[Look], fps: float, lost_s: float = 2.0) -> list[Identified]:
    """Its answer, with our thresholds for scores and the same patience; all else as published."""
    tracker = ByteTrackTracker(
        lost_track_buffer=round(30 * lost_s),
        frame_rate=fps,
        track_activation_threshold=HIGH,
        high_conf_det_threshold=HIGH,
    )
    answer = []
    for look in looks:
        found = sv.Detections(
            xyxy=np.array([d.xyxy for d in look.detections], dtype=float).reshape(-1, 4),
            confidence=np.array([d.confidence for d in look.detections]),
            class_id=np.array([d.class_id for d in look.detections], dtype=int),
        )
        tracked = tracker.update(found)
        ids = tracked.tracker_id if tracked.tracker_id is not None else []
        answer.append([(int(n), tuple(map(float, box))) for n, box in zip(ids, tracked.xyxy, strict=True) if n >= 0])
    return answer


def ours(looks: Iterable[Look], settings: Tracking | None = None) -> list[Identified]:
    """Our answer: tracks in sight, from their second detection on, as the published one gives them."""
    tracker = Tracker(settings or Tracking())
    return [
        [(t.id, t.xyxy) for t in tracker.update(look.detections, look.time) if t.matched and t.hits >= 2]
        for look in looks
    ]
