"""What goes to the broker, as text; tests compare with `mqtt_<prefix>.txt`."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from device.datatypes import AuditHead, CameraState, DoorState, LockMoved, ObjectCount
from device.publish import messages
from device.publish.messages import Message, Topics
from tests.publish.samples import DECISION, PERSON

FOLDER = Path(__file__).parent


def sample(prefix: str) -> list[Message]:
    """One message of each kind."""
    topics = Topics.of(prefix, "porch")
    before = messages.object_payload(PERSON, has_snapshot=False)
    moved = replace(
        PERSON, box=(432, 496, 544, 854), area=40096, current_zones=("yard", "walk"), frame_time=1607123962.5
    )
    after = messages.object_payload(moved, has_snapshot=True)
    return [
        messages.availability_message(topics, online=True),
        messages.event_message(topics, "porch", 7, "new", before, before),
        messages.event_message(topics, "porch", 8, "update", before, after),
        messages.event_message(topics, "porch", 9, "end", after, messages.ended(after)),
        messages.count_message(topics, ObjectCount("front", "traffic light", 2)),
        messages.state_message(topics, CameraState("front", "motion", True, 1.0)),
        messages.state_message(topics, CameraState("front", "tamper", False, 1.0)),
        messages.snapshot_message(topics, "front", "person", b"<JPEG>"),
        messages.access_message(topics, 10, DECISION, named=False),
        messages.lock_message(topics, LockMoved(unlocked=True, wall=1.0)),
        *messages.door_messages(topics, DoorState("open", ("forced",), 1.0)),
        messages.anchor_message(topics, AuditHead(7, '{"log": "4f1c", "seq": 7}')),
        messages.status_message(topics, {"fps": 9.5, "temperature_c": None}),
        messages.availability_message(topics, online=False),
    ]


def text(messages_sent: list[Message]) -> str:
    """One paragraph a message: topic, QoS, retain flag, then the payload, JSON indented."""
    paragraphs = []
    for message in messages_sent:
        payload = message.payload.decode()
        if payload.startswith("{"):
            payload = json.dumps(json.loads(payload), indent=1, ensure_ascii=False)
        paragraphs.append(f"{message.topic}  qos={message.qos} retain={str(message.retain).lower()}\n{payload}\n")
    return "\n".join(paragraphs)


def files() -> dict[Path, str]:
    """Each golden file and what belongs in it."""
    return {FOLDER / f"mqtt_{prefix}.txt": text(sample(prefix)) for prefix in ("sereno", "frigate")}
