"""The policy's two entrances: `decide`, for each look of the camera, and `close`, at the end of the process."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Literal, TypedDict

from device.access.policy import attempt, summing
from device.access.policy.attempt import Evidence
from device.access.policy.decision import FINAL, Decision, Ended, Reason
from device.access.policy.lockout import Strikes
from device.access.policy.observation import FaceView, FrameFacts, Now, Observation
from device.access.policy.permission import refusal
from device.access.policy.rules import Rules
from device.access.policy.state import State, Sum, TrackState, Vote
from device.access.policy.thresholds import threshold

NO_PERSON_RULES = "no rules for the person"


def decide(state: State, observation: Observation, now: Now, rules: Rules) -> tuple[State, tuple[Decision, ...]]:
    """The state after one look, and how the attempts ended that ended by it. Specified in docs/access-policy.md.

    Args:
        state: of the last call; `State()` or `State.restore(…)` at first. It is left as it is.
        observation: the look; the last frame again where there is no new one, so that time goes on.
        now: read just before the call.
        rules: may differ from the last call's.
    Returns:
        The new state, and the decisions in order: of those who left, of those who are there, summaries. None raises.
    """
    turn = _Turn(state, now, rules, observation.gallery.people)
    turn.find_fault(observation)
    kind = turn.take_frame(observation)
    turn.depart(observation.door.tampered)
    turn.revive()
    faces = () if kind == "tick" else tuple(face for face in observation.faces if face.in_zone)
    if faces or turn.tracks:
        turn.judge(observation, faces, turn.look(faces, kind == "fresh"))
    turn.summarise()
    return turn.result()


def close(state: State, now: Now, rules: Rules) -> tuple[State, tuple[Decision, ...]]:
    """End every attempt as `stopped`, and give the records that were still to be made."""
    turn = _Turn(state, now, rules, state.people)
    for track in turn.open_tracks():
        turn.end(track, "stopped", "stopped")
    turn.tracks.clear()
    for reason, pending in summing.flush_all(turn.sums):
        turn.add_summary(reason, pending)
    return turn.result()


@dataclass(frozen=True, slots=True)
class _Shown:
    """A track that cast a vote in this call: its evidence, and what its person's rules say."""

    evidence: Evidence
    changed: bool
    refused: Reason | None


