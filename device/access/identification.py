"""Is a match good enough to call somebody by that name: the policy's threshold and margin, for whoever only names."""

from __future__ import annotations

from device.access.policy.rules import Rules
from device.access.policy.thresholds import threshold
from device.datatypes import Match

UNKNOWN = "unknown"


def accepts(match: Match | None, rules: Rules) -> bool:
    """Whether a face is that person's, as one frame shows it: like enough for a gallery of this size, and more than
    like the next person."""
    if match is None:
        return False
    needed = threshold(rules.thresholds, rules.target_fmr, match.gallery).cosine
    return match.similarity >= needed and match.similarity - match.runner_up >= rules.runner_up_margin
