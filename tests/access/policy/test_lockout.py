"""Strikes, lockouts, and what a restart or a clock that jumps makes of them."""

from __future__ import annotations

import json
import math
import sys
from dataclasses import replace
from typing import Any

import pytest

from device.access.policy import Decision, State
from tests.access.policy.scene import PENDING, RULES, SPOOF, WALL, Door, face, stranger


def strike(door: Door) -> Decision:
    """A picture of a person, and away with it."""
    [decision] = door.watch(face(liveness=SPOOF))
    door.leave()
    return decision


def locked_out(strikes: int = 5) -> Door:
    door = Door()
    for count in range(1, strikes + 1):
        door.pass_time(max(0.0, door.state.strikes.calm_s - door.m))
        assert strike(door).strikes == count
    return door


def left_s(door: Door) -> float:
    return max(0.0, door.state.strikes.calm_s - door.m)


def test_fail__the_fifth_strike_locks_out() -> None:
    door = Door()
    decisions = [strike(door) for _ in range(5)]
    assert [(d.reason, d.strike, d.strikes, d.locked_s) for d in decisions] == [
        ("liveness", True, 1, 0.0),
        ("liveness", True, 2, 0.0),
        ("liveness", True, 3, 0.0),
        ("liveness", True, 4, 0.0),
        ("liveness", True, 5, 30.0),
    ]
    [decision] = door.watch(face())
    assert (decision.granted, decision.reason, decision.strike, decision.person) == (False, "locked_out", False, "ana")
    assert decision.locked_s == 30.0 - 1.125 - 0.375


def test_fail__each_further_strike_doubles_it_up_to_a_bound() -> None:
    door = Door()
    delays = []
    for _ in range(12):
        delays.append(strike(door).locked_s)
        door.pass_time(left_s(door))
    assert delays[4:] == [30.0, 60.0, 120.0, 240.0, 480.0, 900.0, 900.0, 900.0]
    assert door.state.strikes.count == 12


def test_ok__the_lockout_ends() -> None:
    door = locked_out()
    door.pass_time(left_s(door) - 0.375 - 0.0625)
    assert door.watch(face())[0].reason == "locked_out"
    door = locked_out()
    door.pass_time(left_s(door) - 0.375)
    assert door.watch(face())[0].granted


def test_fail__locked_out_attempts_change_nothing() -> None:
    door = locked_out()
    until = door.state.strikes.calm_s
    for look in (face(liveness=SPOOF), stranger(), face(similarity=0.4)):
        assert door.watch(look)[0].reason == "locked_out"
        door.leave()
    assert door.state.strikes.calm_s == until
    assert door.state.strikes.count == 5


def test_ok__who_stays_may_try_again_when_the_lockout_is_over() -> None:
    door = locked_out()
    over = door.state.strikes.calm_s
    assert door.watch(face())[0].reason == "locked_out"
    decision = door.until_decided(face())
    assert (decision.granted, decision.attempt) == (True, 7)
    assert over + 0.25 <= door.m <= over + 0.375


def test_ok__the_pause_is_never_shorter_than_the_pause() -> None:
    door = locked_out()
    door.pass_time(left_s(door) - 0.5)
    [decision] = door.watch(face())
    assert decision.reason == "locked_out"
    denied = door.m
    assert door.until_decided(face()).granted
    assert door.m == denied + 3.25


def test_fail__locked_out_while_somebody_leaves() -> None:
    door = Door()
    for _ in range(4):
        strike(door)
    door.watch(stranger(track=2, liveness=PENDING))
    door.watch(face(liveness=SPOOF))
    decisions = door.leave()
    assert [(d.track, d.reason, d.ended) for d in decisions] == [(2, "locked_out", "left")]


def test_fail__a_strike_locks_out_the_others_of_the_same_frame() -> None:
    door = Door(replace(RULES, several_people="ignore"))
    for _ in range(4):
        strike(door)
    decisions = door.watch(face(area=90_000), face("bo", track=2, liveness=SPOOF))
    assert [(d.track, d.reason) for d in decisions] == [(2, "liveness"), (1, "locked_out")]


def test_ok__the_unknown_never_lock_out_anybody() -> None:
    door = Door()
    for _ in range(50):
        door.watch(stranger(), frames=16)
        door.leave()
    assert {decision.reason for decision in door.told} == {"unknown"}
    assert door.watch(face())[0].granted
    assert door.state.persistent() == {}


def test_ok__a_grant_forgives_nothing() -> None:
    door = locked_out(4)
    door.watch(face())
    door.leave()
    assert strike(door).strikes == 5


