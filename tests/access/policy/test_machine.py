"""Whatever happens at the door: what must hold after each call, looked for by Hypothesis."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, replace

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from device.access.policy import (
    NEVER,
    REASONS,
    Decision,
    DoorFacts,
    FaceView,
    FrameFacts,
    GalleryFacts,
    Now,
    Observation,
    PersonRules,
    Rules,
    Schedule,
    State,
    close,
    decide,
    threshold,
)
from device.access.policy.decision import SUMMED
from device.datatypes import Liveness, Match
from tests.access.policy.scene import RULES, WALL

WEEKLY = Schedule.parse({"timezone": "Europe/Madrid", "windows": [{"days": ["wed"], "from": "10:00", "to": "14:00"}]})
PEOPLE = (
    PersonRules(),
    PersonRules(schedule=WEEKLY),
    PersonRules(schedule=NEVER),
    PersonRules(valid_from=WALL, valid_until=WALL + 3600),
    None,
)
QUICK = replace(
    RULES, attempt_timeout_s=2.0, unknown_frames=6, lockout_after=2, forgive_s=300.0, summary_s=5.0, digest_memory=4
)
ALL_RULES = (
    QUICK,
    replace(QUICK, several_people="ignore"),
    replace(QUICK, several_people="refuse", agreeing_frames=2),
    replace(QUICK, grant_while_open=True, without_clock="ignore"),
    replace(QUICK, liveness_required=False, window_s=0.5, max_contrary_frames=0),
)

similarities = st.sampled_from([-0.5, 0.1, 0.3, 0.36, 0.41, 0.45, 0.6, 0.6, 0.8, math.nan, math.inf])
matches = st.none() | st.builds(
    Match, st.sampled_from(["ana", "ana", "bo", ""]), similarities, st.sampled_from([-1.0, 0.1, 0.55]), st.just(3)
)
liveness = st.builds(
    Liveness, st.sampled_from(["live", "live", "live", "pending", "off", "spoof"]), st.just(0.5), st.just("passive")
)
any_face = st.builds(
    FaceView,
    track=st.integers(1, 3),
    in_zone=st.sampled_from([True, True, True, False]),
    area_px=st.sampled_from([100.0, 400.0, 900.0, math.nan]),
    quality=st.sampled_from([(), (), (), ("blurred",)]),
    match=matches,
    liveness=liveness,
    person=st.sampled_from(PEOPLE),
)
good_face = st.builds(
    FaceView,
    track=st.integers(1, 3),
    in_zone=st.just(True),
    area_px=st.sampled_from([100.0, 400.0]),
    quality=st.just(()),
    match=st.builds(Match, st.sampled_from(["ana", "bo"]), st.just(0.8), st.just(0.1), st.just(3)),
    liveness=st.just(Liveness("live", 0.9, "passive")),
    person=st.sampled_from(PEOPLE),
)


@dataclass
class Seen:
    """What this test itself noted of one good frame of one track, with no look into the policy's state."""

    moment: float
    fresh: bool
    face: FaceView
    call: int


