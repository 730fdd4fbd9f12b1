"""Who is let in, and with which numbers."""

from __future__ import annotations

from dataclasses import replace

import pytest

from device.access.policy import DoorFacts, PersonRules, Rules, Schedule, threshold
from tests.access.policy.scene import LIVE, OFF, PENDING, POINTS, RULES, SPOOF, Door, face, stranger


def test_ok__three_good_frames_are_a_grant() -> None:
    door = Door(people=50)
    assert door.watch(face(similarity=0.9, gallery=50), frames=2) == []
    [decision] = door.see(face(similarity=0.8, runner_up=0.2, gallery=50))
    limit = threshold(POINTS, 1e-4, 50)
    assert (decision.granted, decision.reason, decision.ended) == (True, "recognised", "evidence")
    assert (decision.attempt, decision.track, decision.person) == (1, 1, "ana")
    assert (decision.similarity, decision.runner_up, decision.frames) == (0.8, 0.2, 3)
    assert (decision.threshold, decision.fmr, decision.measured) == (limit.cosine, limit.fmr, False)
    assert (decision.liveness, decision.check, decision.gallery) == (0.9, "passive", 50)
    assert (decision.strike, decision.strikes, decision.locked_s, decision.summed) == (False, 0, 0.0, 1)
    assert (decision.detail, decision.version) == ("", 1)


def test_ok__one_decision_for_as_long_as_a_person_stays() -> None:
    door = Door()
    assert len(door.watch(face(), frames=300)) == 1


def test_ok__who_left_and_comes_again_is_another_attempt() -> None:
    door = Door()
    door.watch(face())
    door.leave()
    [again] = door.watch(face())
    assert (again.granted, again.attempt) == (True, 2)


@pytest.mark.parametrize(("away_s", "grants"), [(1.0, 0), (1.125, 1)])
def test_ok__a_track_has_left_after_more_than_a_second(away_s: float, grants: int) -> None:
    door = Door()
    door.watch(face())
    door.see(face(), step=away_s)
    assert len(door.watch(face(), frames=3)) == grants


def test_ok__out_of_the_zone_is_gone() -> None:
    door = Door()
    door.watch(face())
    door.watch(face(in_zone=False), frames=9)
    assert len(door.watch(face(), frames=3)) == 1


def test_fail__outside_the_zone_nobody_is_let_in() -> None:
    door = Door()
    assert door.watch(face(in_zone=False), frames=200) == []
    assert not door.state.tracks


def test_ok__bad_frames_between_good_ones_do_not_matter() -> None:
    door, poor = Door(), face(quality=("blurred",))
    for look in (face(), poor, poor, face(), poor):
        assert door.see(look) == ()
    [decision] = door.see(face())
    assert (decision.granted, decision.frames) == (True, 3)


def test_fail__bad_frames_alone_are_no_attempt() -> None:
    door = Door()
    assert door.watch(face(quality=("too small",)), frames=200) == []
    assert door.leave() == ()
    assert door.state.attempts == 0


def test_fail__two_frames_open_nothing() -> None:
    door = Door()
    assert door.watch(face(), frames=2) == []
    assert door.leave() == ()


@pytest.mark.parametrize(("step", "reason"), [(1.0, "recognised"), (1.0625, "unsteady")])
def test_ok__the_frames_lie_within_the_window(step: float, reason: str) -> None:
    door = Door(replace(RULES, track_gone_s=10.0))
    decisions = [decision for _ in range(20) for decision in door.see(face(), step=step)]
    assert decisions[0].reason == reason


def test_ok__two_of_five_frames_may_fail() -> None:
    door = Door()
    for look in (face(), face(similarity=0.3), face(similarity=0.3), face()):
        assert door.see(look) == ()
    [decision] = door.see(face())
    assert (decision.reason, decision.frames) == ("recognised", 3)


def test_fail__three_of_six_frames_do_not_agree() -> None:
    door = Door()
    for look in (face(), face(similarity=0.3), face(similarity=0.3), face(similarity=0.3), face()):
        assert door.see(look) == ()
    assert door.see(face()) == ()
    assert door.see(face())[0].frames == 3


