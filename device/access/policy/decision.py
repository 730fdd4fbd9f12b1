"""What the policy answers: decisions and their reasons."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from device.datatypes import ACCESS_REASONS, AccessReason

VERSION = 1
"""Of the rules that docs/access-policy.md lays down; it is part of each decision."""

Reason = AccessReason
REASONS = ACCESS_REASONS

SUMMED: frozenset[Reason] = frozenset({"unknown", "fault", "stale"})
"""Denials that say nothing of a person: their records are summed."""

FINAL: frozenset[Reason] = frozenset(
    {"recognised", "liveness", "identity_changed", "not_yet_valid", "expired", "schedule", "unknown"}
)
"""After these the track can't try again before it has left."""

Ended = Literal["evidence", "timeout", "left", "stopped", "summary"]
"""Why an attempt ended just now: it was clear, time was up, the track left, the process stops. `summary`: no attempt,
but the record of those that were not recorded one by one."""


@dataclass(frozen=True, slots=True)
class Decision:
    """How one attempt ended. Each attempt has exactly one.

    `attempt` numbers the attempts of this process from 1 on (0: a summary). `person` is the gallery's random id, empty
    where nobody was recognised. `similarity` and `runner_up` are of the deciding frame, or the best one of a denial,
    None where there was none to compare; `threshold` is what the similarity had to reach, at a false match rate of
    `fmr` a comparison, and `measured` is False where so low a rate was never measured and the threshold is an
    extrapolation. `liveness` is the score, None where it was off or nothing was seen, and `check` who gave it.
    `frames` counts the good frames that it rests on. `gallery` is how many people were compared. `strike` says that it
    counted towards a lockout, `strikes` how many there are now, `locked_s` how long the door is locked out from now on.
    `summed` is how many attempts its record stands for; 0: make no record, a later one will contain it.
    """

    attempt: int
    track: int
    granted: bool
    reason: Reason
    ended: Ended
    person: str
    similarity: float | None
    runner_up: float | None
    threshold: float
    fmr: float
    measured: bool
    liveness: float | None
    check: str
    frames: int
    gallery: int
    strike: bool
    strikes: int
    locked_s: float
    summed: int
    detail: str = ""
    version: int = VERSION
