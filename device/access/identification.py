"""Is a match good enough to call somebody by that name: the policy's threshold and margin, for whoever only names."""

from __future__ import annotations

from device.access.policy.rules import Rules
from device.access.policy.thresholds import Threshold, threshold
from device.access.recognizer import Recognizer
from device.datatypes import Match
from device.errors import InputError

UNKNOWN = "unknown"


def rules_for(recognizer: Recognizer, target_fmr: float) -> Rules:
    """The policy's rules by an embedder's measured thresholds, all else as it is by default.

    Raises:
        InputError: the embedder was not measured, or not sensibly.
    """
    try:
        return Rules(recognizer.thresholds, target_fmr)
    except ValueError as error:
        raise InputError(f"the thresholds of {recognizer.name} cannot be used: {error}") from None


def needed_among(people: int, rules: Rules) -> Threshold:
    """What the door's policy asks of a face, in a gallery of so many."""
    return threshold(rules.thresholds, rules.target_fmr, people)


def accepts(match: Match | None, rules: Rules) -> bool:
    """Whether a face is that person's, as one frame shows it: like enough for a gallery of this size, and more than
    like the next person."""
    if match is None:
        return False
    needed = needed_among(match.gallery, rules).cosine
    return match.similarity >= needed and match.similarity - match.runner_up >= rules.runner_up_margin
