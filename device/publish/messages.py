"""Events become MQTT messages: pure functions from what happened to topic, payload, QoS and retain flag.

The field names of an event are those that Frigate documents for `frigate/events`, so that what was automated on Frigate
works here; `device` and `seq` stand beside `type`. Fields that Frigate has and Sereno has nothing to say about
(`sub_label`, `thumbnail`, `has_clip`, `attributes`, …) are there with their empty value, so that readers which insist
on them work.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from device.datatypes import AccessDecision, AuditHead, CameraState, DoorState, LockMoved, ObjectCount, TrackedObject

Payload = dict[str, Any]

ONLINE, OFFLINE = b"online", b"offline"
LOCKED, UNLOCKED = b"LOCKED", b"UNLOCKED"
FRIGATE = "frigate"


@dataclass(frozen=True, slots=True)
class Message:
    """What goes to the broker. Only messages with `seq` are kept until the broker has acknowledged them.

    `droppable` marks those that go first when a bounded outbox overflows. `lasting` marks a retained value that stays
    true when nobody watches any more: no restart takes it back.
    """

    topic: str
    payload: bytes
    qos: int = 1
    retain: bool = False
    seq: int | None = None
    droppable: bool = False
    lasting: bool = False


@dataclass(frozen=True, slots=True)
class Topics:
    """The names of one device's topics."""

    root: str

    @classmethod
    def of(cls, prefix: str, device_id: str) -> Topics:
        """The topics under `prefix` of a device (or, with `+`, of all): `frigate` alone carries no device id, as
        Frigate's do not."""
        prefix = prefix.strip("/")
        return cls(prefix if prefix == FRIGATE else f"{prefix}/{device_id}")

    @property
    def availability(self) -> str:
        """`online` or `offline`."""
        return f"{self.root}/availability"

    @property
    def status(self) -> str:
        """How the device is doing, JSON."""
        return f"{self.root}/status"

    @property
    def events(self) -> str:
        """What happens to objects, JSON."""
        return f"{self.root}/events"

    def count(self, camera: str, label: str) -> str:
        """How many objects of a label are in view."""
        return f"{self.root}/{camera}/{_level(label)}"

    def snapshot(self, camera: str, label: str) -> str:
        """The best picture of the last object of a label, JPEG."""
        return f"{self.count(camera, label)}/snapshot"

    def alarm(self, camera: str, kind: str) -> str:
        """`ON` or `OFF`; `kind` is `motion` or `tamper`."""
        return f"{self.root}/{camera}/{kind}"

    @property
    def access(self) -> str:
        """Who was let in and who was not, JSON."""
        return f"{self.root}/door/access"

    @property
    def lock(self) -> str:
        """`LOCKED` or `UNLOCKED`."""
        return f"{self.root}/door/lock/state"

    @property
    def contact(self) -> str:
        """`OPEN` or `CLOSED`, where the door has a contact."""
        return f"{self.root}/door/contact"

    @property
    def alarm_of_door(self) -> str:
        """`OFF`, or what is wrong: `FORCED`, `HELD-OPEN`, `TAMPER`."""
        return f"{self.root}/door/alarm"

    @property
    def anchor(self) -> str:
        """The newest record of the access log, JSON."""
        return f"{self.root}/door/audit"


def _level(label: str) -> str:
    """A label as one level of a topic: MQTT forbids + and # there, / would make two levels."""
    return "".join("_" if character in "+#/\0" else character for character in label)


def object_payload(state: TrackedObject, has_snapshot: bool) -> Payload:
    """One state of an object, in Frigate's names; times in seconds since 1970, box in pixels as [x1, y1, x2, y2]."""
    end_time = None if state.end_time is None else round(float(state.end_time), 6)
    return {
        "id": state.id,
        "camera": state.camera,
        "frame_time": round(float(state.frame_time), 6),
        "label": state.label,
        "sub_label": None,
        "top_score": round(float(state.top_score), 4),
        "false_positive": False,
        "start_time": round(float(state.start_time), 6),
        "end_time": end_time,
        "score": round(float(state.score), 4),
        "box": [int(edge) for edge in state.box],
        "area": int(state.area),
        "ratio": round(float(state.ratio), 4),
        "current_zones": list(state.current_zones),
        "entered_zones": list(state.entered_zones),
        "thumbnail": None,
        "has_snapshot": has_snapshot,
        "has_clip": False,
        "active": bool(state.active),
        "stationary": bool(state.stationary),
        "motionless_count": int(state.motionless_count),
        "position_changes": int(state.position_changes),
        "attributes": {},
        "current_attributes": [],
    }


