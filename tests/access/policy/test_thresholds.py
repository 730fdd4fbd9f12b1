"""From the false match rate that is borne to a cosine."""

from __future__ import annotations

import math
import re
import sys
from dataclasses import replace
from typing import Any

import pytest

from device.access.policy import Rules, corrected_fmr, measured_points, threshold
from tests.access.policy.scene import POINTS, RULES


@pytest.mark.parametrize("target", [1e-2, 1e-4, 0.3])
@pytest.mark.parametrize("people", [1, 2, 50, 10_000])
def test_ok__all_comparisons_together_have_the_target(target: float, people: int) -> None:
    assert 1 - (1 - corrected_fmr(target, people)) ** people == pytest.approx(target, rel=1e-9)


def test_ok__no_gallery_is_a_gallery_of_one() -> None:
    assert corrected_fmr(1e-4, 0) == corrected_fmr(1e-4, 1) == pytest.approx(1e-4, rel=1e-12)
    assert corrected_fmr(1e-4, 2) == pytest.approx(5.0001e-5, rel=1e-4)


@pytest.mark.parametrize(
    ("target", "cosine", "measured"),
    [
        (0.5, 0.25, True),
        (1.1e-2, 0.25, True),
        (10**-2.5, 0.30, True),
        (10**-3.5, 0.385, True),
        (10**-4.25, 0.44, True),
        (10**-5.5, 0.55, False),
        (10**-7, 0.70, False),
        (10**-15, 1.0, False),
    ],
)
def test_ok__between_the_measured_rates_and_beyond(target: float, cosine: float, measured: bool) -> None:
    limit = threshold(POINTS, target, 1)
    assert limit.cosine == pytest.approx(cosine, abs=1e-9)
    assert limit.fmr == pytest.approx(target, rel=1e-9)
    assert limit.measured == measured


def test_ok__the_measured_rates_themselves() -> None:
    for fmr, cosine in POINTS:
        limit = threshold(POINTS, 1 - (1 - fmr), 1)
        assert limit.cosine == pytest.approx(cosine, abs=1e-9)


@pytest.mark.parametrize(("target", "people"), [(5e-324, 3), (1e-300, 10**30), (1e-4, 10**400)])
def test_fail__a_rate_too_small_for_a_number_matches_nobody(target: float, people: int) -> None:
    found = threshold(POINTS, target, people)
    assert (found.cosine, found.fmr, found.measured) == (1.0, 0.0, False)


def test_ok__the_largest_number_of_people_that_a_float_holds() -> None:
    assert corrected_fmr(0.5, int(sys.float_info.max)) > 0


def test_ok__exactly_the_lowest_measured_rate_is_measured() -> None:
    lowest = corrected_fmr(1e-5, 1)
    points = ((1e-2, 0.25), (lowest, 0.5))
    assert threshold(points, 1e-5, 1) == threshold(points, 1e-5, 0)
    limit = threshold(points, 1e-5, 1)
    assert (limit.cosine, limit.measured) == (pytest.approx(0.5, abs=1e-12), True)
    assert not threshold(points, 1e-5, 2).measured


def test_ok__exactly_the_highest_measured_rate() -> None:
    highest = corrected_fmr(1e-2, 1)
    assert threshold(((highest, 0.25), (1e-5, 0.5)), 1e-2, 1).cosine == 0.25


def test_ok__the_threshold_only_grows_with_the_gallery() -> None:
    limits = [threshold(POINTS, 1e-3, people) for people in (1, 2, 5, 10, 50, 100, 1000, 10**5, 10**9)]
    cosines = [limit.cosine for limit in limits]
    assert cosines == sorted(cosines)
    assert [limit.measured for limit in limits] == [True] * 6 + [False] * 3


def test_ok__beyond_the_measured_the_steepest_slope_counts() -> None:
    points = ((1e-2, 0.1), (1e-3, 0.3), (1e-4, 0.35))
    assert threshold(points, 10**-5.0, 1).cosine == pytest.approx(0.35 + 0.2, abs=1e-9)


POINT, ORDER = "a point (FMR, cosine)", "in order: each FMR lower than the last, its cosine not"


