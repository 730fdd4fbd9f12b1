"""A door's decisions: told out of the access log, each once and in order, whatever becomes of outbox and process."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from device.datatypes import AccessDecision, AuditHead, DoorState, LockMoved
from device.publish import messages
from device.publish.database import Database
from device.publish.decisions import DecisionFeed
from device.publish.messages import Topics
from device.publish.outbox import Entry, Outbox

TOPICS = Topics.of("sereno", "porch")


def decision(record: int) -> AccessDecision:
    return AccessDecision(
        id=f"id{record}",
        wall=1_795_000_000.25 + record,
        camera="front",
        granted=True,
        reason="recognised",
        person="00aa11bb22cc33dd",
        name="Ana",
        similarity=0.81234,
        liveness=None,
        frames=3,
        lock_ms=41.26,
        record=record,
    )


class Log:
    """An access log: every third record is a decision."""

    def __init__(self, records: int = 0) -> None:
        self.records = records

    def newest(self) -> int:
        return self.records

    def decisions(self, after: int, limit: int) -> list[AccessDecision]:
        return [decision(seq) for seq in range(after + 1, self.records + 1) if seq % 3 == 0][:limit]


class Memory:
    """What the door says of its log."""

    def __init__(self, log: str = "first") -> None:
        self.log = log
        self.lacking: list[tuple[int, int]] = []

    def lacks(self, told: int, newest: int) -> None:
        self.lacking.append((told, newest))

    def meets(self, anchor: str) -> bool:
        raise AssertionError(anchor)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path


def opened(folder: Path, limit: int = 100) -> Outbox:
    return Outbox(Database(folder / "events.db"), limit, TOPICS.root)


def told(outbox: Outbox) -> list[str]:
    return [json.loads(message.payload)["id"] for message in outbox.pending(0, 10_000)]


def ids(*records: int) -> list[str]:
    return [f"id{record}" for record in records]


@pytest.fixture
def outbox(folder: Path) -> Outbox:
    return opened(folder)


def test_ok__what_was_there_before_is_not_told_what_comes_is(outbox: Outbox) -> None:
    log = Log(30)
    feed = DecisionFeed(outbox, TOPICS, log, named=False, witness=Memory())
    feed.fill()
    assert told(outbox) == []
    log.records = 37
    feed.fill()
    feed.fill()
    assert told(outbox) == ids(33, 36)
    assert [message.seq for message in outbox.pending(0, 10)] == [1, 2]


def test_ok__what_the_outbox_has_no_room_for_waits_in_the_log(folder: Path) -> None:
    outbox, log = opened(folder, limit=100), Log(0)
    feed = DecisionFeed(outbox, TOPICS, log, named=False, witness=Memory())
    log.records = 900
    feed.fill()
    assert outbox.queued == 100
    assert outbox.dropped == 0
    first = told(outbox)
    seen = list(first)
    while outbox.queued:
        outbox.acknowledge([message.seq for message in outbox.pending(0, 40) if message.seq])
        feed.fill()
        seen += [name for name in told(outbox) if name not in seen]
    assert seen == ids(*range(3, 901, 3))


def test_ok__a_process_that_was_killed_between_log_and_outbox_tells_it_at_its_next_start(folder: Path) -> None:
    log = Log(0)
    feed = DecisionFeed(opened(folder), TOPICS, log, named=False, witness=Memory())
    log.records = 6
    feed.fill()
    log.records = 12  # Killed before the next fill.
    outbox = opened(folder)
    DecisionFeed(outbox, TOPICS, log, named=False, witness=Memory()).fill()
    assert told(outbox) == ids(3, 6, 9, 12)


def test_ok__a_log_that_was_begun_anew_is_told_from_where_it_is(folder: Path) -> None:
    feed = DecisionFeed(opened(folder), TOPICS, log := Log(0), named=False, witness=Memory())
    log.records = 30
    feed.fill()
    outbox, new, witness = opened(folder), Log(4), Memory("second")
    feed = DecisionFeed(outbox, TOPICS, new, named=False, witness=witness)
    new.records = 6
    feed.fill()
    assert told(outbox)[-1] == "id6"
    assert told(outbox).count("id6") == 2
    assert witness.lacking == [], "another log owes nothing of the former one"


def test_fail__a_log_that_is_shorter_than_what_was_told_of_it(folder: Path) -> None:
    """It is said once; what comes then is told."""
    feed = DecisionFeed(opened(folder), TOPICS, log := Log(0), named=False, witness=Memory())
    log.records = 30
    feed.fill()
    witness, log = Memory(), Log(4)
    outbox = opened(folder)
    feed = DecisionFeed(outbox, TOPICS, log, named=False, witness=witness)
    assert witness.lacking == [(30, 4)]
    log.records = 6
    feed.fill()
    assert told(outbox)[-1] == "id6"
    again = Memory()
    DecisionFeed(opened(folder), TOPICS, log, named=False, witness=again)
    assert again.lacking == []


def test_ok__a_decision_as_the_contract_has_it() -> None:
    message = messages.access_message(TOPICS, 7, decision(3), named=False)
    assert message.topic == "sereno/porch/door/access"
    assert (message.qos, message.retain, message.seq, message.droppable) == (1, False, 7, False)
    assert json.loads(message.payload) == {
        "seq": 7,
        "id": "id3",
        "time": 1_795_000_003.25,
        "camera": "front",
        "decision": "granted",
        "person": "00aa11bb22cc33dd",
        "reason": "recognised",
        "similarity": 0.81,
        "liveness": None,
        "frames": 3,
        "lock_ms": 41.3,
        "summed": 1,
    }
    named = json.loads(messages.access_message(TOPICS, 7, decision(3), named=True).payload)
    assert named["name"] == "Ana"


def test_ok__states_of_the_door() -> None:
    assert messages.lock_message(TOPICS, LockMoved(unlocked=True, wall=1.0)).payload == b"UNLOCKED"
    shut, alarm = messages.door_messages(TOPICS, DoorState("closed", (), 1.0))
    assert (shut.topic, shut.payload, alarm.payload) == ("sereno/porch/door/contact", b"CLOSED", b"OFF")
    _, alarm = messages.door_messages(TOPICS, DoorState("open", ("forced", "tamper"), 1.0))
    assert (alarm.topic, alarm.payload) == ("sereno/porch/door/alarm", b"FORCED TAMPER")
    [alarm] = messages.door_messages(TOPICS, DoorState("absent", (), 1.0))
    assert alarm.topic == "sereno/porch/door/alarm"


def test_ok__after_a_crash_the_lock_is_told_to_be_locked_and_the_anchor_stays(folder: Path) -> None:
    outbox = opened(folder)
    unlocked = messages.lock_message(TOPICS, LockMoved(unlocked=True, wall=1.0))
    anchor = messages.anchor_message(TOPICS, AuditHead(5, '{"seq": 5}'))
    outbox.write([Entry(unlocked), Entry(anchor)])
    again = opened(folder)
    assert [(message.topic, message.payload) for _, message in again.states(0)] == [
        ("sereno/porch/door/lock/state", b"LOCKED")
    ]
    # What a broker retains as an anchor is not taken back as pictures are.
    assert again.pictures == []