class AtTheDoor(RuleBasedStateMachine):
    """Frames, ticks, jumps of the clock, restarts and changes of the rules, in any order."""

    @initialize(rules=st.sampled_from(ALL_RULES))
    def open_up(self, rules: Rules) -> None:
        self.rules, self.people, self.state = rules, 3, State()
        self.m, self.wall, self.trusted, self.boot = 100.0, WALL, True, 1
        self.index, self.captured, self.digests = 0, -math.inf, [""]
        self.door, self.fault = DoorFacts(), ""
        self.seen: dict[int, list[Seen]] = {}
        self.in_zone: dict[int, float] = {}
        self.calls, self.begun, self.locked_until = 0, 0, -math.inf
        self.decided: set[int] = set()
        self.attempts = self.summed = 0
        self.owed: Counter[str] = Counter()

    @property
    def now(self) -> Now:
        return Now(self.m, self.wall, self.trusted, f"boot-{self.boot}")

    @rule(faces=st.lists(any_face, max_size=3), step=st.sampled_from([0.0625, 0.125, 0.25, 0.75, 1.5, 20.0]))
    def see_anything(self, faces: list[FaceView], step: float) -> None:
        self.look(tuple(faces), step)

    @rule(
        shown=st.lists(good_face | any_face, min_size=1, max_size=2, unique_by=lambda face: face.track),
        frames=st.integers(2, 8),
    )
    def stand_still(self, shown: list[FaceView], frames: int) -> None:
        for _ in range(frames):
            self.look(tuple(shown), 0.125)

    @rule(
        shown=good_face,
        frames=st.integers(1, 4),
        age=st.sampled_from([-0.1, 0.0, 1.1, math.nan]),
        skip=st.sampled_from([-3, 1]),
        digest=st.sampled_from(["", "old", "new"]),
    )
    def see_an_odd_frame(self, shown: FaceView, frames: int, age: float, skip: int, digest: str) -> None:
        for _ in range(frames):
            text = {"": "", "old": self.digests[-1], "new": f"odd {self.calls}"}[digest]
            self.look((shown,), 0.125, age=age, skip=skip, digest=text)

    @rule(step=st.sampled_from([0.125, 0.9, 2.1, 40.0, 400.0]))
    def tick(self, step: float) -> None:
        self.look((), step, skip=0)

    @rule(by=st.sampled_from([-86_400.0, -3600.0, 3600.0, 7 * 86_400.0, -WALL]), trusted=st.booleans())
    def jump_the_wall_clock(self, by: float, trusted: bool) -> None:
        self.wall, self.trusted = max(0.0, self.wall + by), trusted

    @rule(shown=good_face)
    def run_time_backwards(self, shown: FaceView) -> None:
        before = self.m
        self.m -= 5
        self.look((shown,), 0.0)
        self.m = before

    @rule(rules=st.sampled_from(ALL_RULES), people=st.sampled_from([3, 3, 0, 60]))
    def change_the_rules(self, rules: Rules, people: int) -> None:
        self.rules, self.people = rules, people

    @rule(contact=st.sampled_from(["open", "closed", "absent", "absent"]))
    def touch_the_door(self, contact: str) -> None:
        self.door = DoorFacts(contact)  # type: ignore[arg-type]

    @rule(shown=good_face, fault=st.sampled_from(["", "no model"]), frames=st.integers(1, 3))
    def break_something_for_a_while(self, shown: FaceView, fault: str, frames: int) -> None:
        self.fault = fault
        self.door = DoorFacts(self.door.contact, tampered=not fault)
        self.stand_still([shown], frames)
        self.fault = ""
        self.door = DoorFacts(self.door.contact)

    @rule(
        similarity=st.sampled_from([0.48, 0.6]),
        state=st.sampled_from(["live", "live", "spoof"]),
        track=st.integers(1, 3),
    )
    def attack(self, similarity: float, state: str, track: int) -> None:
        """Somebody somewhat like ana, or a picture of her, for as long as it takes, and away."""
        shown = FaceView(
            track,
            True,
            900.0,
            (),
            Match("ana", similarity, 0.1, 3),
            Liveness(state, 0.5, "passive"),  # type: ignore[arg-type]
            PersonRules(),
        )
        self.look((), 1.1)
        self.stand_still([shown], 4)
        self.look((), 1.1)

    @rule(reboot=st.booleans(), wall_s=st.sampled_from([0.0, 10.0, -3600.0, 1e6]), trusted=st.booleans())
    def restart(self, reboot: bool, wall_s: float, trusted: bool) -> None:
        left = max(0.0, self.locked_until - self.m)
        written_well = self.state.persistent().get("clock_trusted", False)
        if reboot:
            self.boot, self.m = self.boot + 1, 20.0
            self.wall = max(0.0, self.wall + wall_s)
        self.trusted = trusted
        self.state = State.restore(self.state.persistent(), self.now)
        still = max(0.0, self.state.strikes.calm_s - self.m)
        good = trusted and self.wall >= 1_704_067_200.0
        if not (reboot and good and written_well):
            assert still >= left  # Nothing can shorten it but a clock that was good at the strike and is now.
        assert still <= 900.0
        self.forget()
        self.locked_until = self.m + still

    @rule()
    def stop_in_order(self) -> None:
        before = self.state
        self.state, decisions = close(self.state, self.now, self.rules)
        for decision in decisions:
            assert decision.ended in ("stopped", "summary")
            self.note(decision)
        assert sum(track.phase == "open" for track in before.tracks.values()) == sum(d.attempt > 0 for d in decisions)
        assert not self.owed
        self.seen.clear()

    def forget(self) -> None:
        self.seen, self.in_zone, self.captured, self.index = {}, {}, -math.inf, self.index + 1
        self.digests, self.decided, self.owed = [""], set(), Counter()

    def look(
        self, faces: tuple[FaceView, ...], step: float, *, age: float = 0.03, skip: int = 1, digest: str | None = None
    ) -> None:
        self.m += step
        self.wall += step
        self.calls += 1
        self.index += skip
        frame = FrameFacts(self.index, self.m - age, f"{self.calls}" if digest is None else digest)
        facts = GalleryFacts(self.people)
        observation = Observation(frame, faces, facts, self.door, self.fault)
        before = self.state
        self.state, decisions = decide(before, observation, self.now, self.rules)
        again = decide(before, observation, self.now, self.rules)
        assert again == (self.state, decisions) or repr(again) == repr((self.state, decisions))
        if skip != 0:
            self.remember(frame, faces, before)
        assert sum(decision.granted for decision in decisions) <= 1
        for decision in decisions:
            self.note(decision)
            if decision.granted:
                self.check_grant(decision, faces)

    def remember(self, frame: FrameFacts, faces: tuple[FaceView, ...], before: State) -> None:
        fresh = (
            self.m >= before.monotonic_s
            and (before.index is None or frame.index > before.index)
            and -0.05 <= self.m - frame.captured_monotonic_s <= 1.0
            and frame.captured_monotonic_s > self.captured
            and frame.digest not in ["", *self.digests[-4:]]
        )
        if fresh:
            self.captured = frame.captured_monotonic_s
            self.digests.append(frame.digest)
        for face in faces:
            if face.in_zone and self.m - self.in_zone.get(face.track, -math.inf) > 1.0:
                self.seen[face.track] = []
            if face.in_zone:
                self.in_zone[face.track] = self.m
                if not face.quality:
                    self.seen.setdefault(face.track, []).append(Seen(self.m, fresh, face, self.calls))

    def note(self, decision: Decision) -> None:
        assert decision.reason in REASONS
        assert decision.granted == (decision.reason == "recognised")
        if decision.attempt:
            assert decision.attempt not in self.decided, "one attempt, two decisions"
            self.decided.add(decision.attempt)
            self.owed[decision.reason] += 1
        if decision.summed:
            self.owed[decision.reason] -= decision.summed
            assert self.owed[decision.reason] == 0, "a record stands for all that had none"
            del self.owed[decision.reason]
        assert decision.summed or decision.reason in SUMMED
        if decision.strike:
            assert decision.reason in ("liveness", "near_miss")
            assert self.m >= self.locked_until
            self.locked_until = max(self.locked_until, self.m + decision.locked_s)
        elif (
            decision.reason not in ("fault", "tampered", "stopped") and self.m < self.locked_until and decision.attempt
        ):
            assert decision.reason == "locked_out"

    def check_grant(self, decision: Decision, faces: tuple[FaceView, ...]) -> None:
        """No grant without k live, agreeing, fresh, good frames of one track and person, the newest of this call."""
        votes = [seen for seen in self.seen[decision.track] if seen.fresh][-self.rules.window_frames :]
        limit = threshold(self.rules.thresholds, self.rules.target_fmr, max(1, self.people, 3)).cosine
        agreeing = [
            seen
            for seen in votes
            if seen.face.match is not None
            and seen.face.match.person == decision.person
            and seen.face.match.similarity >= limit
            and seen.face.match.similarity - seen.face.match.runner_up >= self.rules.runner_up_margin
            and (seen.face.liveness.state == "live" or not self.rules.liveness_required)
            and self.m - seen.moment <= self.rules.window_s
        ]
        assert len(agreeing) >= self.rules.agreeing_frames
        assert decision.frames <= len(agreeing)
        assert agreeing[-1].call == self.calls
        assert not any(seen.face.liveness.state == "spoof" for seen in agreeing)
        assert self.m >= self.locked_until
        assert not self.fault
        assert not self.door.tampered
        assert self.door.contact != "open" or self.rules.grant_while_open
        assert len({face.track for face in faces}) == len(faces)
        rules = agreeing[-1].face.person
        assert rules is not None
        assert rules.schedule.kind != "never"
        in_zone = [face for face in faces if face.in_zone]
        if self.rules.several_people == "refuse":
            assert len(in_zone) == 1
        if rules.valid_from is not None and self.rules.without_clock == "deny":
            assert self.trusted
            assert rules.valid_from <= self.wall < (rules.valid_until or math.inf)

    @invariant()
    def lockouts_only_grow(self) -> None:
        if hasattr(self, "state"):
            assert self.state.strikes.calm_s == self.locked_until or self.m >= self.locked_until
            assert max(0.0, self.state.strikes.calm_s - self.m) <= 900.0

    @invariant()
    def every_attempt_is_running_or_decided(self) -> None:
        if hasattr(self, "state"):
            running = {track.attempt for track in self.state.tracks.values() if track.phase == "open"}
            assert not running & self.decided
            assert running | self.decided == set(range(1, self.state.attempts + 1))


TestAtTheDoor = AtTheDoor.TestCase
TestAtTheDoor.settings = settings(
    max_examples=120, stateful_step_count=40, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
