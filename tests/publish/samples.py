"""Made-up events."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from device.datatypes import AccessDecision, BestFrame, EventType, ObjectEvent, TrackedObject

PERSON = TrackedObject(
    id="1607123955.475377-mxklsc",
    camera="front",
    label="person",
    score=0.7890625,
    top_score=0.958984375,
    box=(424, 500, 536, 712),
    area=23744,
    ratio=0.528302,
    start_time=1607123955.475377,
    end_time=None,
    frame_time=1607123961.837752,
    current_zones=("walk",),
    entered_zones=("yard", "walk"),
    has_snapshot=False,
    stationary=False,
    motionless_count=0,
    position_changes=2,
    active=True,
)

DECISION = AccessDecision(
    id="9f2c6d1be0a47c35",
    wall=1607123961.837752,
    camera="front",
    granted=True,
    reason="recognised",
    person="dd9c7df3ddf798cb",
    name="Ana",
    similarity=0.88934,
    liveness=0.6912,
    frames=3,
    lock_ms=42.13,
    record=7,
)

PICTURE = np.full((720, 1280, 3), (40, 90, 160), np.uint8)


def event(kind: EventType = "new", picture: bool = False, **changes: Any) -> ObjectEvent:
    """An event about a person, with `changes` to what holds after it."""
    if kind == "end":
        changes = {"end_time": PERSON.frame_time + 1, "active": False, **changes}
    after = replace(PERSON, **changes)
    before = replace(after, end_time=None)
    best = BestFrame(PICTURE, after.box, after.label, after.score, after.frame_time) if picture else None
    return ObjectEvent(kind, before, after, best)


def life(number: int, updates: int = 0) -> list[ObjectEvent]:
    """All events of one object."""
    name = f"{1607123955 + number}.5-abc{number}"
    kinds: list[EventType] = ["new", *(["update"] * updates), "end"]
    return [event(kind, id=name, start_time=1607123955.0 + number) for kind in kinds]
