"""From the policy's word to the lock: on record first, and at rest wherever in doubt."""

from __future__ import annotations

import json
import math
import sqlite3
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from device.access.audit import AuditError, read
from device.access.auditview import row
from device.access.decisionlog import DecisionLog
from device.access.enforcement import Outcome
from device.access.inputs import InputState
from device.access.lock import FakeLock, LockError
from device.access.policy.observation import FaceView, FrameFacts, GalleryFacts, Observation, PersonRules
from device.access.policy.rules import Rules
from device.access.policymemory import FILE, UNREADABLE, PolicyMemory
from device.datatypes import AccessDecision, AuditHead, DoorState, Event, Frame, Liveness, LockMoved, Match
from device.errors import InputError
from device.system.clocktrust import ClockTrust
from tests.access.house import THRESHOLDS, Latch

ANA = "00aa11bb22cc33dd"
LIVE = Liveness("live", 0.9, "motion")
SPOOF = Liveness("spoof", 0.1, "motion")
ANY_TIME = PersonRules()


class Visit:
    """Somebody before a door, ten frames a second."""

    def __init__(self, latch: Latch) -> None:
        self.latch, self.index = latch, 0

    def look(
        self,
        frames: int = 1,
        *,
        track: int = 1,
        similarity: float = 0.8,
        liveness: Liveness = LIVE,
        fault: str = "",
        faces: bool = True,
        person: PersonRules = ANY_TIME,
    ) -> list[Event]:
        events: list[Event] = []
        for _ in range(frames):
            now = self.latch.now()
            self.index += 1
            match = Match(ANA, similarity, 0.1, 3)
            face = FaceView(track, True, 10_000.0, (), match, liveness, person)
            seen = Observation(
                FrameFacts(self.index, now.monotonic_s, str(self.index)), (face,) * faces, GalleryFacts(3), fault=fault
            )
            frame = Frame("door", self.index, np.zeros((4, 4, 3), np.uint8), now.monotonic_s, now.wall_s)
            events += self.latch.enforcer.look(frame, seen, now, self.latch.clock.monotonic())
            self.latch.clock.advance(0.1)
        return events


@pytest.fixture
def latch(tmp_path: Path) -> Iterator[Latch]:
    made = Latch(tmp_path, Rules(thresholds=THRESHOLDS), names={ANA: "Ana"})
    yield made
    made.audit.close()


@pytest.fixture
def visit(latch: Latch) -> Visit:
    return Visit(latch)


def decisions(events: list[Event]) -> list[AccessDecision]:
    return [event for event in events if isinstance(event, AccessDecision)]


def reasons(events: list[Event]) -> list[str]:
    return [event.reason for event in decisions(events)]


def test_ok__one_grant_is_one_pulse_by_the_record_on_the_disk(latch: Latch, visit: Visit) -> None:
    events = visit.look(10)
    [decision] = decisions(events)
    assert (decision.granted, decision.name, decision.frames, decision.similarity) == (True, "Ana", 3, 0.8)
    assert latch.lock.pulses == [3.0]
    [record] = latch.records("decision")
    assert latch.lock.authorisations == [record.hash.hex()]
    assert decision.record == record.seq
    assert record.content["decision"] == "granted"
    assert record.content["person"] == ANA
    assert "Ana" not in record.body
    assert latch.signals.shown == ["granted"]
    # The lock's record comes after, and says how long it took.
    moved = latch.records("lock")[0]
    assert moved.seq == record.seq + 1
    assert (moved.content["state"], moved.content["decision"]) == ("unlocked", record.seq)
    assert decision.lock_ms == moved.content["lock_ms"]


def test_ok__the_start_tells_by_which_rules_people_are_let_in(latch: Latch) -> None:
    """Whoever weakens them and starts the door anew has it on record; the table shows that something is other."""
    latch.rules = replace(latch.rules, liveness_required=False, near_margin=0.2)
    latch.make()
    latch.make()
    strict, weak, same = latch.records("start")
    assert strict.content["rules"] == json.loads(json.dumps(asdict(Rules(thresholds=THRESHOLDS))))
    assert (weak.content["rules"]["liveness_required"], weak.content["rules"]["near_margin"]) == (False, 0.2)
    assert strict.content["door"] == {"liveness": "passive", "unlock_s": 3.0}
    shown = [str(row(record, {})["detail"]) for record in (strict, weak, same)]
    assert shown[0].endswith("(liveness passive)")
    assert shown[1].endswith("(liveness off)")
    assert shown[0] != shown[1] == shown[2]
    assert max(map(len, shown)) < 60


