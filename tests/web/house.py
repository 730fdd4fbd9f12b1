"""The rest of the house as the page sees it, in memory."""

from __future__ import annotations

import queue
import threading
from dataclasses import asdict, dataclass, field
from typing import Any

import cv2
import numpy as np
import simplejpeg

from device.datatypes import Frame, Image, Observation, Track, TrackedObject

START = 1_790_000_000.0
"""A moment, in seconds since 1970."""


class MemoryEvents:
    """An `EventSource` that keeps a list."""

    def __init__(self) -> None:
        self.kept: dict[str, dict[str, Any]] = {}
        self.snapshots: dict[str, bytes] = {}
        self.listeners: list[MemorySubscription] = []
        self._lock = threading.Lock()

    def recent(
        self, limit: int, camera: str | None = None, label: str | None = None, before: float | None = None
    ) -> list[dict[str, Any]]:
        found = [
            event
            for event in self.kept.values()
            if camera in (None, event["camera"])
            and label in (None, event["label"])
            and (before is None or event["start_time"] < before)
        ]
        return sorted(found, key=lambda event: -event["start_time"])[:limit]

    def snapshot(self, event_id: str) -> bytes | None:
        return self.snapshots.get(event_id)

    def subscribe(self) -> MemorySubscription:
        with self._lock:
            listener = MemorySubscription(self)
            self.listeners.append(listener)
            return listener

    def happen(self, kind: str, state: TrackedObject, snapshot: bytes | None = None) -> None:
        """Keep an event and tell the listeners."""
        if snapshot is not None:
            self.snapshots[state.id] = snapshot
        with self._lock:
            event = self.kept[state.id] = {**asdict(state), "type": kind}
            for listener in self.listeners:
                listener.messages.put(event)


class MemorySubscription:
    """One listener to `MemoryEvents`."""

    def __init__(self, source: MemoryEvents) -> None:
        self.messages: queue.Queue[dict[str, Any]] = queue.Queue()
        self._source = source
        self.closed = False

    def get(self, timeout_s: float) -> dict[str, Any] | None:
        try:
            return self.messages.get(timeout=timeout_s)
        except queue.Empty:
            return None

    def close(self) -> None:
        self.closed = True
        if self in self._source.listeners:
            self._source.listeners.remove(self)


@dataclass
class MemoryStatus:
    """A `StatusSource` that says what it was told to."""

    said: dict[str, Any] = field(
        default_factory=lambda: {
            "uptime_s": 93_784.0,
            "fps": 9.8,
            "inference_ms": 7.2,
            "queue": 0,
            "dropped": 0,
            "temperature_c": 48.3,
            "versions": {"sereno": "0.1.0"},
            "models": ["sereno-coco-320"],
            "mqtt": {"state": "connected", "message": ""},
            "cameras": [{"camera": "front", "state": "ok", "message": "", "fps": 9.8}],
        }
    )
    reasons: list[str] = field(default_factory=list)

    def status(self) -> dict[str, Any]:
        return self.said

    def ready(self) -> list[str]:
        return self.reasons

    def metrics(self) -> str:
        return "# TYPE sereno_frames_total counter\nsereno_frames_total 12\n"


def a_state(number: int = 1, **changes: Any) -> TrackedObject:
    """An object in front of the camera `front`; higher numbers came later."""
    values: dict[str, Any] = {
        "id": f"{START + number:.6f}-abc{number:03d}",
        "camera": "front",
        "label": "person",
        "score": 0.8,
        "top_score": 0.87,
        "box": (60, 40, 180, 220),
        "area": 21_600,
        "ratio": 0.67,
        "start_time": START + number,
        "end_time": None,
        "frame_time": START + number,
        "current_zones": (),
        "entered_zones": (),
        "has_snapshot": True,
        "stationary": False,
        "motionless_count": 0,
        "position_changes": 1,
        "active": True,
    }
    return TrackedObject(**{**values, **changes})


def a_track(**changes: Any) -> Track:
    """A confirmed person, at (60, 40) to (180, 220)."""
    values: dict[str, Any] = {
        "id": 1,
        "class_id": 0,
        "label": "person",
        "xyxy": (60.0, 40.0, 180.0, 220.0),
        "confidence": 0.87,
        "start": 0.0,
        "last_seen": 1.0,
        "hits": 9,
        "matched": True,
        "confirmed": True,
    }
    return Track(**{**values, **changes})


def an_observation(index: int = 0, *tracks: Track, image: Image | None = None, camera: str = "front") -> Observation:
    """A plain dark blue 320x240 picture with `tracks` in it."""
    if image is None:
        image = np.full((240, 320, 3), (20, 30, 60), np.uint8)
    return Observation(Frame(camera, index, image, index / 10, START + index / 10), tracks, moving=True, detected=True)


def a_street(person_x: int) -> Image:
    """A drawn street by night, 640x480, somebody walking at `person_x`."""
    image = np.zeros((480, 640, 3), np.uint8)
    image[:300] = (28, 38, 66)
    image[300:] = (52, 54, 60)
    cv2.rectangle(image, (40, 90), (250, 300), (74, 62, 58), cv2.FILLED)
    for x in (70, 140, 200):
        cv2.rectangle(image, (x, 130), (x + 30, 180), (250, 240, 205), cv2.FILLED)
    cv2.circle(image, (560, 80), 26, (236, 232, 210), cv2.FILLED, cv2.LINE_AA)
    cv2.circle(image, (person_x, 230), 18, (214, 170, 140), cv2.FILLED, cv2.LINE_AA)
    cv2.rectangle(image, (person_x - 24, 250), (person_x + 24, 350), (120, 40, 50), cv2.FILLED)
    cv2.rectangle(image, (person_x - 18, 350), (person_x + 18, 420), (30, 34, 50), cv2.FILLED)
    return image


def a_jpeg(image: Image | None = None) -> bytes:
    """A JPEG file."""
    picture = an_observation().frame.image if image is None else image
    return bytes(simplejpeg.encode_jpeg(picture, quality=85, colorspace="RGB"))
