"""What was seen of one face, and what it amounts to: docs/access-policy.md, "State" and "The threshold"."""

from __future__ import annotations

import math
import sys
from dataclasses import dataclass, field
from functools import lru_cache

from device.access.policy import FaceView, Rules


@dataclass
class Look:
    """One good face of a track, and the vote it cast, where it cast one."""

    time: float
    face: FaceView
    voted: bool = False
    gallery: int = 0
    threshold: tuple[float, float, bool] = (0.0, 0.0, True)
    counts: bool = False
    closeness: str = "unknown"
    live: bool = False
    supports: bool = False


@dataclass
class Track:
    """All that was seen of one face. `attempt_from` and `evidence_from` are places in `looks`."""

    number: int
    phase: str = "watching"
    seen_s: float = 0.0
    looks: list[Look] = field(default_factory=list)
    attempt_from: int = 0
    evidence_from: int = 0
    held: str = ""
    proven: tuple[str, float] | None = None
    attempt: int = 0
    opened_s: float = 0.0
    again_s: float = 0.0

    def good(self) -> list[Look]:
        """The good faces of the attempt."""
        return self.looks[self.attempt_from :]

    def spoofed(self) -> bool:
        """Whether one of them was a spoof."""
        return any(look.face.liveness.state == "spoof" for look in self.good())

    def votes(self) -> list[Look]:
        """All votes of the attempt since the evidence was dropped last."""
        return [look for look in self.looks[self.evidence_from :] if look.voted]

    def near(self) -> list[Look]:
        """Those that came near somebody."""
        return [vote for vote in self.votes() if vote.closeness != "unknown"]

    def tally(self, person: str) -> dict[str, int]:
        """How often the attempt showed a person."""
        votes = [vote for vote in self.near() if vote.face.match.person == person]
        accepted = [vote for vote in votes if vote.closeness == "accept"]
        return {
            "near": len(votes),
            "strong": len([vote for vote in votes if vote.closeness in ("accept", "ambiguous")]),
            "accepted": len(accepted),
            "live": len([vote for vote in accepted if vote.live]),
        }

    def people(self) -> set[str]:
        """Everybody who has a tally."""
        return {vote.face.match.person for vote in self.near()}

    def claimed(self) -> str | None:
        """The person the attempt claims to be."""
        tallies = [(-self.tally(p)["near"], -self.tally(p)["accepted"], p) for p in self.people()]
        return min(tallies)[2] if tallies else None

    def best(self) -> Look | None:
        """The vote most like somebody, the first of equals."""
        best = None
        for vote in self.votes():
            if vote.counts and (best is None or vote.face.match.similarity > best.face.match.similarity):
                best = vote
        return best

    def changed(self, person: str, rules: Rules) -> bool:
        """F1."""
        votes = [look for look in self.looks if look.voted]
        supporting = [vote for vote in votes if vote.supports and vote.face.match.person == person]
        if len(votes) - len(supporting) > rules.max_contrary_frames:
            return True
        return any(self.tally(other)["accepted"] >= 1 for other in self.people() if other != person)

    def drop_evidence(self) -> None:
        """`votes`, `fresh`, `tallies`, `best`, `held`, `proven`."""
        self.evidence_from = len(self.looks)
        self.held = ""
        self.proven = None

    def start_anew(self) -> None:
        """Step 3."""
        self.phase = "watching"
        self.attempt_from = len(self.looks)
        self.drop_evidence()


@lru_cache(maxsize=4096)
def threshold(points: tuple[tuple[float, float], ...], target_fmr: float, people: int) -> tuple[float, float, bool]:
    """ "The threshold": (cosine, FMR of one comparison, whether it was measured)."""
    too_many = people > sys.float_info.max
    fmr = 0.0 if too_many else -math.expm1(math.log1p(-target_fmr) / max(1, people))
    if fmr == 0:
        return 1.0, 0.0, False
    slopes = [
        (points[i + 1][1] - points[i][1]) / math.log10(points[i][0] / points[i + 1][0]) for i in range(len(points) - 1)
    ]
    if fmr >= points[0][0]:
        return points[0][1], fmr, True
    last_fmr, last_cosine = points[-1]
    if fmr < last_fmr:
        return min(1.0, last_cosine + max(slopes) * math.log10(last_fmr / fmr)), fmr, False
    for i, slope in enumerate(slopes):
        if fmr >= points[i + 1][0]:
            return points[i][1] + slope * math.log10(points[i][0] / fmr), fmr, True
    raise AssertionError("the last point was compared above")


def area(face: FaceView) -> float:
    """An area that is none counts as 0."""
    return face.area_px if math.isfinite(face.area_px) and face.area_px >= 0 else 0.0