def test_ok__the_lock_moves_only_after_the_commit(tmp_path: Path, visit: Visit, latch: Latch) -> None:
    """When the lock is told, the record is in the file already, as another process reads it."""
    seen: list[str] = []

    class Spy(FakeLock):
        def unlock(self, seconds: float, authorisation: str, by: float = math.inf) -> None:
            seen.extend(record.hash.hex() for record in read(tmp_path / "audit" / "audit.db"))
            assert authorisation in seen
            super().unlock(seconds, authorisation, by)

    latch.lock = Spy(latch.clock)
    latch.enforcer = latch.make()
    visit.look(4)
    assert latch.lock.pulses == [3.0]


def test_ok__the_lock_goes_to_rest_and_that_is_told_and_on_record(latch: Latch, visit: Visit) -> None:
    visit.look(3)
    latch.clock.advance(3.0)
    events = latch.enforcer.tick("door", latch.now())
    assert [event.unlocked for event in events if isinstance(event, LockMoved)] == [False]
    assert [record.content["state"] for record in latch.records("lock")] == ["unlocked", "locked"]
    assert latch.records("lock")[1].content["decision"] == latch.records("decision")[0].seq


def test_ok__each_record_moves_the_anchor(latch: Latch, visit: Visit) -> None:
    heads = [event for event in visit.look(5) if isinstance(event, AuditHead)]
    assert heads[-1].seq == latch.audit.head().seq
    assert heads[-1].anchor == latch.audit.head().to_json()


def test_fail__a_log_that_was_cut_off_under_the_door(latch: Latch, visit: Visit) -> None:
    """Nobody is let in, it is said, and the broker's anchor stays as it was."""
    visit.look(5, track=1)
    with sqlite3.connect(latch.audit.path) as other:
        other.executescript("DROP TRIGGER record_stays; DELETE FROM record WHERE seq > 2")
    other.close()
    latch.clock.advance(10.0)
    events = visit.look(10, track=2)
    assert reasons(events) == ["fault"]
    assert not [event for event in events if isinstance(event, AuditHead)]
    assert "its end was cut off" in latch.enforcer.fault
    assert latch.lock.pulses == [3.0]
    latch.clock.advance(6.0)
    visit.look(1, faces=False)
    assert latch.enforcer.fault, "a cut log takes no records again"
    assert len(latch.records()) == 2


def test_fail__no_commit_no_unlock(latch: Latch, visit: Visit, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_kind: str, _body: Any) -> None:
        raise AuditError("cannot write the access log: No space left on device")

    monkeypatch.setattr(latch.audit, "append", full)
    events = visit.look(5)
    assert (latch.lock.pulses, reasons(events)) == ([], ["fault"])
    assert not decisions(events)[0].granted
    assert decisions(events)[0].record == 0
    assert "No space left" in latch.enforcer.fault
    # Whoever comes meanwhile is denied, too, until the disk takes a record again.
    visit.look(10, track=2)
    assert latch.lock.pulses == []
    monkeypatch.undo()
    latch.clock.advance(6.0)
    visit.look(1, faces=False)
    assert latch.enforcer.fault == ""
    assert next(iter(latch.records("fault"))).content["detail"].endswith("No space left on device")
    visit.look(4, track=3)
    assert latch.lock.pulses == [3.0]


def test_fail__a_log_that_is_taken_away_lets_nobody_in(latch: Latch, visit: Visit) -> None:
    latch.audit.path.unlink()
    events = visit.look(5)
    assert (latch.lock.pulses, reasons(events)) == ([], ["fault"])
    assert "was deleted" in latch.enforcer.fault
    latch.clock.advance(6.0)
    visit.look(5, track=2)
    assert latch.lock.pulses == []


def test_fail__a_lockout_that_is_not_on_the_disk_lets_nobody_in(
    latch: Latch, visit: Visit, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_record: Any) -> None:
        raise InputError("cannot write lockout.json: Input/output error")

    monkeypatch.setattr(latch.memory, "keep", refuse)
    events = visit.look(5)
    assert (latch.lock.pulses, reasons(events)[0]) == ([], "fault")


def test_fail__a_lock_that_does_not_move_is_on_record(latch: Latch, visit: Visit) -> None:
    class Stuck(FakeLock):
        def unlock(self, seconds: float, authorisation: str, by: float = math.inf) -> None:
            del seconds, authorisation, by
            raise LockError("the lock was not released: it came too late")

    latch.lock = Stuck(latch.clock)
    latch.enforcer = latch.make()
    events = visit.look(5)
    assert [(event.granted, event.reason, event.lock_ms) for event in decisions(events)] == [(False, "fault", None)]
    assert latch.enforcer.outcomes[1] == Outcome(granted=False, reason="fault")
    assert not latch.enforcer._decided
    assert not any(event.unlocked for event in events if isinstance(event, LockMoved))
    assert [record.content["state"] for record in latch.records("lock")] == ["refused"]


