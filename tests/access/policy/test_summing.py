"""Records of passers-by are rate-limited and summed."""

from __future__ import annotations

from dataclasses import replace

import pytest

from device.access.policy import Decision
from tests.access.policy.scene import RULES, SPOOF, Door, face, stranger


def passer_by(door: Door) -> Decision:
    door.watch(stranger(), frames=3)
    [decision] = door.leave()
    return decision


def test_ok__one_record_for_the_passers_by_of_a_minute() -> None:
    door = Door()
    decisions = [passer_by(door) for _ in range(60)]
    assert all(decision.reason == "unknown" for decision in decisions)
    recorded = [decision.summed for decision in decisions if decision.summed]
    # One takes 1.5 s: 0.375 until the third frame and 1.125 until gone.
    assert recorded == [1, 40]
    assert [decision.summed for decision in decisions[:41]] == [1] + [0] * 39 + [40]


def test_ok__a_summary_when_the_minute_is_over() -> None:
    door = Door()
    passer_by(door)
    passer_by(door)
    started = door.m - 1.5
    assert door.tick(step=started + 60.0 - door.m - 0.125) == ()
    [summary] = door.tick()
    assert (summary.attempt, summary.track, summary.granted, summary.ended) == (0, 0, False, "summary")
    assert (summary.reason, summary.summed, summary.frames, summary.person) == ("unknown", 1, 0, "")
    assert (summary.similarity, summary.liveness, summary.check, summary.gallery) == (None, None, "", 1)
    assert summary.strike is False
    assert summary.detail == ""
    assert passer_by(door).summed == 0
    assert [decision.summed for decision in door.tick(step=60.0)] == [1]


def test_ok__a_quiet_minute_ends_without_a_summary() -> None:
    door = Door()
    passer_by(door)
    assert door.tick(step=59.875) == ()
    assert door.state.sums
    assert door.tick() == ()
    assert not door.state.sums
    assert passer_by(door).summed == 1


def test_ok__each_reason_is_summed_by_itself() -> None:
    door = Door()
    assert passer_by(door).summed == 1
    door.fault = "no model"
    decisions = []
    for _ in range(3):
        decisions += door.watch(stranger(), frames=3)
        door.leave()
    assert [(d.reason, d.summed) for d in decisions] == [("fault", 1), ("fault", 0), ("fault", 0)]
    door.fault = ""
    for _ in range(2):
        for _ in range(3):
            door.see(stranger(), digest="")
        door.leave()
    assert [(d.reason, d.summed) for d in door.told[-2:]] == [("stale", 1), ("stale", 0)]
    assert passer_by(door).summed == 0
    assert [(d.reason, d.summed) for d in door.tick(step=60.0)] == [("fault", 2), ("stale", 1), ("unknown", 1)]


def test_ok__other_denials_have_a_record_each() -> None:
    door = Door(replace(RULES, lockout_after=100))
    for _ in range(10):
        [decision] = door.watch(face(liveness=SPOOF))
        assert (decision.reason, decision.summed) == ("liveness", 1)
        door.leave()
    assert not door.state.sums


def test_ok__what_waits_is_recorded_when_the_process_stops() -> None:
    door = Door()
    passer_by(door)
    assert door.close() == ()
    for _ in range(3):
        passer_by(door)
    [summary] = door.close()
    assert (summary.reason, summary.summed, summary.ended) == ("unknown", 2, "summary")
    assert not door.state.sums


@pytest.mark.parametrize("passers_by", [1, 7])
def test_ok__no_attempt_is_lost_from_the_records(passers_by: int) -> None:
    door = Door(replace(RULES, summary_s=4.0))
    for _ in range(passers_by):
        passer_by(door)
    door.close()
    assert sum(decision.summed for decision in door.told) == passers_by
