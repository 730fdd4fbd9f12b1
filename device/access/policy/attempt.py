"""One track's evidence: what its frames say, and of whom. docs/access-policy.md, steps 4 and 5."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

from device.access.policy.decision import Reason
from device.access.policy.observation import FaceView
from device.access.policy.rules import Rules
from device.access.policy.state import Closeness, Tally, TrackState, Vote
from device.access.policy.thresholds import threshold
from device.datatypes import Match

SIMILARITY_BOUND = 1.001
"""A cosine beyond it is no rounding error but nonsense."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """The newest vote recognises a live person, and so many votes within the window agree."""

    vote: Vote
    person: str
    frames: int


def look(track: TrackState, face: FaceView, monotonic_s: float, fresh: bool, people: int, rules: Rules) -> TrackState:
    """The track after one more good frame; only a fresh one casts a vote."""
    liveness = face.liveness
    track = replace(
        track,
        good=track.good + 1,
        spoofed=track.spoofed or liveness.state == "spoof",
        liveness=None if liveness.state == "off" else liveness.score,
        check=liveness.check,
    )
    return _count(track, _vote(face, monotonic_s, people, rules), rules) if fresh else track


def find_evidence(track: TrackState, monotonic_s: float, rules: Rules) -> Evidence | None:
    """The evidence of a track that cast a vote at `monotonic_s`, None where it does not suffice."""
    newest = track.votes[-1]
    if not _recognises(newest) or newest.match is None:
        return None
    person = newest.match.person
    recent = [vote for vote in track.votes if monotonic_s - vote.monotonic_s <= rules.window_s]
    frames = sum(1 for vote in recent if _recognises(vote) and vote.match and vote.match.person == person)
    return Evidence(newest, person, frames) if frames >= rules.agreeing_frames else None


def has_changed(track: TrackState, person: str, rules: Rules) -> bool:
    """Whether the track has shown somebody else than `person`, too."""
    if track.looks - track.supporting.get(person, 0) > rules.max_contrary_frames:
        return True
    return any(tally.accepted >= 1 for other, tally in track.tallies.items() if other != person)


def claimed(track: TrackState) -> tuple[str, Tally]:
    """Whom the attempt's votes name most often, and how often; an empty name where they name nobody."""
    return min(
        track.tallies.items(),
        key=lambda item: (-item[1].near, -item[1].accepted, item[0]),
        default=("", Tally()),
    )


def named(track: TrackState, rules: Rules) -> str:
    """The claimed person, where enough frames accept them; else empty."""
    person, tally = claimed(track)
    return person if tally.accepted >= rules.agreeing_frames else ""


def without_evidence(track: TrackState) -> TrackState:
    """The track once other rules or another gallery hold: where it was, but only a grant stays proven."""
    if track.phase == "granted":
        return track
    return replace(track, votes=(), fresh=0, tallies={}, best=None, held=None, proven_s=-math.inf)


def is_near_nobody(track: TrackState) -> bool:
    """Whether no vote of the attempt came near anybody."""
    return not track.tallies


def seen_reason(track: TrackState, rules: Rules) -> Reason:
    """Why an attempt whose time is up, or whose track has left, is denied."""
    k = rules.agreeing_frames
    if track.fresh < k:
        return "stale"
    person, tally = claimed(track)
    if tally.near < k:
        return "unknown"
    if tally.strong < k:
        return "near_miss"
    if tally.accepted < k:
        return "ambiguous"
    if tally.live < k:
        return "liveness"
    if has_changed(track, person, rules):
        return "identity_changed"
    return track.held or "unsteady"


def _vote(face: FaceView, monotonic_s: float, people: int, rules: Rules) -> Vote:
    gallery = max(0, people, face.match.gallery if face.match else 0)
    limit = threshold(rules.thresholds, rules.target_fmr, max(1, gallery))
    match = face.match if face.match and _counts(face.match) else None
    state = face.liveness.state
    live = state == "live" or (not rules.liveness_required and state != "spoof")
    return Vote(monotonic_s, _judge(match, limit.cosine, rules), match, live, gallery)


def _counts(match: Match) -> bool:
    sane = math.isfinite(match.similarity) and abs(match.similarity) <= SIMILARITY_BOUND
    return sane and match.person != ""


def _judge(match: Match | None, cosine: float, rules: Rules) -> Closeness:
    if match is None:
        return "unknown"
    if match.similarity >= cosine:
        ahead = match.similarity - match.runner_up >= rules.runner_up_margin
        return "accept" if ahead else "ambiguous"
    return "near" if match.similarity >= cosine - rules.near_margin else "unknown"


def _recognises(vote: Vote) -> bool:
    return vote.closeness == "accept" and vote.live


def _count(track: TrackState, vote: Vote, rules: Rules) -> TrackState:
    return replace(
        track,
        votes=(*track.votes, vote)[-rules.window_frames :],
        fresh=track.fresh + 1,
        looks=track.looks + 1,
        supporting=_support(track.supporting, vote, rules),
        tallies=_tally(track.tallies, vote),
        best=_better(track.best, vote),
    )


def _support(supporting: Mapping[str, int], vote: Vote, rules: Rules) -> Mapping[str, int]:
    match = vote.match
    if match is None or not match.similarity >= rules.thresholds[0][1]:
        return supporting
    return {**supporting, match.person: supporting.get(match.person, 0) + 1}


def _tally(tallies: Mapping[str, Tally], vote: Vote) -> Mapping[str, Tally]:
    if vote.match is None or vote.closeness == "unknown":
        return tallies
    old = tallies.get(vote.match.person, Tally())
    strong = vote.closeness in ("accept", "ambiguous")
    accepted = vote.closeness == "accept"
    new = Tally(old.near + 1, old.strong + strong, old.accepted + accepted, old.live + (accepted and vote.live))
    return {**tallies, vote.match.person: new}


def _better(best: Vote | None, vote: Vote) -> Vote | None:
    if vote.match is None:
        return best
    if best is None or best.match is None or vote.match.similarity > best.match.similarity:
        return vote
    return best
