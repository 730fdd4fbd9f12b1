"""How alike is alike enough: from the rate of false matches that is borne to a cosine."""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import Any

from device.access.policy.rules import Thresholds

PREFIX = "fmr_"


@dataclass(frozen=True, slots=True)
class Threshold:
    """The lowest cosine that counts, the false match rate a comparison it stands for, and whether such a rate was
    measured (False: `cosine` is an extrapolation)."""

    cosine: float
    fmr: float
    measured: bool


def measured_points(thresholds: Mapping[str, Any]) -> Thresholds:
    """What a recogniser's bundle measured, for `Rules.thresholds`.

    Args:
        thresholds: the manifest's, in which `fmr_1e-4` is the cosine at an FMR of 1e-4; other keys are left out.
    Raises:
        ValueError: such a key carries no rate, or no number.
    """
    named = {key: cosine for key, cosine in thresholds.items() if key.startswith(PREFIX)}
    try:
        points = [(float(key.removeprefix(PREFIX)), float(cosine)) for key, cosine in named.items()]
    except (TypeError, ValueError):
        raise ValueError(f"thresholds: {named!r} are not cosines named after their FMR, such as fmr_1e-4") from None
    return tuple(sorted(points, reverse=True))


def corrected_fmr(target_fmr: float, people: int) -> float:
    """The false match rate each of `people` comparisons may have for all together to have `target_fmr`."""
    if people > sys.float_info.max:
        return 0.0
    return -math.expm1(math.log1p(-target_fmr) / max(1, people))


@lru_cache(maxsize=256)
def threshold(points: Thresholds, target_fmr: float, people: int) -> Threshold:
    """The threshold for a gallery of that many people. docs/access-policy.md: "The threshold".

    Args:
        points: measured (FMR, cosine), the highest FMR first, as in `Rules.thresholds`.
        target_fmr: 0 to 1, for the whole gallery.
        people: in the gallery; fewer than 1 counts as 1.
    """
    fmr = corrected_fmr(target_fmr, people)
    if fmr == 0:
        return Threshold(1.0, 0.0, False)
    highest, lowest = points[0], points[-1]
    if fmr >= highest[0]:
        return Threshold(highest[1], fmr, True)
    segments = list(pairwise(points))
    if fmr < lowest[0]:
        steepest = max(_slope(*segment) for segment in segments)
        return Threshold(min(1.0, lowest[1] + steepest * math.log10(lowest[0] / fmr)), fmr, False)
    for left, right in segments:
        if fmr >= right[0]:
            return Threshold(left[1] + _slope(left, right) * math.log10(left[0] / fmr), fmr, True)
    raise AssertionError("every rate lies above, below or between the measured ones")


def _slope(left: tuple[float, float], right: tuple[float, float]) -> float:
    """Cosine a decade of FMR."""
    return (right[1] - left[1]) / math.log10(left[0] / right[0])
