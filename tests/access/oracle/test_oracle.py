"""The policy against a second reading of its specification, call by call, over random sequences.

`SERENO_ORACLE=100000` plays that many; `SERENO_ORACLE_FROM` is the first seed (0).
"""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import fields
from typing import Any

import pytest

from device.access.policy import Decision, Schedule, State, close, corrected_fmr, decide
from device.access.policy import threshold as policy_threshold
from tests.access.oracle import given, scenes
from tests.access.oracle.looks import threshold
from tests.access.oracle.oracle import TABLE, Oracle
from tests.access.oracle.weekly import open_at

FIELDS = tuple(field.name for field in fields(Decision))
SEQUENCES = int(os.environ.get("SERENO_ORACLE", "400"))
FIRST_SEED = int(os.environ.get("SERENO_ORACLE_FROM", "0"))


def same(one: object, other: object) -> bool:
    """Equal, or both NaN."""
    return one == other or (one != one and other != other)


def differences(decisions: tuple[Decision, ...], answers: list[dict[str, Any]]) -> list[str]:
    """What the policy and the oracle don't agree on: field, the policy's, the oracle's."""
    if len(decisions) != len(answers):
        return [f"decisions: {decisions} / {answers}"]
    return [
        f"{name}: {getattr(decision, name)!r} / {answer[name]!r}"
        for decision, answer in zip(decisions, answers, strict=True)
        for name in FIELDS
        if not same(getattr(decision, name), answer[name])
    ]


def play(seed: int, counts: Counter[str]) -> str:
    """One sequence; what was seen is counted. Returns the first disagreement, empty where there is none."""
    scene = scenes.Scene(seed)
    now = scene.now()
    state = State.restore(None, now)
    oracle = Oracle(None, now, given.DATA_OF)
    for place, step in enumerate(scene.steps()):
        decisions: tuple[Decision, ...] = ()
        answers: list[dict[str, Any]] = []
        match step:
            case scenes.Look():
                state, decisions = decide(state, step.observation, step.now, step.rules)
                answers = oracle.decide(step.observation, step.now, step.rules)
                counts["calls"] += 1
            case scenes.Close():
                state, decisions = close(state, step.now, step.rules)
                answers = oracle.close(step.now, step.rules)
                counts["closings"] += 1
            case scenes.Restart():
                state = State.restore(*(step.record or (scenes.kept(state.persistent()),)), step.now)
                oracle = Oracle(*(step.record or (scenes.kept(oracle.strikes.persistent()),)), step.now, given.DATA_OF)
                counts["restarts"] += 1
                counts["restarts while locked out"] += oracle.strikes.calm() > step.now.monotonic_s
        wrong = differences(decisions, answers)
        phases = {number: track.phase for number, track in state.tracks.items()}
        if phases != {number: track.phase for number, track in oracle.tracks.items()}:
            wrong.append(f"tracks: {phases} / {oracle.tracks}")
        if set(state.sums) != set(oracle.sums):
            wrong.append(f"sums: {state.sums} / {oracle.sums}")
        if state.persistent() != oracle.strikes.persistent():
            wrong.append(f"persistent: {state.persistent()} / {oracle.strikes.persistent()}")
        if wrong:
            return f"seed {seed}, step {place}, policy / oracle:\n" + "\n".join(wrong) + f"\n{step}"
        for answer in answers:
            counts[answer["reason"] if answer["ended"] != "summary" else "summaries"] += 1
            counts[f"ended: {answer['ended']}"] += 1
            counts["strikes"] += answer["strike"]
            counts["not measured"] += not answer["measured"]
            counts["lockouts"] += answer["strike"] and answer["locked_s"] > 0
    return ""


def test_policy_is_the_specification_in_every_sequence() -> None:
    """Each decision, each field, each track's phase and what is kept: equal after every call."""
    counts: Counter[str] = Counter()
    for seed in range(FIRST_SEED, FIRST_SEED + SEQUENCES):
        disagreement = play(seed, counts)
        assert not disagreement, disagreement
    print(f"{SEQUENCES} sequences:", ", ".join(f"{name} {count}" for name, count in sorted(counts.items())))
    missing = [name for name in (*TABLE, "summaries", "lockouts", "restarts while locked out") if not counts[name]]
    assert not missing, f"never occurred: {missing}"


@pytest.mark.parametrize("data", given.WEEKLY, ids=str)
def test_schedule_is_open_when_the_specification_says(data: dict[str, Any]) -> None:
    """Every quarter of an hour, and a second before it, around each change of clocks and holiday."""
    schedule = Schedule.parse(data)
    for turn in given.TURNS:
        for quarter in range(-4 * 40, 4 * 40):
            for moment in (turn + 900.0 * quarter, turn + 900.0 * quarter - 0.5):
                assert schedule.is_open(moment) == open_at(data, moment), (data, moment)


def test_threshold_is_the_specification() -> None:
    """Over the measured points, between, above and below them."""
    for points in given.POINTS:
        for target_fmr in (0.5, 0.1, 1e-2, 1e-3, 3e-4, 1e-4, 1e-5, 1e-6, 1e-12, 1e-300, 5e-324):
            for people in (1, 2, 3, 10, 99, 1000, 10**6, 10**30, 10**400):
                found = policy_threshold(points, target_fmr, people)
                expected = threshold(points, target_fmr, people)
                assert (found.cosine, found.fmr, found.measured) == expected
                assert corrected_fmr(target_fmr, people) == expected[1]