@pytest.mark.parametrize(("calm_s", "strikes"), [(3599.875, 6), (3600.0, 1)])
def test_ok__an_hour_of_calm_after_the_lockout_forgives(calm_s: float, strikes: int) -> None:
    door = locked_out()
    door.pass_time(left_s(door) + calm_s - 0.375)
    assert strike(door).strikes == strikes


def test_ok__near_misses_count() -> None:
    door = Door()
    for number in range(1, 5):
        door.watch(face(similarity=0.4))
        [decision] = door.leave()
        assert (decision.reason, decision.strikes) == ("near_miss", number)


def test_fail__other_rules_do_not_shorten_a_lockout() -> None:
    door = locked_out()
    door.rules = replace(RULES, lockout_base_s=0.0, lockout_after=100)
    assert door.watch(face())[0].reason == "locked_out"


def test_ok__a_thousand_strikes_do_not_overflow() -> None:
    record = {**locked_out().state.persistent(), "strikes": 5000, "locked_s": 0.0}
    door = Door()
    door.state = State.restore(record, replace(door.now, monotonic_s=2000.0))
    door.m = 2000.0
    assert strike(door).locked_s == 900.0


def test_ok__the_exponent_is_bounded() -> None:
    door = Door(replace(RULES, lockout_base_s=2.0**-60))
    door.state = State.restore({**GOOD, "strikes": 5000, "locked_s": 0.0}, door.now)
    assert strike(door).locked_s == 1.0


def test_ok__nothing_to_keep_at_first() -> None:
    assert State().persistent() == {}
    door = Door()
    for record in (None, {}):
        assert State.restore(record, door.now) == State()


def test_ok__the_record_is_json_and_changes_only_by_a_strike() -> None:
    door = locked_out()
    record = door.state.persistent()
    assert json.loads(json.dumps(record)) == record
    assert record == {
        "schema": 1,
        "strikes": 5,
        "boot_id": "boot-1",
        "monotonic_s": door.m - 1.125,
        "wall_s": door.wall - 1.125,
        "clock_trusted": True,
        "locked_s": 30.0,
    }
    door.watch(face(), stranger(track=2), frames=50)
    assert door.state.persistent() == record


def test_fail__a_restart_of_the_process_keeps_the_lockout() -> None:
    door = locked_out()
    until, record = door.state.strikes.calm_s, door.state.persistent()
    door.pass_time(5)
    door.wall -= 1e6
    door.restart()
    assert (door.state.strikes.calm_s, door.state.persistent()) == (until, record)
    assert (door.state.tracks, door.state.attempts) == ({}, 0)
    assert door.watch(face())[0].reason == "locked_out"


def reboot(door: Door, wall_s: float, trusted: bool = True) -> float:
    """Seconds of lockout after a reboot that left the wall clock `wall_s` later."""
    door.m, door.wall, door.trusted = 10.0, door.wall + wall_s, trusted
    door.restart(boot="boot-2")
    return left_s(door)


@pytest.mark.parametrize(
    ("wall_s", "left"),
    [(0.0, 30.0 - 1.125), (20.0, 30.0 - 21.125), (28.875, 0.0), (1e6, 0.0), (-1.125, 30.0), (-3600.0, 30.0)],
)
def test_fail__a_reboot_by_a_good_clock(wall_s: float, left: float) -> None:
    assert reboot(locked_out(), wall_s) == left


@pytest.mark.parametrize("wall_s", [0.0, 1e6, -3600.0])
def test_fail__a_reboot_without_a_good_clock_begins_it_anew(wall_s: float) -> None:
    assert reboot(locked_out(), wall_s, trusted=False) == 30.0
    door = Door()
    door.trusted = False
    for _ in range(5):
        strike(door)
    assert reboot(door, wall_s, trusted=True) == 30.0
    door.m = 100.0
    assert reboot(door, 0.0, trusted=False) == 30.0


def test_fail__a_clock_of_1970_is_not_good() -> None:
    door = locked_out()
    assert reboot(door, -WALL) == 30.0
    assert door.state.persistent()["clock_trusted"] is False


def test_fail__a_wall_clock_that_is_no_number() -> None:
    door = Door()
    door.wall, door.trusted = math.nan, True
    for _ in range(5):
        strike(door)
    assert door.state.persistent()["wall_s"] == 0.0
    assert door.state.persistent()["clock_trusted"] is False
    assert reboot(door, 0.0) == 30.0


