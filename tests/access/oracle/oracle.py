"""A second reading of docs/access-policy.md: slow, plain, and written from that page alone.

It shares no code with `device.access.policy`. Where the policy keeps counts, this keeps what was seen (every look of
every track, since when it belongs to an attempt, since when it is evidence) and counts anew whenever it is asked.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from device.access.policy import FaceView, Now, Observation, Rules
from tests.access.oracle.looks import Look, Track, area, threshold
from tests.access.oracle.strikes import Strikes, trusted
from tests.access.oracle.weekly import open_at

TABLE = (
    *("recognised", "fault", "tampered", "locked_out", "liveness", "identity_changed", "not_yet_valid", "expired"),
    *("clock", "schedule", "several_people", "door_open", "stale", "unknown", "near_miss", "ambiguous", "unsteady"),
    "stopped",
)
FINAL = {"recognised", "liveness", "identity_changed", "not_yet_valid", "expired", "schedule", "unknown"}
SUMMED = {"fault", "stale", "unknown"}

Answer = dict[str, Any]
"""A decision's fields."""


class Oracle:
    """A process of the door unit."""

    def __init__(self, record: Mapping[str, Any] | None, now: Now, schedules: Mapping[int, Any]) -> None:
        """`schedules` gives the data of each schedule of a person, by the object's id()."""
        self.schedules = schedules
        self.m: float | None = None
        self.index: int | None = None
        self.captured_s: float | None = None
        self.digests: list[str] = []
        self.attempts = 0
        self.tracks: dict[int, Track] = {}
        self.sums: dict[str, list[float]] = {}
        self.last: tuple[Rules, int] | None = None
        self.strikes = Strikes(record, now)

    def step_0(self, now: Now, rules: Rules, people: int) -> bool:
        """The time and changed rules; whether the clock ran back."""
        ran_back = not math.isfinite(now.monotonic_s) or (self.m is not None and now.monotonic_s < self.m)
        if not ran_back:
            self.m = now.monotonic_s
        elif self.m is None:
            self.m = 0.0
        if self.last is not None and self.last != (rules, people):
            for track in self.tracks.values():
                if track.phase != "granted":
                    track.drop_evidence()
        self.last = (rules, people)
        self.now, self.rules, self.people = now, rules, people
        return ran_back

    def decide(self, seen: Observation, now: Now, rules: Rules) -> list[Answer]:
        """The decisions of one call."""
        ran_back = self.step_0(now, rules, seen.gallery.people)
        tick = self.index is not None and seen.frame.index == self.index
        faces = () if tick else seen.faces
        faults = [seen.fault, seen.gallery.fault]
        if len({face.track for face in faces}) < len(faces):
            faults.append("two faces on one track")
        if ran_back:
            faults.append("the monotonic clock ran back")
        self.fault = "; ".join(text for text in faults if text)
        self.tampered = seen.door.tampered
        fresh = not tick and not ran_back and self.is_fresh(seen)
        if not tick:
            self.index = seen.frame.index
        if fresh:
            self.captured_s = seen.frame.captured_monotonic_s
            if seen.frame.digest:
                self.digests = [*self.digests, seen.frame.digest][-rules.digest_memory :]

        answers = self.who_left()
        for track in self.tracks.values():
            if track.phase == "pausing" and self.m >= track.again_s:
                track.start_anew()
        inside = [face for face in faces if face.in_zone]
        voted = self.looks(inside, fresh)
        answers += self.judge(inside, voted, seen.door.contact == "open")
        return answers + self.summaries(closing=False)

    def is_fresh(self, seen: Observation) -> bool:
        """Step 1, without the tick and the clock."""
        frame = seen.frame
        age = self.m - frame.captured_monotonic_s
        return (
            (self.index is None or frame.index > self.index)
            and -self.rules.max_frame_ahead_s <= age <= self.rules.max_frame_age_s
            and (self.captured_s is None or frame.captured_monotonic_s > self.captured_s)
            and (not seen.faces or (frame.digest != "" and frame.digest not in self.digests))
        )

    def who_left(self) -> list[Answer]:
        """Step 2."""
        answers = []
        for number in sorted(self.tracks):
            track = self.tracks[number]
            if self.m - track.seen_s > self.rules.track_gone_s:
                if track.phase == "open":
                    answers.append(self.end(track, self.first_rules(track) or self.by_what_was_seen(track), "left"))
                del self.tracks[number]
        return answers

    def looks(self, inside: list[FaceView], fresh: bool) -> set[int]:
        """Step 4: who cast a vote."""
        voted = set()
        for face in inside:
            track = self.tracks.setdefault(face.track, Track(face.track))
            track.seen_s = self.m
            if track.phase not in ("watching", "open") or face.quality:
                continue
            track.looks.append(self.look(face, fresh))
            if fresh:
                voted.add(face.track)
            if track.phase == "watching" and len(track.good()) >= self.rules.agreeing_frames:
                self.attempts += 1
                track.phase, track.attempt, track.opened_s = "open", self.attempts, self.m
        return voted

    def look(self, face: FaceView, fresh: bool) -> Look:
        """A good face; with a vote where the frame is fresh."""
        if not fresh:
            return Look(self.m, face)
        match, rules = face.match, self.rules
        gallery = max(0, self.people, match.gallery if match else 0)
        limit = threshold(rules.thresholds, rules.target_fmr, max(1, gallery))
        state = face.liveness.state
        live = state == "live" or (not rules.liveness_required and state != "spoof")
        look = Look(self.m, face, True, gallery, limit, live=live)
        if match is None or match.person == "" or not math.isfinite(match.similarity):
            return look
        similarity = match.similarity
        if not -1.001 <= similarity <= 1.001:
            return look
        look.counts = True
        look.supports = similarity >= rules.thresholds[0][1]
        if similarity >= limit[0] and similarity - match.runner_up >= rules.runner_up_margin:
            look.closeness = "accept"
        elif similarity >= limit[0]:
            look.closeness = "ambiguous"
        elif similarity >= limit[0] - rules.near_margin:
            look.closeness = "near"
        return look

    # Step 5

    def judge(self, inside: list[FaceView], voted: set[int], door_open: bool) -> list[Answer]:
        """The attempts that end by what is seen now."""
        here = [face for face in inside if self.tracks[face.track].phase != "granted"]
        candidate = min(here, key=lambda face: (-area(face), face.track)).track if here else None
        face_of = {face.track: face for face in inside}
        evidence: dict[int, tuple[str, int]] = {}
        for number in voted:
            track = self.tracks[number]
            found = self.evidence(track) if track.phase in ("open", "watching") else None
            if found is None:
                continue
            evidence[number] = found
            person = found[0]
            if self.personal(face_of[number])[0] == "" and not track.changed(person, self.rules):
                track.proven = (person, self.m)
        answers = []
        for number in sorted(self.tracks, key=lambda number: (number == candidate, number)):
            track = self.tracks[number]
            if track.phase == "open":
                ended = self.ending(track, evidence.get(number), face_of.get(number), number == candidate, door_open)
                if ended is not None:
                    answers.append(self.end(track, *ended))
        return answers

    def evidence(self, track: Track) -> tuple[str, int] | None:
        """The person the track is shown to be, and by how many votes."""
        votes = track.votes()[-self.rules.window_frames :]
        newest = votes[-1]
        if newest.closeness != "accept" or not newest.live:
            return None
        person = newest.face.match.person
        agreeing = [
            vote
            for vote in votes
            if self.m - vote.time <= self.rules.window_s
            and vote.closeness == "accept"
            and vote.live
            and vote.face.match.person == person
        ]
        return (person, len(agreeing)) if len(agreeing) >= self.rules.agreeing_frames else None

    def first_rules(self, track: Track) -> tuple[str, str] | None:
        """A to D."""
        if self.fault:
            return "fault", self.fault
        if self.tampered:
            return "tampered", ""
        if self.m < self.strikes.calm():
            return "locked_out", ""
        if track.spoofed():
            return "liveness", ""
        return None

    def ending(
        self, track: Track, evidence: tuple[str, int] | None, face: FaceView | None, candidate: bool, door_open: bool
    ) -> tuple[tuple[str, str], str, tuple[str, int] | None] | None:
        """The first rule that holds: (reason, detail), `ended`, and the evidence where it ended by that."""
        first = self.first_rules(track)
        if first:
            return first, "evidence", None
        if evidence is not None:
            if track.changed(evidence[0], self.rules):
                return ("identity_changed", ""), "evidence", evidence
            personal = self.personal(face)
            if personal[0]:
                return personal, "evidence", evidence
            if not candidate or self.in_the_way(track, evidence[0]):
                track.held = "several_people"
            elif door_open and not self.rules.grant_while_open:
                track.held = "door_open"
            else:
                return ("recognised", ""), "evidence", evidence
        if len(track.votes()) >= self.rules.unknown_frames and not track.near():
            return ("unknown", ""), "evidence", None
        if self.m - track.opened_s >= self.rules.attempt_timeout_s:
            return self.by_what_was_seen(track), "timeout", None
        return None

    def in_the_way(self, track: Track, person: str) -> bool:
        """F3."""
        if self.rules.several_people == "ignore":
            return False
        near_s = self.rules.companion_s
        others = [other for other in self.tracks.values() if other is not track and self.m - other.seen_s <= near_s]
        if self.rules.several_people == "refuse":
            return bool(others)
        for other in others:
            fine = False
            if other.phase == "granted":
                fine = other.proven[0] != person
            elif other.phase == "open" and other.proven is not None:
                fine = self.m - other.proven[1] <= near_s and other.proven[0] != person
            if not fine:
                return True
        return False

    def by_what_was_seen(self, track: Track) -> tuple[str, str]:
        """The reason of an attempt that no rule ended."""
        k = self.rules.agreeing_frames
        if len(track.votes()) < k:
            return "stale", ""
        claimed = track.claimed()
        if claimed is None or track.tally(claimed)["near"] < k:
            return "unknown", ""
        for count, reason in (("strong", "near_miss"), ("accepted", "ambiguous"), ("live", "liveness")):
            if track.tally(claimed)[count] < k:
                return reason, ""
        if track.changed(claimed, self.rules):
            return "identity_changed", ""
        return track.held or "unsteady", ""

    def personal(self, face: FaceView) -> tuple[str, str]:
        """Personal rules: the reason, empty where there is none, and its detail."""
        rules, now = face.person, self.now
        if rules is None:
            return "fault", "no rules for the person"
        data = self.schedules[id(rules.schedule)]
        if data == "never":
            return "schedule", ""
        timed = rules.valid_from is not None or rules.valid_until is not None or data != "always"
        if timed and not trusted(now):
            return ("clock" if self.rules.without_clock == "deny" else ""), ""
        if rules.valid_from is not None and not now.wall_s >= rules.valid_from:
            return "not_yet_valid", ""
        if rules.valid_until is not None and not now.wall_s < rules.valid_until:
            return "expired", ""
        return ("" if data == "always" or open_at(data, now.wall_s) else "schedule"), ""

    # Steps 6 and 7, and the numbers

    def end(self, track: Track, why: tuple[str, str], ended: str, evidence: tuple[str, int] | None = None) -> Answer:
        """The decision, and what becomes of the track."""
        reason, detail = why
        near = bool(track.near())
        strike = reason == "near_miss" or (reason == "liveness" and near and ended != "left")
        if strike:
            self.strikes.add(self.now, self.m, self.rules)
        vote = track.votes()[-1] if evidence else track.best()
        claimed = track.claimed()
        person = ""
        if evidence:
            person = evidence[0]
        elif reason != "stopped" and claimed is not None:
            person = claimed if track.tally(claimed)["accepted"] >= self.rules.agreeing_frames else ""
        liveness = track.good()[-1].face.liveness
        answer = self.answer(reason, ended, vote, strike)
        answer |= {
            "attempt": track.attempt,
            "track": track.number,
            "granted": reason == "recognised",
            "person": person,
            "liveness": None if liveness.state == "off" else liveness.score,
            "check": liveness.check,
            "frames": evidence[1] if evidence else len(track.good()),
            "summed": self.summed(reason),
            "detail": detail,
        }
        if reason == "recognised":
            track.phase = "granted"
            track.proven = (person, self.m)
        elif reason in FINAL:
            track.phase = "spent"
        else:
            track.phase, track.again_s = "pausing", self.m + self.rules.retry_pause_s
            if reason == "locked_out":
                track.again_s = max(track.again_s, self.strikes.calm())
        return answer

    def answer(self, reason: str, ended: str, vote: Look | None, strike: bool = False) -> Answer:
        """A summary's fields, with those of a vote where there is one."""
        gallery = vote.gallery if vote else max(0, self.people)
        rules = self.rules
        limit = vote.threshold if vote else threshold(rules.thresholds, rules.target_fmr, max(1, gallery))
        return {
            "attempt": 0,
            "track": 0,
            "granted": False,
            "reason": reason,
            "ended": ended,
            "person": "",
            "similarity": vote.face.match.similarity if vote else None,
            "runner_up": vote.face.match.runner_up if vote else None,
            "threshold": limit[0],
            "fmr": limit[1],
            "measured": limit[2],
            "liveness": None,
            "check": "",
            "frames": 0,
            "gallery": gallery,
            "strike": strike,
            "strikes": self.strikes.held["strikes"],
            "locked_s": max(0.0, self.strikes.calm() - self.m),
            "summed": 1,
            "detail": "",
            "version": 1,
        }

    def summed(self, reason: str) -> int:
        """How many attempts the record of this decision stands for. `sums[reason]` is [start, pending]."""
        if reason not in SUMMED:
            return 1
        period = self.sums.get(reason)
        if period is None or self.m - period[0] >= self.rules.summary_s:
            self.sums[reason] = [self.m, 0]
            return 1 + (period[1] if period else 0)
        period[1] += 1
        return 0

    def summaries(self, closing: bool) -> list[Answer]:
        """The end of step 7, and of closing."""
        answers = []
        for reason in TABLE:
            period = self.sums.get(reason)
            if period is None or not (closing or self.m - period[0] >= self.rules.summary_s):
                continue
            if period[1] > 0:
                answers.append(self.answer(reason, "summary", None) | {"summed": period[1]})
                self.sums[reason] = [self.m, 0]
            else:
                del self.sums[reason]
        return answers

    def close(self, now: Now, rules: Rules) -> list[Answer]:
        """The end of the process."""
        self.step_0(now, rules, self.last[1] if self.last else 0)
        open_tracks = [self.tracks[number] for number in sorted(self.tracks) if self.tracks[number].phase == "open"]
        answers = [self.end(track, ("stopped", ""), "stopped") for track in open_tracks]
        answers += self.summaries(closing=True)
        self.tracks, self.sums = {}, {}
        return answers