def delay(latch: Latch, monkeypatch: pytest.MonkeyPatch, where: tuple[object, str], seconds: float) -> None:
    """What the enforcer asks there takes so long, as with a busy disk or a process that was stopped meanwhile."""
    genuine = getattr(*where)

    def slow(*given: Any) -> Any:
        answer = genuine(*given)
        latch.clock.advance(seconds)
        return answer

    monkeypatch.setattr(*where, slow)


@pytest.mark.parametrize("slow", ["record", "memory", "names"])
def test_fail__a_decision_expires_while_the_disk_is_busy(
    latch: Latch, visit: Visit, monkeypatch: pytest.MonkeyPatch, slow: str
) -> None:
    enforcer = latch.enforcer
    where: dict[str, tuple[object, str]] = {
        "record": (latch.audit, "append"),
        "memory": (latch.memory, "keep"),
        "names": (enforcer, "_names"),
    }
    visit.look(2)
    delay(latch, monkeypatch, where[slow], 21.8)
    [told] = decisions(visit.look(1))
    monkeypatch.undo()
    assert (told.granted, told.reason, told.lock_ms) == (False, "fault", None)
    assert latch.lock.pulses == []
    assert latch.signals.shown == ["denied"]
    assert enforcer.outcomes[1] == Outcome(granted=False, reason="fault")
    [record] = latch.records("lock")
    assert (record.content["state"], record.content["decision"]) == ("refused", told.record)
    assert record.content["detail"] == "too late: the record was on the disk 21.8 s after the look"
    log = DecisionLog(latch.audit.path, dict)
    [again] = log.recent(1)
    log.close()
    assert (again.granted, again.reason, again.lock_ms) == (False, "fault", None)


def test_ok__the_keeper_is_told_until_when(latch: Latch, visit: Visit, monkeypatch: pytest.MonkeyPatch) -> None:
    """A second after the look, however much of it the record took."""
    told: list[float] = []

    class Spy(FakeLock):
        def unlock(self, seconds: float, authorisation: str, by: float = math.inf) -> None:
            told.append(by)
            super().unlock(seconds, authorisation, by)

    latch.lock = Spy(latch.clock)
    latch.enforcer = latch.make()
    visit.look(2)
    look_s = latch.clock.monotonic()
    delay(latch, monkeypatch, (latch.audit, "append"), 0.45)
    [decision] = decisions(visit.look(1))
    assert told == [look_s + 1.0]
    assert (decision.granted, decision.lock_ms, latch.lock.pulses) == (True, 450.0, [3.0])


def test_fail__a_movement_that_cannot_be_recorded_is_taken_back(
    latch: Latch, visit: Visit, monkeypatch: pytest.MonkeyPatch
) -> None:
    genuine = latch.audit.append

    def append(kind: str, body: Any) -> Any:
        if kind == "lock":
            raise AuditError("disk full")
        return genuine(kind, body)

    monkeypatch.setattr(latch.audit, "append", append)
    visit.look(4)
    assert latch.lock.pulses == [3.0]
    assert latch.lock.state == "locked"


def test_fail__a_faulty_lock_denies(latch: Latch, visit: Visit) -> None:
    latch.lock.fault = "the keeper of the lock has ended"
    assert reasons(visit.look(5)) == ["fault"]
    assert latch.lock.pulses == []


def test_fail__a_broken_model_denies(latch: Latch, visit: Visit) -> None:
    assert reasons(visit.look(5, fault="the model cannot be read")) == ["fault"]
    assert latch.records("decision")[0].content["detail"] == "the model cannot be read"


def test_fail__tampering_denies_and_is_told(latch: Latch, visit: Visit) -> None:
    latch.inputs.state = InputState("closed", tampered=True)
    events = visit.look(5)
    assert reasons(events) == ["tampered"]
    [state] = [event for event in events if isinstance(event, DoorState)]
    assert (state.contact, state.alarms) == ("closed", ("tamper",))
    assert latch.records("door")[0].content == {"alarms": ["tamper"], "contact": "closed"}


def test_fail__a_door_that_was_forced_is_told_and_on_record(latch: Latch, visit: Visit) -> None:
    latch.inputs.state = InputState("closed", tampered=False)
    visit.look(2, faces=False)
    latch.inputs.state = InputState("open", tampered=False)
    [state] = [event for event in visit.look(1, faces=False) if isinstance(event, DoorState)]
    assert state.alarms == ("forced",)
    latch.inputs.state = InputState("closed", tampered=False)
    [state] = [event for event in visit.look(1, faces=False) if isinstance(event, DoorState)]
    assert state.alarms == ()
    assert [record.content["alarms"] for record in latch.records("door")] == [["forced"], []]