class _Turn:
    """One call: a working copy of the state, taken through the specification's steps."""

    def __init__(self, state: State, now: Now, rules: Rules, people: int) -> None:
        self.now, self.rules, self.people = now, rules, people
        self.index, self.captured_s, self.digests = state.index, state.captured_s, state.digests
        self.tracks: dict[int, TrackState] = dict(state.tracks)
        self.sums: dict[Reason, Sum] = dict(state.sums)
        self.strikes: Strikes = state.strikes
        self.attempts = state.attempts
        self.decisions: list[Decision] = []
        self.faults: list[str] = []
        self.ran_back = not (math.isfinite(now.monotonic_s) and now.monotonic_s >= state.monotonic_s)
        self.m = now.monotonic_s
        if self.ran_back:
            self.m = state.monotonic_s if math.isfinite(state.monotonic_s) else 0.0
        if state.rules is not None and (people != state.people or rules != state.rules):
            self.tracks = {number: attempt.without_evidence(track) for number, track in self.tracks.items()}

    def find_fault(self, observation: Observation) -> None:
        """Step 0."""
        tick = observation.frame.index == self.index
        numbers = [face.track for face in observation.faces]
        self.faults += [text for text in (observation.fault, observation.gallery.fault) if text]
        if not tick and len(set(numbers)) < len(numbers):
            self.faults.append("two faces on one track")
        if self.ran_back:
            self.faults.append("the monotonic clock ran back")

    def take_frame(self, observation: Observation) -> Literal["tick", "fresh", "stale"]:
        """Step 1."""
        frame = observation.frame
        if frame.index == self.index:
            return "tick"
        fresh = self._is_fresh(frame, bool(observation.faces))
        self.index = frame.index
        if not fresh:
            return "stale"
        self.captured_s = frame.captured_monotonic_s
        if frame.digest:
            self.digests = (*self.digests, frame.digest)[-self.rules.digest_memory :]
        return "fresh"

    def _is_fresh(self, frame: FrameFacts, has_faces: bool) -> bool:
        if self.ran_back or (self.index is not None and frame.index < self.index):
            return False
        age_s = self.m - frame.captured_monotonic_s
        if not -self.rules.max_frame_ahead_s <= age_s <= self.rules.max_frame_age_s:
            return False
        if frame.captured_monotonic_s <= self.captured_s:
            return False
        return not has_faces or (frame.digest != "" and frame.digest not in self.digests)

    def depart(self, tampered: bool) -> None:
        """Step 2."""
        for track in sorted(self.tracks.values(), key=lambda track: track.track):
            if self.m - track.seen_s > self.rules.track_gone_s:
                if track.phase == "open":
                    self._end_unproven(track, "left", tampered)
                del self.tracks[track.track]

    def revive(self) -> None:
        """Step 3."""
        for track in tuple(self.tracks.values()):
            if track.phase == "pausing" and self.m >= track.again_s:
                self.tracks[track.track] = TrackState(
                    track.track, track.seen_s, looks=track.looks, supporting=track.supporting
                )

    def look(self, faces: tuple[FaceView, ...], fresh: bool) -> dict[int, _Shown | None]:
        """Steps 4 and 5: take the frame in, and return what the tracks that cast a vote have to show."""
        voters: dict[int, FaceView] = {}
        for face in faces:
            track = self.tracks.get(face.track) or TrackState(face.track, self.m)
            track = replace(track, seen_s=self.m)
            if track.phase in ("watching", "open") and not face.quality:
                track = attempt.look(track, face, self.m, fresh, self.people, self.rules)
                if fresh:
                    voters[face.track] = face
                if track.phase == "watching" and track.good >= self.rules.agreeing_frames:
                    self.attempts += 1
                    track = replace(track, phase="open", attempt=self.attempts, opened_s=self.m)
            self.tracks[face.track] = track
        return {number: self._show(number, face) for number, face in voters.items()}

    def _show(self, number: int, face: FaceView) -> _Shown | None:
        track = self.tracks[number]
        evidence = attempt.find_evidence(track, self.m, self.rules)
        if evidence is None:
            return None
        changed = attempt.has_changed(track, evidence.person, self.rules)
        refused = refusal(face.person, self.now, self.rules)
        if not changed and refused is None:
            self.tracks[number] = replace(track, proven=evidence.person, proven_s=self.m)
        return _Shown(evidence, changed, refused)

    def open_tracks(self, last: int | None = None) -> list[TrackState]:
        """Those whose attempt runs, by number, but `last` at the end."""
        running = [track for track in self.tracks.values() if track.phase == "open"]
        return sorted(running, key=lambda track: (track.track == last, track.track))

    def judge(self, observation: Observation, faces: tuple[FaceView, ...], shown: dict[int, _Shown | None]) -> None:
        """Step 5."""
        candidate = self._find_candidate(faces)
        for track in self.open_tracks(candidate):
            if self._end_by_trouble(track, "evidence", observation.door.tampered):
                continue
            proof = shown.get(track.track)
            if proof is None:
                self._end_in_time(track)
            elif proof.changed:
                self.end(track, "identity_changed", "evidence", proof.evidence)
            elif proof.refused is not None:
                self.end(track, proof.refused, "evidence", proof.evidence)
            else:
                self._admit(track, proof.evidence, track.track == candidate, observation)

    def _find_candidate(self, faces: tuple[FaceView, ...]) -> int | None:
        waiting = [face for face in faces if self.tracks[face.track].phase != "granted"]
        return min(waiting, key=lambda face: (-_area(face), face.track)).track if waiting else None

    def _admit(self, track: TrackState, evidence: Evidence, is_candidate: bool, observation: Observation) -> None:
        held: Reason | None = None
        if not is_candidate or self._others_in_the_way(track.track, evidence.person):
            held = "several_people"
        elif observation.door.contact == "open" and not self.rules.grant_while_open:
            held = "door_open"
        if held is None:
            self.end(track, "recognised", "evidence", evidence)
        else:
            self._end_in_time(replace(track, held=held))

    def _others_in_the_way(self, number: int, person: str) -> bool:
        if self.rules.several_people == "ignore":
            return False
        others = (
            track
            for track in self.tracks.values()
            if track.track != number and self.m - track.seen_s <= self.rules.companion_s
        )
        if self.rules.several_people == "refuse":
            return any(True for _ in others)
        return not all(self._is_recognised(other) and other.proven != person for other in others)

    def _is_recognised(self, other: TrackState) -> bool:
        if other.phase == "granted":
            return True
        return other.phase == "open" and self.m - other.proven_s <= self.rules.companion_s

    def _end_by_trouble(self, track: TrackState, ended: Ended, tampered: bool) -> bool:
        """Rules A to D."""
        if self.faults:
            self.end(track, "fault", ended, detail="; ".join(self.faults))
        elif tampered:
            self.end(track, "tampered", ended)
        elif self.m < self.strikes.calm_s:
            self.end(track, "locked_out", ended)
        elif track.spoofed:
            self.end(track, "liveness", ended)
        else:
            return False
        return True

    def _end_in_time(self, track: TrackState) -> None:
        """Rules H and I."""
        if track.fresh >= self.rules.unknown_frames and attempt.is_near_nobody(track):
            self.end(track, "unknown", "evidence")
        elif self.m - track.opened_s >= self.rules.attempt_timeout_s:
            self.end(track, attempt.seen_reason(track, self.rules), "timeout")
        else:
            self.tracks[track.track] = track

    def _end_unproven(self, track: TrackState, ended: Ended, tampered: bool) -> None:
        if not self._end_by_trouble(track, ended, tampered):
            self.end(track, attempt.seen_reason(track, self.rules), ended)

    def end(
        self, track: TrackState, reason: Reason, ended: Ended, evidence: Evidence | None = None, detail: str = ""
    ) -> None:
        """Step 6: the attempt's one decision, and what becomes of its track."""
        strike = _is_strike(track, reason, ended)
        if strike:
            self.strikes = self.strikes.add(self.now, self.m, self.rules)
        if reason == "fault" and evidence is not None:
            detail = NO_PERSON_RULES
        self.decisions.append(self._decision(track, reason, ended, evidence, strike, detail))
        again_s = self.m + self.rules.retry_pause_s
        if reason == "locked_out":
            again_s = max(again_s, self.strikes.calm_s)
        if reason == "recognised":
            self.tracks[track.track] = replace(track, phase="granted")
        elif reason in FINAL:
            self.tracks[track.track] = replace(track, phase="spent")
        else:
            self.tracks[track.track] = replace(track, phase="pausing", again_s=again_s)

    def _decision(
        self, track: TrackState, reason: Reason, ended: Ended, evidence: Evidence | None, strike: bool, detail: str
    ) -> Decision:
        if evidence is not None:
            person, frames = evidence.person, evidence.frames
        else:
            person = "" if reason == "stopped" else attempt.named(track, self.rules)
            frames = track.good
        return Decision(
            attempt=track.attempt,
            track=track.track,
            granted=reason == "recognised",
            reason=reason,
            ended=ended,
            person=person,
            frames=frames,
            liveness=track.liveness,
            check=track.check,
            strike=strike,
            summed=summing.count(self.sums, reason, self.m, self.rules),
            detail=detail,
            **self._numbers(evidence.vote if evidence else track.best),
        )

    def _numbers(self, vote: Vote | None) -> _Numbers:
        gallery = max(0, self.people) if vote is None else vote.gallery
        limit = threshold(self.rules.thresholds, self.rules.target_fmr, max(1, gallery))
        match = vote.match if vote else None
        return {
            "similarity": match.similarity if match else None,
            "runner_up": match.runner_up if match else None,
            "threshold": limit.cosine,
            "fmr": limit.fmr,
            "measured": limit.measured,
            "gallery": gallery,
            "strikes": self.strikes.count,
            "locked_s": max(0.0, self.strikes.calm_s - self.m),
        }

    def summarise(self) -> None:
        """The end of step 7."""
        for reason, pending in summing.flush(self.sums, self.m, self.rules):
            self.add_summary(reason, pending)

    def add_summary(self, reason: Reason, pending: int) -> None:
        """A record of those that were not recorded one by one."""
        self.decisions.append(
            Decision(
                attempt=0,
                track=0,
                granted=False,
                reason=reason,
                ended="summary",
                person="",
                frames=0,
                liveness=None,
                check="",
                strike=False,
                summed=pending,
                **self._numbers(None),
            )
        )

    def result(self) -> tuple[State, tuple[Decision, ...]]:
        """What the call returns."""
        state = State(
            monotonic_s=self.m,
            index=self.index,
            captured_s=self.captured_s,
            digests=self.digests,
            attempts=self.attempts,
            tracks=self.tracks,
            sums=self.sums,
            strikes=self.strikes,
            rules=self.rules,
            people=self.people,
        )
        return state, tuple(self.decisions)


class _Numbers(TypedDict):
    similarity: float | None
    runner_up: float | None
    threshold: float
    fmr: float
    measured: bool
    gallery: int
    strikes: int
    locked_s: float


def _area(face: FaceView) -> float:
    return face.area_px if math.isfinite(face.area_px) and face.area_px > 0 else 0.0


def _is_strike(track: TrackState, reason: Reason, ended: Ended) -> bool:
    if reason == "near_miss":
        return True
    return reason == "liveness" and ended != "left" and not attempt.is_near_nobody(track)
