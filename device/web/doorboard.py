"""What the door shows now: the last verdict, what somebody is asked to do, and the state of the lock."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

from device.datatypes import AccessDecision, DoorState, Event, FaceSeen, LockMoved, Observation

VERDICT_S = 5.0
"""A verdict is shown for so long, and as long as the face that it is about stays."""
GONE_S = 0.8
"""A face that was not seen for so long has left."""
SAME_S = 1.0
"""What the log and the picture say of an attempt within so long is one verdict."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """How an attempt ended. `name` is empty where nobody was recognised, or who was is in the gallery no more."""

    granted: bool
    reason: str
    name: str


@dataclass(frozen=True, slots=True)
class _Judged:
    """A verdict as it is kept: with the person's id, whose name is looked up whenever it is shown."""

    granted: bool
    reason: str
    person: str


@dataclass(frozen=True, slots=True)
class Shown:
    """What the page shows. `prompt` is what somebody is asked to do, `faces` how many there are in the zone, `record`
    the number of the newest decision's record: the log is read anew when it changes."""

    verdict: Verdict | None = None
    prompt: str = ""
    faces: int = 0
    lock: Literal["locked", "unlocked"] = "locked"
    contact: Literal["open", "closed", "absent"] = "absent"
    alarms: tuple[str, ...] = ()
    record: int = 0

    def as_json(self) -> dict[str, Any]:
        """As the page gets it."""
        return asdict(self)


class DoorBoard:
    """Listens to the loop as a sink (`accept`) and as an observer (`show`); pages wait for what is new. Any thread."""

    def __init__(self, names: Callable[[], Mapping[str, str]], clock: Callable[[], float] = time.monotonic) -> None:
        """`names`: of the gallery as it is at this moment, by id. `clock`: monotonic seconds."""
        self._names, self._clock = names, clock
        self._changed = threading.Condition()
        self._shown = Shown()
        self._verdict: _Judged | None = None
        self._told: dict[int, str] = {}
        self._track = 0
        self._until = self._judged_at = float("-inf")
        self._seen_at = float("-inf")

    def accept(self, event: Event) -> None:
        """Take an event of the door; never blocks for long."""
        with self._changed:
            if isinstance(event, AccessDecision):
                self._take(event)
            elif isinstance(event, LockMoved):
                self._set(lock="unlocked" if event.unlocked else "locked")
            elif isinstance(event, DoorState):
                self._set(contact=event.contact, alarms=event.alarms)

    def show(self, observation: Observation) -> None:
        """Take what was seen in one frame."""
        inside = [face for face in observation.faces if face.in_zone]
        with self._changed:
            if inside:
                self._seen_at = self._clock()
            for face in inside:
                if face.outcome and self._told.get(face.track) != f"{face.outcome} {face.reason}":
                    self._judged(face)
            self._told = {face.track: f"{face.outcome} {face.reason}" for face in inside}
            if any(face.track == self._track and face.outcome for face in inside):
                self._until = max(self._until, self._clock() + GONE_S)
            self._set(faces=len(inside), prompt=next((face.prompt for face in inside if face.prompt), ""))

    def state(self) -> Shown:
        """What is shown at this moment."""
        with self._changed:
            return self._current()

    def wait(self, known: Shown | None, timeout_s: float) -> Shown | None:
        """What is shown, as soon as it is something else than `known`; None after about `timeout_s` seconds."""
        with self._changed:
            self._changed.wait_for(lambda: self._current() != known, timeout_s)
            current = self._current()
        return current if current != known else None

    def _take(self, decision: AccessDecision) -> None:
        self._set(record=max(decision.record, self._shown.record))
        # A sum of several denials that were told at the time is no news.
        if decision.frames > 0 or decision.granted or decision.reason == "fault":
            self._judge(_Judged(decision.granted, decision.reason, decision.person))

    def _judged(self, face: FaceSeen) -> None:
        self._track = face.track
        self._judge(_Judged(face.outcome == "granted", face.reason, face.person))

    def _judge(self, verdict: _Judged) -> None:
        """Show a verdict. What comes a moment after a grant must not hide it."""
        now = self._clock()
        last = self._verdict if now < self._until else None
        if last is not None and last.granted and not verdict.granted and self._shown.lock == "unlocked":
            return
        same = last is not None and (last.granted, last.reason) == (verdict.granted, verdict.reason)
        if same and last is not None and not verdict.person and now - self._judged_at < SAME_S:
            verdict = last
        self._judged_at, self._until, self._verdict = now, now + VERDICT_S, verdict
        self._changed.notify_all()

    def _current(self) -> Shown:
        now, judged = self._clock(), self._verdict
        shown = self._shown
        if judged is not None and now < self._until:
            name = self._names().get(judged.person, "") if judged.person else ""
            shown = replace(shown, verdict=Verdict(judged.granted, judged.reason, name))
        if shown.faces and now - self._seen_at >= GONE_S:
            shown = replace(shown, faces=0, prompt="")
        return shown

    def _set(self, **changes: Any) -> None:
        shown = replace(self._shown, **changes)
        if shown != self._shown:
            self._shown = shown
            self._changed.notify_all()