def event_message(topics: Topics, device_id: str, seq: int, kind: str, before: Payload, after: Payload) -> Message:
    """The message for `kind` (`new`, `update`, `end`); `before` and `after` come from `object_payload`."""
    body = {"type": kind, "device": device_id, "seq": seq, "before": before, "after": after}
    return Message(topics.events, to_json(body), seq=seq, droppable=kind == "update")


def ended(after: Payload) -> Payload:
    """The last state of an object whose end nobody saw, because the process was killed: it ends where it was last
    seen."""
    return {**after, "end_time": after["frame_time"], "active": False}


def count_message(topics: Topics, event: ObjectCount) -> Message:
    """How many are in view: a plain number, retained."""
    return Message(topics.count(event.camera, event.label), str(int(event.count)).encode(), retain=True)


def state_message(topics: Topics, event: CameraState) -> Message:
    """`ON` or `OFF`, retained."""
    return Message(topics.alarm(event.camera, event.kind), b"ON" if event.on else b"OFF", retain=True)


def access_message(topics: Topics, seq: int, decision: AccessDecision, *, named: bool) -> Message:
    """One decision at the door. `person` is the gallery's random id; `named` adds the name.

    Similarity and liveness are told to two digits: finer ones would tell, try by try, how to come nearer to a grant.
    """
    body: Payload = {
        "seq": seq,
        "id": decision.id,
        "time": round(decision.wall, 6),
        "camera": decision.camera,
        "decision": "granted" if decision.granted else "denied",
        "person": decision.person or None,
        "reason": decision.reason,
        "similarity": _rounded(decision.similarity, 2),
        "liveness": _rounded(decision.liveness, 2),
        "frames": decision.frames,
        "lock_ms": _rounded(decision.lock_ms, 1),
        "summed": decision.summed,
    }
    if named:
        body["name"] = decision.name or None
    return Message(topics.access, to_json(body), seq=seq)


def _rounded(value: float | None, digits: int) -> float | None:
    return None if value is None else round(float(value), digits)


def lock_message(topics: Topics, event: LockMoved) -> Message:
    """`LOCKED` or `UNLOCKED`, retained."""
    return Message(topics.lock, UNLOCKED if event.unlocked else LOCKED, retain=True)


def door_messages(topics: Topics, event: DoorState) -> list[Message]:
    """The door's contact, where it has one, and its alarm, both retained."""
    words = [alarm.upper() for alarm in event.alarms]
    alarm = Message(topics.alarm_of_door, (" ".join(words) or "OFF").encode(), retain=True, lasting=True)
    if event.contact == "absent":
        return [alarm]
    return [Message(topics.contact, event.contact.upper().encode(), retain=True, lasting=True), alarm]


def anchor_message(topics: Topics, head: AuditHead) -> Message:
    """The newest record of the access log, retained: `sereno audit verify --anchor mqtt` compares with it."""
    return Message(topics.anchor, head.anchor.encode(), retain=True, lasting=True)


def snapshot_message(topics: Topics, camera: str, label: str, jpeg: bytes) -> Message:
    """The picture, retained."""
    return Message(topics.snapshot(camera, label), jpeg, retain=True)


def availability_message(topics: Topics, online: bool) -> Message:
    """`online` or `offline`, retained; the latter is also the last will."""
    return Message(topics.availability, ONLINE if online else OFFLINE, retain=True)


def status_message(topics: Topics, status: Mapping[str, Any]) -> Message:
    """The device's figures: QoS 0, since the next one comes within a minute."""
    return Message(topics.status, to_json(dict(status)), qos=0, retain=True)


def at_rest(payload: bytes) -> bytes:
    """What a retained count, lock or alarm must say when nothing is being watched: `0`, `LOCKED` or `OFF`."""
    if payload in (LOCKED, UNLOCKED):
        return LOCKED
    return b"0" if payload.isdigit() else b"OFF"


def to_json(body: Payload) -> bytes:
    """UTF-8 JSON on one line. Raises ValueError for NaN and infinity, which JSON does not have."""
    return json.dumps(body, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()
