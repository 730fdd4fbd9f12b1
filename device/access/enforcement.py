"""The policy's decisions put into effect: on record first, then the lock, and the lock at rest wherever in doubt."""

from __future__ import annotations

import logging
import math
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from device.access.audit import Audit, AuditError
from device.access.auditrecord import AuditRecord
from device.access.identification import accepts
from device.access.inputs import Contact, DoorWatch, Inputs
from device.access.lock import Lock, LockError, LockMovement
from device.access.policy.decision import Decision
from device.access.policy.machine import close, decide
from device.access.policy.observation import DoorFacts, Now, Observation
from device.access.policy.rules import Rules
from device.access.policy.state import State
from device.access.policymemory import PolicyMemory
from device.access.signals import Signals
from device.datatypes import AccessDecision, AuditHead, DoorAlarm, DoorState, Event, Frame, LockMoved, Match
from device.errors import InputError

log = logging.getLogger(__name__)

PROBE_S = 5.0
"""So often it is tried whether a log that took no records takes them again."""
RELEASE_S = 1.0
"""The lock is released so long after the look that decides, or not at all: who was before the door then may have left.
"""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a track's attempt ended."""

    granted: bool
    reason: str


class Enforcer:
    """Holds the policy's state, and everything that a decision moves."""

    def __init__(
        self,
        *,
        rules: Rules,
        memory: PolicyMemory,
        audit: Audit,
        lock: Lock,
        inputs: Inputs,
        signals: Signals,
        watch: DoorWatch,
        names: Callable[[], Mapping[str, str]],
        now: Now,
        unlock_s: float,
        versions: Mapping[str, str],
        settings: Mapping[str, Any],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Take up what was kept of the last run, and put the lock to rest.

        Args:
            rules: the policy's.
            memory: where its lockout is kept.
            audit: the access log.
            lock: the lock.
            inputs: contact and tamper switch.
            signals: lamps and buzzer.
            watch: of the contact and the tamper switch.
            names: the people's names by id.
            now: the clocks at the start.
            unlock_s: how long the lock is released.
            versions: of program and models, for the records.
            settings: what else decides who is let in (liveness, zone, lock …), for the record of the start.
            clock: seconds, for measuring and for the deadline of a release: the keeper goes by the same one.
        Raises:
            InputError: the log or the memory cannot be read or written.
        """
        self._rules, self._memory, self._audit, self._lock = rules, memory, audit, lock
        self._inputs, self._signals = inputs, signals
        self._watch, self._names, self._unlock_s, self._clock = watch, names, unlock_s, clock
        self._state = State.restore(memory.load(), now)
        self._fault, self._fault_s = "", now.monotonic_s
        self._signs: DoorState | None = None
        self._decided: dict[str, int] = {}
        self._seen: Observation | None = None
        self._by = -math.inf
        self._inviting = False
        self._new = True
        self.outcomes: dict[int, Outcome] = {}
        """Of the tracks that are in view, by their number."""
        self.denied: tuple[int, ...] = ()
        """Tracks whose attempt ended in a denial by the last call."""
        # Whoever weakens the rules and restarts has it on record.
        effective = {"rules": asdict(rules), "door": {**settings, "unlock_s": unlock_s}}
        audit.append("start", {"versions": dict(versions), **effective})

    @property
    def fault(self) -> str:
        """What keeps the door shut whoever comes; empty where nothing does."""
        return self._fault or self._lock.fault

    def look(self, frame: Frame, seen: Observation, now: Now, started_s: float) -> list[Event]:
        """Let the policy judge one look of the camera, and do what it says.

        Args:
            frame: what was looked at.
            seen: what was found in it; its `door` is filled in here.
            now: the clocks.
            started_s: when the frame came in, on `clock`.
        """
        self._by = self._clock() + RELEASE_S
        self._seen = replace(seen, faces=())
        return [*self.tend(now), *self._judge(frame.camera, seen, now, started_s)]

    def tick(self, camera: str, now: Now) -> list[Event]:
        """No new frame came: time passes all the same, for the lock and for open attempts."""
        self._by = self._clock() + RELEASE_S
        events = self.tend(now)
        if self._seen is not None and (self._state.tracks or self._state.sums):
            events += self._judge(camera, self._seen, now, self._clock())
        return events

    def settled(self, track: int) -> bool:
        """Whether a track's attempt has ended for as long as it stays."""
        known = self._state.tracks.get(track)
        return known is not None and known.phase in ("spent", "granted")

    def recognises(self, match: Match | None) -> bool:
        """Whether a match is good enough to call the face by that person's name."""
        return accepts(match, self._rules)

    def _judge(self, camera: str, seen: Observation, now: Now, started_s: float) -> list[Event]:
        inputs = self._inputs.read()
        door = DoorFacts(inputs.contact, inputs.tampered)
        told = replace(seen, door=door, fault="; ".join(filter(None, (seen.fault, self.fault))))
        self._state, decisions = decide(self._state, told, now, self._rules)
        safe = self._remember(now)
        self.denied = tuple(decision.track for decision in decisions if not decision.granted)
        events = [event for one in decisions for event in self._enforce(camera, one, now, started_s, safe)]
        for track in self.outcomes.keys() - self._state.tracks.keys():
            del self.outcomes[track]
        return events

    def tend(self, now: Now) -> list[Event]:
        """What happens without a frame, too: the lock goes to rest, the door is opened. Call often."""
        if self._fault and now.monotonic_s - self._fault_s >= PROBE_S:
            self._probe(now)
        events: list[Event] = []
        for movement in self._lock.poll():
            if not movement.unlocked:
                events += self._rested(movement, now)
        unlocked = self._lock.state == "unlocked"
        inputs = self._inputs.read()
        alarm = self._watch.update(inputs, unlocked, now.monotonic_s)
        events += self._noticed(
            inputs.contact, ((alarm,) if alarm else ()) + (("tamper",) if inputs.tampered else ()), now
        )
        if self._new:
            self._new = False
            events += [LockMoved(unlocked, now.wall_s), *self._head()]
        return events

    def forget(self, tracks: tuple[int, ...]) -> None:
        """These tracks have ended."""
        for track in tracks:
            self.outcomes.pop(track, None)

    def fail(self, frame: Frame, error: Exception, now: Now) -> list[Event]:
        """A fault of Sereno's own: the lock to rest, and a denial on record."""
        self._lock.rest()
        text = f"{type(error).__name__}: {error}"[:500]
        body = {"id": _id(), "camera": frame.camera, "decision": "denied", "reason": "fault", "detail": text}
        record = self._append("decision", body, now)
        return [self._denial(frame, str(body["id"]), record, now), *self._head()]

    def finish(self, camera: str, now: Now) -> list[Event]:
        """The process ends: the lock to rest, open attempts denied."""
        events = self.tend(now)
        self._state, decisions = close(self._state, now, self._rules)
        for decision in decisions:
            events += self._enforce(camera, decision, now, self._clock(), safe=False)
        self._lock.close()
        for movement in self._lock.poll():
            if not movement.unlocked:
                events += self._rested(movement, now)
        self._append("stop", {}, now)
        return [*events, LockMoved(unlocked=False, wall=now.wall_s), *self._head()]

    def invite(self, somebody: bool) -> None:
        """Whether somebody whose attempt is open shall be told where to look."""
        if somebody != self._inviting:
            self._inviting = somebody
            if somebody:
                self._signals.show("look")

    # A decision

    def _remember(self, now: Now) -> bool:
        """Keep the lockout before a decision takes effect; whether that is sure."""
        try:
            self._memory.keep(self._state.persistent())
        except InputError as error:
            self._broken(str(error), now)
            return False
        return True

    def _enforce(self, camera: str, decision: Decision, now: Now, started_s: float, safe: bool) -> list[Event]:
        if decision.granted and not safe:
            decision = replace(decision, granted=False, reason="fault", detail=self._fault)
        self.outcomes[decision.track] = Outcome(decision.granted, decision.reason)
        if not decision.summed:
            return []
        told = AccessDecision(
            id=_id(),
            wall=now.wall_s,
            camera=camera,
            granted=decision.granted,
            reason=decision.reason,
            person=decision.person,
            name=self._names().get(decision.person, ""),
            similarity=decision.similarity,
            liveness=decision.liveness,
            frames=decision.frames,
            lock_ms=None,
            summed=decision.summed,
        )
        body = {"id": told.id, "camera": camera, **_body(decision)}
        record = self._append("decision", body, now)
        if record is None:
            self._lock.rest()
            self.outcomes[decision.track] = Outcome(granted=False, reason="fault")
            return [replace(told, granted=False, reason="fault")]
        told = replace(told, record=record.seq)
        if not decision.granted:
            if decision.ended != "summary":
                self._signals.show("denied")
            return [told, *self._head()]
        return self._release(decision.track, told, record, now, started_s)

    def _release(
        self, track: int, told: AccessDecision, record: AuditRecord, now: Now, started_s: float
    ) -> list[Event]:
        """The record is on the disk: now, and only now, the lock; unless that took too long."""
        authorisation = record.hash.hex()
        self._decided[authorisation] = record.seq
        try:
            over_s = self._clock() - self._by
            if over_s > 0:
                raise LockError(f"too late: the record was on the disk {RELEASE_S + over_s:.1f} s after the look")
            self._lock.unlock(self._unlock_s, authorisation, self._by)
        except InputError as error:
            self._lock.rest()
            log.error("the lock does not move: %s", error)
            del self._decided[authorisation]
            self.outcomes[track] = Outcome(granted=False, reason="fault")
            self._append("lock", {"state": "refused", "decision": record.seq, "detail": str(error)[:500]}, now)
            self._signals.show("denied")
            return [replace(told, granted=False, reason="fault"), *self._head()]
        lock_ms = round(1000 * (self._clock() - started_s), 1)
        body = {"state": "unlocked", "decision": record.seq, "seconds": self._unlock_s, "lock_ms": lock_ms}
        if self._append("lock", body, now) is None:
            self._lock.rest()  # What cannot be proved must not go on.
        self._signals.show("granted")
        return [replace(told, lock_ms=lock_ms), LockMoved(unlocked=True, wall=now.wall_s), *self._head()]

    # What the wires tell

    def _rested(self, movement: LockMovement, now: Now) -> list[Event]:
        seq = self._decided.pop(movement.authorisation, None)
        body: dict[str, Any] = {"state": "locked", "cause": movement.cause}
        self._append("lock", body | ({"decision": seq} if seq is not None else {}), now)
        return [LockMoved(unlocked=False, wall=movement.wall), *self._head()]

    def _noticed(self, contact: Contact, alarms: tuple[DoorAlarm, ...], now: Now) -> list[Event]:
        """What is new about the door; alarms go on record, as they come and as they go."""
        before = self._signs
        if before is not None and (before.contact, before.alarms) == (contact, alarms):
            return []
        self._signs = DoorState(contact, alarms, now.wall_s)
        if alarms == (before.alarms if before else ()):
            return [self._signs]
        log.warning("the door: %s", ", ".join(alarms) or "all is well again")
        self._append("door", {"contact": contact, "alarms": list(alarms)}, now)
        return [self._signs, *self._head()]

    # The log

    def _append(self, kind: str, body: Mapping[str, Any], now: Now) -> AuditRecord | None:
        """Write a record; None where it is not on the disk for sure, which keeps the door shut from now on."""
        try:
            return self._audit.append(kind, body)
        except AuditError as error:
            self._broken(str(error), now)
            return None

    def _broken(self, sentence: str, now: Now) -> None:
        if sentence != self._fault:
            log.error("%s; nobody is let in until it can", sentence)
        self._fault, self._fault_s = sentence, now.monotonic_s

    def _probe(self, now: Now) -> None:
        """Does the disk take records again? The first of them says what was wrong."""
        fault = self._fault
        if self._append("fault", {"detail": fault[:500]}, now) is not None and self._remember(now):
            log.warning("the access log takes records again")
            self._fault = ""

    def _head(self) -> list[Event]:
        try:
            head = self._audit.head()
        except AuditError as error:
            log.error("%s", error)
            return []
        return [AuditHead(head.seq, head.to_json())]

    def _denial(self, frame: Frame, decision_id: str, record: AuditRecord | None, now: Now) -> AccessDecision:
        return AccessDecision(
            id=decision_id,
            wall=now.wall_s,
            camera=frame.camera,
            granted=False,
            reason="fault",
            person="",
            name="",
            similarity=None,
            liveness=None,
            frames=0,
            lock_ms=None,
            record=record.seq if record else 0,
        )


def _id() -> str:
    return secrets.token_hex(8)


def _body(decision: Decision) -> dict[str, Any]:
    """A decision as the log keeps it: its numbers, and a word for its outcome."""
    body = asdict(decision)
    body["decision"] = "granted" if body.pop("granted") else "denied"
    body["policy"] = body.pop("version")
    return {key: round(value, 6) if isinstance(value, float) else value for key, value in body.items()}