def test_fail__monotonic_time_ran_back_in_the_same_boot() -> None:
    door = locked_out()
    door.m -= 500
    door.wall += 1e6
    door.restart()
    assert left_s(door) == 30.0


def test_ok__strikes_and_calm_survive_a_reboot() -> None:
    door = locked_out()
    assert reboot(door, 30.0 + 3000.0) == 0.0
    door.pass_time(500)
    assert strike(door).strikes == 6
    door = locked_out()
    reboot(door, 30.0 + 3000.0)
    door.pass_time(600)
    assert strike(door).strikes == 1


def test_fail__reboot_after_reboot() -> None:
    door = locked_out()
    for _ in range(5):
        assert reboot(door, 100.0, trusted=False) == 30.0
        door.pass_time(1)


GOOD = {
    "schema": 1,
    "strikes": 5,
    "boot_id": "boot-1",
    "monotonic_s": 990.0,
    "wall_s": WALL,
    "clock_trusted": True,
    "locked_s": 30.0,
}


def test_ok__the_good_record() -> None:
    assert State.restore(GOOD, Door().now).strikes.calm_s == 1020.0


@pytest.mark.parametrize(
    "wrong",
    [
        {"schema": 2},
        {"schema": None},
        {"strikes": -1},
        {"strikes": 5.0},
        {"strikes": True},
        {"boot_id": 7},
        {"monotonic_s": "990"},
        {"monotonic_s": math.nan},
        {"wall_s": math.inf},
        {"wall_s": None},
        {"wall_s": False},
        {"clock_trusted": 1},
        {"locked_s": math.nan},
        {"locked_s": None},
        {"locked_s": 10**400},
        {"monotonic_s": -(10**400)},
    ],
    ids=str,
)
def test_fail__a_record_that_cannot_be_read_locks_out(wrong: dict[str, Any]) -> None:
    door = Door()
    door.state = State.restore({**GOOD, **wrong}, door.now)
    assert (left_s(door), door.state.strikes.count) == (900.0, 0)
    door.pass_time(100)
    door.restart()
    assert left_s(door) == 800.0
    door.pass_time(800)
    assert door.watch(face())[0].granted


@pytest.mark.parametrize("record", [[], [GOOD], "", "schema", 0, 1, 1.5, False, True, [["schema", 1]]], ids=repr)
def test_fail__a_record_that_is_no_mapping_locks_out(record: object) -> None:
    """JSON holds more than mappings: also an empty list is nothing that was ever kept."""
    door = Door()
    door.state = State.restore(record, door.now)
    assert (left_s(door), door.state.strikes.count) == (900.0, 0)
    assert not door.watch(face())[0].granted


@pytest.mark.parametrize("monotonic_s", [math.nan, math.inf, -math.inf])
def test_fail__no_process_starts_at_a_time_that_is_none(monotonic_s: float) -> None:
    """A lockout that ends at NaN would be none."""
    for record in (GOOD, {}, None, {"schema": 2}):
        with pytest.raises(ValueError, match="monotonic_s"):
            State.restore(record, replace(Door().now, monotonic_s=monotonic_s))


@pytest.mark.parametrize(
    "extreme",
    [{"strikes": 10**400}, {"locked_s": sys.float_info.max}, {"wall_s": -sys.float_info.max}, {"note": "more"}],
    ids=str,
)
def test_ok__a_record_at_the_ends_of_its_range_is_whole(extreme: dict[str, Any]) -> None:
    """A count has no largest number, seconds have that of a float; further keys are left out."""
    kept = State.restore({**GOOD, **extreme}, Door().now).persistent()
    assert kept == {key: value for key, value in {**GOOD, **extreme}.items() if key in GOOD}


@pytest.mark.parametrize("key", sorted(GOOD))
def test_fail__a_record_that_lacks_something_locks_out(key: str) -> None:
    door = Door()
    door.state = State.restore({name: GOOD[name] for name in GOOD if name != key}, door.now)
    assert left_s(door) == 900.0


def test_ok__no_strikes_at_all_is_a_good_record_too() -> None:
    state = State.restore({**GOOD, "strikes": 0, "locked_s": 0.0}, Door().now)
    assert state.persistent() == {}


def test_ok__a_restart_in_the_same_moment_keeps_the_record() -> None:
    now = replace(Door().now, monotonic_s=GOOD["monotonic_s"], wall_s=WALL + 5)
    assert State.restore(GOOD, now).persistent() == GOOD


def test_fail__half_a_second_of_distrust_is_kept() -> None:
    record = {**GOOD, "strikes": 0, "locked_s": 0.5}
    assert State.restore(record, Door().now).persistent() == record
