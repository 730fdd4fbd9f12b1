"""What the owner of a door may lay down: rules, schedules, who may enter when. And moments worth asking about."""

from __future__ import annotations

import math
import random
from dataclasses import replace
from typing import Any

from device.access.policy import PersonRules, Rules, Schedule

NAN, INF = math.nan, math.inf
POINTS = (
    ((1e-2, 0.25), (1e-3, 0.375), (1e-4, 0.5), (1e-5, 0.5625)),
    ((1e-1, 0.2), (1e-3, 0.36), (1e-6, 0.61)),
    ((1e-3, 0.5), (1e-4, 0.5)),
    ((1e-4, 0.42), (1e-5, 0.48)),
)
PEOPLE = ("ana", "bea", "cid")

_MADRID = {"timezone": "Europe/Madrid"}
_WORKDAYS = ["mon", "tue", "wed", "thu", "fri"]
_ALL = [*_WORKDAYS, "sat", "sun"]


def _window(days: list[str], begin: str, end: str) -> dict[str, Any]:
    return {"days": days, "from": begin, "to": end}


WEEKLY: tuple[dict[str, Any], ...] = (
    _MADRID | {"windows": [_window(_WORKDAYS, "08:00", "18:30")], "holidays": ["2026-12-25", "2026-01-06"]},
    _MADRID | {"windows": [_window(_ALL, "02:15", "02:45")]},
    _MADRID | {"windows": [_window(_ALL, "02:30", "06:00"), _window(["sat"], "22:00", "02:30")]},
    _MADRID | {"windows": [_window(_ALL, "22:00", "06:00")], "holidays": ["2026-03-29", "2026-12-25", "2026-10-25"]},
    _MADRID | {"windows": [_window(["sat"], "12:00", "12:00"), _window(["wed"], "00:00", "00:00")]},
    _MADRID | {"windows": [_window(["sun", "fri"], "00:00", "24:00")], "holidays": ["2026-10-25"]},
    _MADRID | {"windows": []},
    {
        "timezone": "America/New_York",
        "windows": [_window(["sun"], "01:00", "02:00"), _window(["sun"], "03:00", "03:01")],
    },
    {"timezone": "Australia/Lord_Howe", "windows": [_window(["sun"], "01:45", "02:15")]},
    {"timezone": "Pacific/Chatham", "windows": [_window(["sun"], "02:00", "03:45")], "holidays": ["2026-04-05"]},
    {"timezone": "UTC", "windows": [_window(_ALL, "23:00", "01:00")], "holidays": ["2026-12-31"]},
    {"timezone": "Asia/Kathmandu", "windows": [_window(["mon"], "00:00", "23:59"), _window(["tue"], "12:00", "11:59")]},
)
"""Day windows, night windows, full days, with holidays; in zones whose clocks change by an hour, by half, never."""
SCHEDULES: tuple[tuple[Any, Schedule], ...] = tuple(
    (data, Schedule.parse(data)) for data in ("always", "never", *WEEKLY)
)
DATA_OF = {id(schedule): data for data, schedule in SCHEDULES}
ALWAYS = SCHEDULES[0][1]
NEVER = SCHEDULES[1][1]

TURNS = (
    1774746000,  # Madrid, 2026-03-29, forward
    1792890000,  # Madrid, 2026-10-25, back
    1772953200,  # New York, 2026-03-08, forward
    1793512800,  # New York, 2026-11-01, back
    1775314800,  # Lord Howe, 2026-04-05, back by half an hour
    1775311200,  # Chatham, 2026-04-05, back
    1798156800,  # 2026-12-25 in UTC
    1798761600,  # 2027-01-01 in UTC
)
"""Moments around which schedules are asked for, seconds since 1970."""