@pytest.mark.parametrize(
    ("points", "given", "wanted"),
    [
        ((), (), "two or more points (FMR, cosine)"),
        (((1e-2, 0.2),), ((1e-2, 0.2),), "two or more points (FMR, cosine)"),
        (((1e-3, 0.2), (1e-2, 0.3)), ((1e-3, 0.2), (1e-2, 0.3)), ORDER),
        (((1e-2, 0.2), (1e-2, 0.3)), ((1e-2, 0.2), (1e-2, 0.3)), ORDER),
        (((1e-2, 0.3), (1e-3, 0.2)), ((1e-2, 0.3), (1e-3, 0.2)), ORDER),
        (((1e-2, 0.3), (0.0, 0.4)), (0.0, 0.4), POINT),
        (((1.0, 0.3), (1e-3, 0.4)), (1.0, 0.3), POINT),
        (((1e-2, -1.1), (1e-3, 0.4)), (1e-2, -1.1), POINT),
        (((1e-2, 0.3), (1e-3, 1.1)), (1e-3, 1.1), POINT),
        (((1e-2, 0.3), (1e-3, math.nan)), (1e-3, math.nan), POINT),
    ],
)
def test_fail__points_that_make_no_sense(points: Any, given: Any, wanted: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(f'thresholds: {given!r} is not {wanted}')}$"):
        Rules(points)


BOTH_EXCLUDED, DURATION = "between 0 and 1, both excluded", "a finite number, 0 or more"


@pytest.mark.parametrize(
    ("name", "value", "wanted"),
    [
        ("target_fmr", 0.0, BOTH_EXCLUDED),
        ("target_fmr", 1.0, BOTH_EXCLUDED),
        ("target_fmr", math.nan, BOTH_EXCLUDED),
        ("agreeing_frames", 0, "at least 1"),
        ("window_frames", 2, "at least agreeing_frames, 3"),
        ("unknown_frames", 0, "at least 1"),
        ("lockout_after", 0, "at least 1"),
        ("digest_memory", 0, "at least 1"),
        ("max_contrary_frames", -1, "0 or more"),
        ("lockout_max_s", 29.0, "at least lockout_base_s, 30.0"),
        *[
            (name, value, DURATION)
            for name in (
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
            for value in (-0.1, math.nan, math.inf)
        ],
    ],
)
def test_fail__rules_that_make_no_sense(name: str, value: Any, wanted: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(f'{name}: {value!r} is not {wanted}')}$"):
        replace(RULES, **{name: value})


@pytest.mark.parametrize(
    "rules",
    [
        {"agreeing_frames": 1, "window_frames": 1, "unknown_frames": 1, "lockout_after": 1, "digest_memory": 1},
        {"max_contrary_frames": 0, "window_s": 0.0, "near_margin": 0.0, "runner_up_margin": 0.0, "track_gone_s": 0.0},
        {"agreeing_frames": 5, "window_frames": 5, "lockout_base_s": 900.0},
        {"thresholds": ((1e-2, 0.25), (1e-5, 0.5))},
        {"thresholds": ((0.5, -1.0), (1e-9, -1.0), (1e-10, 1.0)), "target_fmr": 0.999},
    ],
)
def test_ok__the_last_values_that_make_sense(rules: dict[str, Any]) -> None:
    assert replace(RULES, **rules) != RULES


def test_ok__the_defaults_are_those_of_the_specification() -> None:
    rules = Rules(POINTS)
    assert (rules.target_fmr, rules.agreeing_frames, rules.window_frames, rules.window_s) == (1e-4, 3, 5, 2.0)
    assert (rules.near_margin, rules.runner_up_margin) == (0.08, 0.08)
    assert (rules.max_contrary_frames, rules.unknown_frames, rules.digest_memory) == (3, 15, 16)
    assert (rules.attempt_timeout_s, rules.track_gone_s, rules.companion_s, rules.retry_pause_s) == (8.0, 1.0, 0.5, 3.0)
    assert (rules.max_frame_age_s, rules.max_frame_ahead_s, rules.liveness_required) == (1.0, 0.05, True)
    assert (rules.several_people, rules.grant_while_open, rules.without_clock) == ("recognised", False, "deny")
    assert (rules.lockout_after, rules.lockout_base_s, rules.lockout_max_s, rules.forgive_s) == (5, 30.0, 900.0, 3600.0)
    assert rules.summary_s == 60.0


def test_ok__the_points_of_a_bundle() -> None:
    thresholds = {"fmr_1e-3": 0.35, "fmr_1e-5": 0.5, "confidence": "high", "fmr_1e-4": 0.42, "fmr_1e-2": 0.25}
    assert measured_points(thresholds) == POINTS
    assert Rules([list(point) for point in POINTS]) == RULES  # type: ignore[arg-type]


@pytest.mark.parametrize("thresholds", [{"fmr_low": 0.4}, {"fmr_1e-4": "high"}, {"fmr_1e-4": None}])
def test_fail__a_bundle_without_points(thresholds: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"^thresholds: .* are not cosines named after their FMR, such as fmr_1e-4$"):
        measured_points(thresholds)