def spoofs(visit: Visit, count: int, first: int = 100) -> None:
    """So many photos of Ana are held before the door."""
    for number in range(count):
        visit.look(4, track=first + number, liveness=SPOOF)


def test_fail__the_lockout_is_on_the_disk_before_it_is_told_and_survives_the_process(
    latch: Latch, visit: Visit
) -> None:
    spoofs(visit, 5)
    assert [record.content["strikes"] for record in latch.records("decision")] == [1, 2, 3, 4, 5]
    # As after kill -9: nothing is closed, another process takes up the files.
    again = Latch(latch.folder, latch.rules, latch.clock)
    assert reasons(Visit(again).look(5, track=7)) == ["locked_out"]
    assert again.lock.pulses == []
    again.audit.close()


def test_fail__a_reboot_does_not_shorten_a_lockout(latch: Latch, visit: Visit) -> None:
    spoofs(visit, 5)
    clock = type(latch.clock)(latch.clock.wall() - 3600, 5.0)  # No battery: an hour back, and counting anew.
    again = Latch(latch.folder, latch.rules, clock, trusted=False, boot="the next start")
    assert reasons(Visit(again).look(5, track=7)) == ["locked_out"]
    again.audit.close()


def test_fail__a_clock_that_was_set_back_opens_nothing_that_is_over(latch: Latch, visit: Visit, tmp_path: Path) -> None:
    """Ana's time ended a minute ago; somebody sets the clock an hour back."""
    answer, none = [True], tmp_path / "none"
    trust = ClockTrust(latch.clock, synchronized=lambda: answer[0], rtc=none, marker=none)
    until = PersonRules(valid_until=latch.clock.wall() - 60.0)
    latch.trusted = trust.trusted()
    assert reasons(visit.look(4, track=1, person=until)) == ["expired"]
    answer[0] = False
    latch.clock.step_wall(-3600.0)
    latch.trusted = trust.trusted()
    assert reasons(visit.look(4, track=2, person=until)) == ["clock"]
    assert latch.lock.pulses == []


@pytest.mark.parametrize("content", [b"{half", b"[" * 60_000, b'{"strikes":' * 5_000])
def test_fail__a_damaged_memory_is_distrusted(latch: Latch, content: bytes) -> None:
    (latch.folder / FILE).write_bytes(content)
    assert PolicyMemory(latch.folder).load() == UNREADABLE
    again = Latch(latch.folder, latch.rules, latch.clock)
    assert reasons(Visit(again).look(5)) == ["locked_out"]
    again.audit.close()


def test_fail__a_memory_that_cannot_be_read_keeps_the_door_from_starting(tmp_path: Path) -> None:
    (tmp_path / FILE).mkdir()
    with pytest.raises(InputError, match=r"cannot read .*lockout\.json"):
        PolicyMemory(tmp_path).load()


def test_ok__the_memory_is_written_only_when_it_changes(tmp_path: Path) -> None:
    memory = PolicyMemory(tmp_path)
    memory.keep({})
    assert not (tmp_path / FILE).exists()
    memory.keep({"strikes": 1})
    first = (tmp_path / FILE).stat()
    memory.keep({"strikes": 1})
    assert (tmp_path / FILE).stat().st_ino == first.st_ino
    memory.keep({"strikes": 2})
    assert (tmp_path / FILE).stat().st_ino != first.st_ino
    assert PolicyMemory(tmp_path).load() == {"strikes": 2}
    assert [path.name for path in tmp_path.iterdir()] == [FILE]


def test_ok__the_end_of_the_process_is_a_denial_and_the_lock_at_rest(latch: Latch, visit: Visit) -> None:
    visit.look(4)
    visit.look(3, track=9, similarity=0.2)
    events = latch.enforcer.finish("door", latch.now())
    assert latch.lock.state == "locked"
    assert reasons(events) == ["stopped"]
    assert [record.kind for record in latch.records()][-1] == "stop"
    assert [event.unlocked for event in events if isinstance(event, LockMoved)][-1] is False


def test_fail__a_fault_of_the_program_is_a_denial_on_record(latch: Latch) -> None:
    frame = Frame("door", 1, np.zeros((4, 4, 3), np.uint8), 1.0, 2.0)
    events = latch.enforcer.fail(frame, ZeroDivisionError("a mistake"), latch.now())
    assert reasons(events) == ["fault"]
    assert latch.records("decision")[0].content["detail"] == "ZeroDivisionError: a mistake"
