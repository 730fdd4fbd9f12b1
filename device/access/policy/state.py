"""What the policy remembers between two looks."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from device.access.policy.decision import Reason
from device.access.policy.lockout import NO_STRIKES, Strikes, restore
from device.access.policy.observation import Now
from device.access.policy.rules import Rules
from device.datatypes import Match

Closeness = Literal["accept", "ambiguous", "near", "unknown"]
Phase = Literal["watching", "open", "pausing", "spent", "granted"]


@dataclass(frozen=True, slots=True)
class Vote:
    """What one fresh good frame says of a track."""

    monotonic_s: float
    closeness: Closeness
    match: Match | None
    live: bool
    gallery: int


@dataclass(frozen=True, slots=True)
class Tally:
    """How many votes of an attempt name one person: at least near, at or above the threshold, accepted, and accepted
    alive."""

    near: int = 0
    strong: int = 0
    accepted: int = 0
    live: int = 0


@dataclass(frozen=True, slots=True)
class TrackState:
    """One face that is in the zone or was a moment ago.

    `watching`: too few good frames for an attempt; `open`: its attempt runs; `pausing`: denied, may try again at
    `again_s`; `spent`: denied for as long as it stays; `granted`: let in. `supporting` counts, over the whole life of
    the track, the good frames that show each person, and `looks` all of them.
    """

    track: int
    seen_s: float
    phase: Phase = "watching"
    attempt: int = 0
    opened_s: float = math.inf
    again_s: float = math.inf
    good: int = 0
    spoofed: bool = False
    votes: tuple[Vote, ...] = ()
    tallies: Mapping[str, Tally] = field(default_factory=dict)
    fresh: int = 0
    best: Vote | None = None
    liveness: float | None = None
    check: str = ""
    held: Reason | None = None
    proven_s: float = -math.inf
    proven: str = ""
    looks: int = 0
    supporting: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Sum:
    """Denials of one reason that wait for a record: `pending` of them since `since_s`."""

    since_s: float
    pending: int


@dataclass(frozen=True, slots=True)
class State:
    """All that the policy remembers. Only the strikes outlive the process."""

    monotonic_s: float = -math.inf
    index: int | None = None
    captured_s: float = -math.inf
    digests: tuple[str, ...] = ()
    attempts: int = 0
    tracks: Mapping[int, TrackState] = field(default_factory=dict)
    sums: Mapping[Reason, Sum] = field(default_factory=dict)
    strikes: Strikes = NO_STRIKES
    rules: Rules | None = None
    people: int = -1

    def persistent(self) -> dict[str, Any]:
        """What must outlive the process, of JSON's types; empty where there is nothing.

        It changes only when a strike is added, so keep it durably whenever it differs from what was kept last.
        """
        return self.strikes.record() if self.strikes.count or self.strikes.locked_s > 0 else {}

    @classmethod
    def restore(cls, record: object, now: Now) -> State:
        """The state at the start of a process, from the last `persistent()` that was kept (None: the first start).

        Whatever that cannot have been locks the door out for a while. Raises ValueError for a time that is none.
        """
        return cls(strikes=restore(record, now))
