"""Who is recognised and refused all the same: faults, an open case, their own rules, a clock nobody trusts."""

from __future__ import annotations

from dataclasses import replace

import pytest

from device.access.policy import NEVER, DoorFacts, PersonRules, Schedule
from tests.access.policy.scene import PENDING, RULES, WALL, Door, face, stranger

WEEKLY = Schedule.parse({"timezone": "UTC", "windows": [{"days": ["wed"], "from": "00:00", "to": "24:00"}]})


@pytest.mark.parametrize("name", ["fault", "gallery_fault"])
def test_fail__a_fault_denies(name: str) -> None:
    door = Door()
    setattr(door, name, "the disk is full")
    assert door.watch(face(), frames=2) == []
    [decision] = door.see(face())
    assert (decision.reason, decision.detail, decision.person) == ("fault", "the disk is full", "ana")
    assert not decision.granted


def test_fail__all_faults_are_told() -> None:
    door = Door()
    door.watch(face())
    door.fault, door.gallery_fault = "no model", "no key"
    door.watch(face(track=2), face("bo", track=3), frames=2)
    door.m -= 5
    decisions = door.see(face(track=2), face("bo", track=2))
    assert decisions[0].detail == "no model; no key; two faces on one track; the monotonic clock ran back"


def test_fail__two_faces_on_one_track() -> None:
    door = Door()
    [decision] = door.watch(face(), face("bo"), frames=2)
    assert (decision.reason, decision.detail) == ("fault", "two faces on one track")


def test_fail__a_fault_while_somebody_leaves() -> None:
    door = Door()
    door.watch(stranger())
    door.fault = "no model"
    assert [(d.reason, d.ended) for d in door.leave()] == [("fault", "left")]


def test_fail__the_case_is_open() -> None:
    door = Door()
    door.door = DoorFacts("closed", tampered=True)
    [decision] = door.watch(face())
    assert (decision.reason, decision.person, decision.detail) == ("tampered", "ana", "")


def test_fail__the_case_is_opened_while_somebody_leaves() -> None:
    door = Door()
    door.watch(stranger())
    door.door = DoorFacts("closed", tampered=True)
    assert [(d.reason, d.ended) for d in door.leave()] == [("tampered", "left")]


def test_fail__the_rules_of_the_person_are_not_known() -> None:
    [decision] = Door().watch(face(rules=None))
    assert (decision.reason, decision.detail, decision.person) == ("fault", "no rules for the person", "ana")


@pytest.mark.parametrize(
    ("rules", "reason"),
    [
        (PersonRules(schedule=NEVER), "schedule"),
        (PersonRules(valid_from=WALL + 100), "not_yet_valid"),
        (PersonRules(valid_from=float("nan")), "not_yet_valid"),
        (PersonRules(valid_until=WALL - 100), "expired"),
        (PersonRules(valid_until=float("nan")), "expired"),
        (PersonRules(WALL + 100, WALL - 100, NEVER), "schedule"),
        (PersonRules(WALL + 100, WALL - 100), "not_yet_valid"),
        (PersonRules(WALL - 100, WALL - 50, WEEKLY), "expired"),
        (PersonRules(WALL - 100, WALL + 100), "recognised"),
    ],
)
def test_fail__not_now(rules: PersonRules, reason: str) -> None:
    assert Door().watch(face(rules=rules))[0].reason == reason


def test_fail__a_refusal_rests_on_the_frames_that_agree() -> None:
    door = Door()
    door.watch(face(similarity=0.9, liveness=PENDING), frames=2)
    [decision] = door.watch(face(rules=PersonRules(schedule=NEVER)))
    assert (decision.reason, decision.ended, decision.strike) == ("schedule", "evidence", False)
    assert (decision.frames, decision.similarity, decision.person) == (3, 0.7, "ana")


@pytest.mark.parametrize(
    ("rules", "reason"),
    [
        (PersonRules(valid_from=WALL), "recognised"),
        (PersonRules(valid_from=WALL + 0.0625), "not_yet_valid"),
        (PersonRules(valid_until=WALL), "expired"),
        (PersonRules(valid_until=WALL + 0.0625), "recognised"),
    ],
)
def test_ok__the_first_and_the_last_moment(rules: PersonRules, reason: str) -> None:
    door = Door()
    door.wall = WALL - 0.375
    assert door.watch(face(rules=rules))[0].reason == reason


@pytest.mark.parametrize(
    ("rules", "denied", "ignored"),
    [
        (PersonRules(), "recognised", "recognised"),
        (PersonRules(schedule=WEEKLY), "clock", "recognised"),
        (PersonRules(valid_from=0.0), "clock", "recognised"),
        (PersonRules(valid_until=9e9), "clock", "recognised"),
        (PersonRules(valid_until=0.0), "clock", "recognised"),
        (PersonRules(schedule=NEVER), "schedule", "schedule"),
    ],
)
@pytest.mark.parametrize("wall", [WALL, 0.0, 1_704_067_199.0, 4_102_444_801.0, float("nan")])
def test_fail__without_a_clock(wall: float, rules: PersonRules, denied: str, ignored: str) -> None:
    for without_clock, reason in (("deny", denied), ("ignore", ignored)):
        door = Door(replace(RULES, without_clock=without_clock))  # type: ignore[arg-type]
        door.wall, door.trusted = wall, wall != WALL
        assert door.watch(face(rules=rules))[0].reason == reason


@pytest.mark.parametrize(
    ("wall", "reason"),
    [
        (1_704_067_200.0, "recognised"),
        (1_704_067_199.9375, "clock"),
        (4_102_444_799.9375, "recognised"),
        (4_102_444_800.0, "clock"),
    ],
)
def test_ok__the_years_in_which_a_clock_is_believed(wall: float, reason: str) -> None:
    door = Door()
    door.wall = wall - 0.375
    assert door.watch(face(rules=PersonRules(valid_from=0.0)))[0].reason == reason


def test_ok__the_clock_jumps_into_the_schedule() -> None:
    door = Door()
    door.wall -= 86_400
    assert door.watch(face(rules=PersonRules(schedule=WEEKLY)))[0].reason == "schedule"
    door.leave()
    door.wall += 86_400
    assert door.watch(face(rules=PersonRules(schedule=WEEKLY)))[0].granted


@pytest.mark.parametrize(
    "rules", [PersonRules(schedule=NEVER), PersonRules(valid_from=9e9), PersonRules(valid_until=1.0)]
)
def test_fail__who_may_not_enter_now_has_to_leave_first(rules: PersonRules) -> None:
    door = Door()
    assert not door.watch(face(rules=rules))[0].granted
    assert door.watch(face(), frames=100) == []
