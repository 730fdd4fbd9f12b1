"""Topics and payloads are a contract: to the letter."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from device.datatypes import ObjectCount
from device.publish import messages
from device.publish.messages import Topics
from tests.golden import mqtt as golden
from tests.publish.samples import PERSON

TOPICS = Topics.of("sereno", "porch")

FRIGATE_FIELDS = {
    *("id", "camera", "frame_time", "label", "sub_label", "top_score", "false_positive", "start_time", "end_time"),
    *("score", "box", "area", "ratio", "current_zones", "entered_zones", "thumbnail", "has_snapshot", "has_clip"),
    *("active", "stationary", "motionless_count", "position_changes", "attributes", "current_attributes"),
}


@pytest.mark.parametrize("path", sorted(golden.files()), ids=lambda path: Path(path).stem)
def test_ok__messages_are_as_the_golden_files_say(path: Path) -> None:
    assert golden.files()[path] == path.read_text(), "if that is meant: python -m tests.golden"


def test_ok__event_has_the_fields_that_frigate_documents() -> None:
    assert set(messages.object_payload(PERSON, has_snapshot=True)) == FRIGATE_FIELDS


def test_ok__numbers_of_numpy_become_numbers_of_json() -> None:
    odd = replace(
        PERSON, score=np.float32(0.5), box=tuple(np.array([1, 2, 3, 4])), area=np.int64(9), active=np.bool_(True)
    )
    payload = messages.object_payload(odd, has_snapshot=False)
    message = messages.event_message(TOPICS, "porch", 1, "new", payload, payload)
    after = json.loads(message.payload)["after"]
    assert (after["score"], after["box"], after["area"], after["active"]) == (0.5, [1, 2, 3, 4], 9, True)


def test_fail__not_a_number_is_no_json() -> None:
    payload = messages.object_payload(replace(PERSON, score=math.nan), has_snapshot=False)
    with pytest.raises(ValueError, match="JSON"):
        messages.event_message(TOPICS, "porch", 1, "new", payload, payload)


@pytest.mark.parametrize(
    ("label", "level"), [("traffic light", "traffic light"), ("a/b", "a_b"), ("+", "_"), ("#", "_")]
)
def test_ok__a_label_is_one_level_of_a_topic(label: str, level: str) -> None:
    assert messages.count_message(TOPICS, ObjectCount("front", label, 1)).topic == f"sereno/porch/front/{level}"


def test_ok__only_updates_may_be_dropped() -> None:
    payload = messages.object_payload(PERSON, has_snapshot=False)
    kinds = {
        k: messages.event_message(TOPICS, "porch", 1, k, payload, payload).droppable for k in ("new", "update", "end")
    }
    assert kinds == {"new": False, "update": True, "end": False}


def test_ok__a_longer_prefix_keeps_its_levels() -> None:
    assert Topics.of("home/cameras/", "porch").events == "home/cameras/porch/events"


def test_ok__nothing_is_in_view_at_rest() -> None:
    assert [messages.at_rest(payload) for payload in (b"3", b"0", b"ON", b"OFF")] == [b"0", b"0", b"OFF", b"OFF"]