def test_fail__the_newest_frame_must_agree() -> None:
    door = Door(replace(RULES, agreeing_frames=2))
    assert door.see(face(liveness=PENDING)) == ()
    assert door.see(face(), step=0.125) == ()
    assert door.see(face(similarity=0.4)) == ()
    assert door.see(face(quality=("blurred",))) == ()
    assert door.see(face())[0].granted


def test_ok__frames_that_are_not_live_yet_do_not_count() -> None:
    door = Door()
    assert door.watch(face(liveness=PENDING), frames=10) == []
    assert door.watch(face(), frames=2) == []
    assert door.see(face())[0].granted


def test_ok__liveness_off_by_policy() -> None:
    door = Door(replace(RULES, liveness_required=False))
    [decision] = door.watch(face(liveness=OFF))
    assert (decision.granted, decision.liveness) == (True, None)
    door.leave()
    assert door.watch(face(liveness=PENDING))[0].granted
    door.leave()
    assert door.watch(face(liveness=SPOOF))[0].reason == "liveness"


def test_fail__liveness_off_against_the_policy() -> None:
    door = Door()
    decision = door.until_decided(face(liveness=OFF))
    assert (decision.reason, decision.liveness, decision.ended) == ("liveness", None, "timeout")


@pytest.mark.parametrize(
    ("similarity", "runner_up", "reason"),
    [
        (0.42, -1.0, "recognised"),
        (0.4199, -1.0, "near_miss"),
        (0.75, 0.6875, "ambiguous"),
        (0.75, 0.625, "recognised"),
        (0.75, float("nan"), "ambiguous"),
        (float("nan"), -1.0, "unknown"),
        (float("inf"), -1.0, "unknown"),
        (1.001, -1.0, "recognised"),
        (1.002, -1.0, "unknown"),
        (-1.002, -1.0, "unknown"),
    ],
)
def test_ok__the_threshold_and_the_second_person(similarity: float, runner_up: float, reason: str) -> None:
    decision = Door().until_decided(face(similarity=similarity, runner_up=runner_up))
    assert decision.reason == reason


def test_ok__exactly_as_far_ahead_as_asked() -> None:
    door = Door(replace(RULES, runner_up_margin=0.125))
    assert door.until_decided(face(similarity=0.75, runner_up=0.625)).reason == "recognised"


def test_ok__the_larger_gallery_asks_for_more() -> None:
    looks = face(similarity=0.5)
    assert Door(people=1).until_decided(looks).granted
    assert Door(people=50).until_decided(looks).reason == "near_miss"
    assert Door(people=1).until_decided(face(similarity=0.5, gallery=50)).gallery == 50
    assert Door(people=-3).until_decided(replace(looks, match=None, person=None)).gallery == 0


def test_fail__a_match_without_a_person() -> None:
    unnamed = face()
    assert unnamed.match is not None
    unnamed = replace(unnamed, match=replace(unnamed.match, person=""))
    assert Door().until_decided(unnamed).reason == "unknown"


def test_ok__the_state_that_was_given_is_left_as_it_was() -> None:
    door = Door()
    door.watch(face(), stranger(track=2), frames=2)
    before, picture = door.state, repr(door.state)
    door.see(face(), stranger(track=2))
    assert repr(before) == picture
    assert door.state != before


def test_ok__a_person_with_a_schedule() -> None:
    weekly = Schedule.parse({"timezone": "UTC", "windows": [{"days": ["wed"], "from": "11:00", "to": "11:10"}]})
    door = Door()
    assert door.watch(face(rules=PersonRules(schedule=weekly)))[0].granted
    door.leave()
    door.pass_time(240)
    [decision] = door.watch(face(rules=PersonRules(schedule=weekly)))
    assert (decision.reason, decision.person, decision.frames) == ("schedule", "ana", 3)


@pytest.mark.parametrize("contact", ["closed", "absent"])
def test_ok__a_door_that_is_not_open(contact: str) -> None:
    door = Door()
    door.door = DoorFacts(contact)  # type: ignore[arg-type]
    assert door.watch(face())[0].granted


def test_ok__the_rules_without_a_name_are_the_defaults() -> None:
    assert Rules(POINTS) == RULES
    assert LIVE.state == "live"