def draw_rules(draw: random.Random) -> Rules:
    """Rules under which something happens within some dozen calls."""
    few = draw.random() < 0.85
    k = draw.choice((1, 2, 2, 3, 3)) if few else 3
    lockout_base_s = draw.choice((0.0, 2.0, 4.0, 30.0))
    return Rules(
        thresholds=draw.choice(POINTS),
        target_fmr=draw.choice((1e-4, 1e-4, 1e-3, 1e-5, 1e-6, 0.2)),
        agreeing_frames=k,
        window_frames=k + draw.choice((0, 0, 1, 2)),
        window_s=draw.choice((0.5, 2.0, 2.0, 2.0)),
        near_margin=draw.choice((0.0, 0.08, 0.125)),
        runner_up_margin=draw.choice((0.0, 0.08, 0.125)),
        max_contrary_frames=draw.choice((0, 1, 3, 6, 9)),
        unknown_frames=draw.choice((1, 3, 5, 15)),
        attempt_timeout_s=draw.choice((0.0, 1.0, 2.0, 2.0, 4.0, 8.0)),
        track_gone_s=draw.choice((0.0, 0.5, 1.0, 1.0)),
        companion_s=draw.choice((0.0, 0.5, 0.5, 2.0)),
        retry_pause_s=draw.choice((0.0, 0.5, 1.0, 3.0)),
        max_frame_age_s=draw.choice((0.5, 1.0)),
        max_frame_ahead_s=draw.choice((0.05, 0.0625)),
        digest_memory=draw.choice((1, 2, 16)),
        liveness_required=draw.random() < 0.8,
        several_people=draw.choice(("refuse", "recognised", "recognised", "ignore")),
        grant_while_open=draw.random() < 0.25,
        without_clock=draw.choice(("deny", "ignore")),
        lockout_after=draw.choice((1, 1, 2, 3, 5)),
        lockout_base_s=lockout_base_s,
        lockout_max_s=max(lockout_base_s, draw.choice((8.0, 60.0, 900.0))),
        forgive_s=draw.choice((0.0, 8.0, 60.0, 3600.0)),
        summary_s=draw.choice((0.0, 2.0, 8.0, 60.0)),
    )


CHANGES: tuple[tuple[str, tuple[Any, ...]], ...] = (
    ("agreeing_frames", (1, 2)),
    ("window_s", (0.5, 2.0)),
    ("near_margin", (0.0, 0.08, 0.125)),
    ("max_contrary_frames", (0, 3)),
    ("unknown_frames", (1, 5)),
    ("attempt_timeout_s", (0.0, 2.0, 8.0)),
    ("track_gone_s", (0.5, 1.0)),
    ("digest_memory", (1, 2, 16)),
    ("liveness_required", (True, False)),
    ("several_people", ("refuse", "recognised", "ignore")),
    ("lockout_after", (1, 2, 5)),
    ("forgive_s", (0.0, 60.0)),
    ("summary_s", (0.0, 2.0, 60.0)),
    ("thresholds", POINTS),
    ("target_fmr", (1e-4, 1e-6)),
)


def draw_limits(draw: random.Random, wall_s: float) -> PersonRules | None:
    """What a person is allowed."""
    kind = draw.choices(("always", "weekly", "dates", "never", "none", "odd"), (50, 22, 18, 3, 2, 3))[0]
    if kind == "none":
        return None
    if kind == "never":
        return PersonRules(schedule=NEVER)
    if kind == "weekly":
        return PersonRules(schedule=draw.choice(SCHEDULES[2:])[1])
    if kind == "dates":
        bounds = (None, wall_s, wall_s + 1.0, wall_s - 86400.0, wall_s + 86400.0)
        return PersonRules(draw.choice(bounds), draw.choice(bounds), draw.choice((ALWAYS, SCHEDULES[2][1])))
    if kind == "odd":
        return PersonRules(draw.choice((None, 0.0, -INF, INF, NAN)), draw.choice((None, 0.0, NAN, INF, -INF)), ALWAYS)
    return PersonRules(schedule=ALWAYS)


def change(draw: random.Random, rules: Rules) -> Rules:
    """Rules that differ in one respect, mostly."""
    name, values = draw.choice(CHANGES)
    value = draw.choice(values)
    changes = {name: value}
    if name == "agreeing_frames":
        changes["window_frames"] = value + draw.choice((0, 2))
    return replace(rules, **changes)
