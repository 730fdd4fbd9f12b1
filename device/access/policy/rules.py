"""What the owner of the door has laid down. docs/access-policy.md gives the reason of each default."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

Thresholds = tuple[tuple[float, float], ...]
"""Measured points (FMR, cosine similarity), the highest FMR first."""

SeveralPeople = Literal["refuse", "recognised", "ignore"]
WithoutClock = Literal["deny", "ignore"]


@dataclass(frozen=True, slots=True)
class Rules:
    """The policy's numbers. Durations are seconds, similarities cosines, rates 0 to 1."""

    thresholds: Thresholds
    """The recogniser's, as its bundle measured them."""
    target_fmr: float = 1e-4
    """The rate at which a stranger may be taken for anybody of the gallery."""
    agreeing_frames: int = 3
    """k: this many good frames must show the same live person; a track with so many good frames is an attempt."""
    window_frames: int = 5
    """n: among the last so many good frames."""
    window_s: float = 2.0
    """... that are not older than this."""
    near_margin: float = 0.08
    """A near miss is at most this far below the threshold."""
    runner_up_margin: float = 0.08
    """The person must be ahead of the next one by this much."""
    max_contrary_frames: int = 3
    """More good frames of the track than these that show somebody else: no grant."""
    unknown_frames: int = 15
    """So many good frames that come near nobody are enough to deny."""
    attempt_timeout_s: float = 8.0
    """An attempt that has lasted this long ends."""
    track_gone_s: float = 1.0
    """A track that was not in the zone for longer than this has left."""
    companion_s: float = 0.5
    """Another face that was in the zone this short a time ago is still there."""
    retry_pause_s: float = 3.0
    """A person who was denied and stays may try again after this."""
    max_frame_age_s: float = 1.0
    """An older frame is stale."""
    max_frame_ahead_s: float = 0.05
    """A frame from further in the future is stale, too."""
    digest_memory: int = 16
    """A picture that equals one of the last so many is a repeat."""
    liveness_required: bool = True
    """Only frames that are live count. False: the owner has turned liveness off."""
    several_people: SeveralPeople = "recognised"
    """Who else may stand in the zone when a person is let in: nobody, only people recognised by themselves, anybody."""
    grant_while_open: bool = False
    """Whether a grant is given while the door's contact says open."""
    without_clock: WithoutClock = "deny"
    """What becomes of people with time rules while the clock can't be trusted: denied, or their time rules ignored."""
    lockout_after: int = 5
    """The first lockout comes with this strike."""
    lockout_base_s: float = 30.0
    """The first lockout's length; each further strike doubles it."""
    lockout_max_s: float = 900.0
    """No lockout is longer."""
    forgive_s: float = 3600.0
    """Strikes are forgotten after so long a calm."""
    summary_s: float = 60.0
    """Like denials of passers-by within this time are one record."""

    def __post_init__(self) -> None:
        """Raises ValueError, naming the rule, where a value makes no sense."""
        object.__setattr__(self, "thresholds", tuple((float(fmr), float(cosine)) for fmr, cosine in self.thresholds))
        _check_thresholds(self.thresholds)
        _check(0 < self.target_fmr < 1, "target_fmr", self.target_fmr, "between 0 and 1, both excluded")
        _check(self.agreeing_frames >= 1, "agreeing_frames", self.agreeing_frames, "at least 1")
        _check(
            self.window_frames >= self.agreeing_frames,
            "window_frames",
            self.window_frames,
            f"at least agreeing_frames, {self.agreeing_frames}",
        )
        _check(self.unknown_frames >= 1, "unknown_frames", self.unknown_frames, "at least 1")
        _check(self.lockout_after >= 1, "lockout_after", self.lockout_after, "at least 1")
        _check(self.digest_memory >= 1, "digest_memory", self.digest_memory, "at least 1")
        _check(self.max_contrary_frames >= 0, "max_contrary_frames", self.max_contrary_frames, "0 or more")
        for name in _NOT_NEGATIVE:
            value = getattr(self, name)
            _check(math.isfinite(value) and value >= 0, name, value, "a finite number, 0 or more")
        _check(
            self.lockout_max_s >= self.lockout_base_s,
            "lockout_max_s",
            self.lockout_max_s,
            f"at least lockout_base_s, {self.lockout_base_s}",
        )


_NOT_NEGATIVE = (
    "window_s",
    "near_margin",
    "runner_up_margin",
    "attempt_timeout_s",
    "track_gone_s",
    "companion_s",
    "retry_pause_s",
    "max_frame_age_s",
    "max_frame_ahead_s",
    "lockout_base_s",
    "lockout_max_s",
    "forgive_s",
    "summary_s",
)


def _check(right: bool, name: str, value: object, wanted: str) -> None:
    if not right:
        raise ValueError(f"{name}: {value!r} is not {wanted}")


def _check_thresholds(points: Thresholds) -> None:
    _check(len(points) >= 2, "thresholds", points, "two or more points (FMR, cosine)")
    for fmr, cosine in points:
        _check(0 < fmr < 1 and -1 <= cosine <= 1, "thresholds", (fmr, cosine), "a point (FMR, cosine)")
    for (fmr, cosine), (rarer, higher) in pairwise(points):
        right = rarer < fmr and higher >= cosine
        _check(right, "thresholds", points, "in order: each FMR lower than the last, its cosine not")
