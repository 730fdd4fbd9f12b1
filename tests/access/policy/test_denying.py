"""Who is not let in, why, and what they may do next."""

from __future__ import annotations

from dataclasses import replace

import pytest

from device.access.policy import NEVER, DoorFacts, FaceView, PersonRules, Schedule, threshold
from tests.access.policy.scene import LIVE, PENDING, POINTS, RULES, SPOOF, WALL, Door, face, stranger

WEEKLY = Schedule.parse({"timezone": "UTC", "windows": [{"days": ["wed"], "from": "00:00", "to": "24:00"}]})


def test_fail__a_stranger_is_unknown_after_fifteen_frames() -> None:
    door = Door()
    assert door.watch(stranger(), frames=14) == []
    [decision] = door.see(stranger())
    assert (decision.granted, decision.reason, decision.ended) == (False, "unknown", "evidence")
    assert (decision.person, decision.similarity, decision.frames) == ("", 0.1, 15)
    limit = threshold(POINTS, 1e-4, 1)
    assert (decision.threshold, decision.fmr, decision.measured) == (limit.cosine, limit.fmr, limit.measured)
    assert not decision.strike


def test_fail__the_unknown_stay_unknown_until_they_leave() -> None:
    door = Door()
    door.watch(stranger(), frames=15)
    assert door.state.tracks[1].phase == "spent"
    assert door.watch(face(), frames=100) == []
    door.leave()
    assert door.watch(face())[0].granted


def test_fail__an_empty_gallery_knows_nobody() -> None:
    decision = Door(people=0).until_decided(face(""))
    assert (decision.reason, decision.similarity, decision.gallery) == ("unknown", None, 0)


def test_fail__someone_near_is_waited_for() -> None:
    door = Door()
    door.see(face(similarity=0.4))
    decision = door.until_decided(stranger())
    assert (decision.reason, decision.ended, decision.similarity) == ("unknown", "timeout", 0.4)


def test_fail__time_is_up_eight_seconds_after_the_attempt_opened() -> None:
    door = Door()
    door.watch(face(similarity=0.4))
    opened = door.m
    decision = door.until_decided(face(similarity=0.4))
    assert decision.reason == "near_miss"
    assert door.m - opened == 8.0


def test_fail__who_leaves_early_has_a_decision_too() -> None:
    door = Door()
    door.watch(stranger())
    [decision] = door.leave()
    assert (decision.reason, decision.ended, decision.frames) == ("unknown", "left", 3)


def test_fail__who_comes_back_after_leaving_is_decided_first() -> None:
    door = Door()
    door.watch(stranger())
    [decision] = door.see(face(), step=1.125)
    assert decision.ended == "left"
    door.see(face())
    assert door.see(face())[0].granted


def test_fail__a_near_miss_is_near_enough_times() -> None:
    door = Door()
    for similarity in (0.4, 0.4, 0.1):
        door.see(face(similarity=similarity))
    assert door.leave()[0].reason == "unknown"
    door.watch(face(similarity=0.4))
    [decision] = door.leave()
    assert (decision.reason, decision.strike, decision.person) == ("near_miss", True, "")


@pytest.mark.parametrize(("similarity", "reason"), [(0.34, "near_miss"), (0.3399, "unknown")])
def test_fail__how_near_is_near(similarity: float, reason: str) -> None:
    assert Door().until_decided(face(similarity=similarity)).reason == reason


def test_fail__exactly_as_near_as_asked() -> None:
    door = Door(replace(RULES, target_fmr=0.5, near_margin=0.125))  # So the threshold is 0.25.
    assert door.until_decided(face(similarity=0.125)).reason == "near_miss"


def test_ok__what_each_frame_says_is_kept() -> None:
    door = Door()
    for look in (face(""), face(similarity=0.1), face(similarity=0.4), face(runner_up=0.69), face()):
        door.see(look)
    votes = door.state.tracks[1].votes
    assert [vote.closeness for vote in votes] == ["unknown", "unknown", "near", "ambiguous", "accept"]


@pytest.mark.parametrize("people", [0, -3])
def test_fail__a_gallery_of_nobody_that_matches_all_the_same(people: int) -> None:
    assert Door(people=people).until_decided(face(similarity=0.4, gallery=people)).gallery == 0


def test_fail__near_several_people_is_near_nobody() -> None:
    door = Door(people=1)
    for person in ("ana", "bo", "ana", "bo"):
        door.see(face(person, 0.4))
    assert door.leave()[0].reason == "unknown"


@pytest.mark.parametrize(
    ("looks", "reason", "person"),
    [
        ([face(liveness=PENDING)] * 3 + [face("bo", 0.4)] * 4, "near_miss", ""),
        ([face("bo", liveness=PENDING)] * 4 + [face(similarity=0.4)] * 3, "liveness", "bo"),
        ([face("bo", liveness=PENDING)] * 3 + [face(similarity=0.4)] * 3, "liveness", "bo"),
        ([face(similarity=0.4)] * 3 + [face("bo", liveness=PENDING)] * 3, "liveness", "bo"),
        ([face(similarity=0.4)] * 3 + [face("bo", liveness=PENDING)] * 2 + [face("bo", 0.4)], "near_miss", ""),
        ([face("bo", liveness=PENDING)] * 3 + [face("ana", liveness=PENDING)] * 3, "liveness", "ana"),
        ([face("ana", liveness=PENDING)] * 3 + [face("bo", liveness=PENDING)] * 3, "liveness", "ana"),
    ],
)
def test_fail__whom_the_frames_name_most(looks: list[FaceView], reason: str, person: str) -> None:
    door = Door()
    for look in looks:
        assert door.see(look) == ()
    [decision] = door.leave()
    assert (decision.reason, decision.person) == (reason, person)


def test_fail__two_people_alike() -> None:
    door = Door()
    twin = face(similarity=0.8, runner_up=0.79)
    decision = door.until_decided(twin)
    assert (decision.reason, decision.strike, decision.person) == ("ambiguous", False, "")
    assert (decision.similarity, decision.runner_up) == (0.8, 0.79)


def test_fail__alike_in_one_frame_of_three() -> None:
    door = Door()
    door.watch(face(), frames=2)
    door.see(face(runner_up=0.69))
    assert door.leave()[0].reason == "ambiguous"


def test_fail__strong_in_two_frames_of_three() -> None:
    door = Door()
    door.watch(face(), frames=2)
    door.see(face(similarity=0.4))
    [decision] = door.leave()
    assert (decision.reason, decision.person, decision.similarity) == ("near_miss", "", 0.7)


def test_fail__the_best_frame_stands_for_the_attempt() -> None:
    door = Door(people=1)
    for similarity, runner_up in ((0.3, 0.1), (0.5, 0.49), (0.5, 0.45), (0.2, 0.0)):
        door.see(face(similarity=similarity, runner_up=runner_up))
    [decision] = door.leave()
    assert (decision.similarity, decision.runner_up) == (0.5, 0.49)


def test_fail__a_picture() -> None:
    door = Door()
    assert door.watch(face(liveness=SPOOF), frames=2) == []
    [decision] = door.see(face(liveness=SPOOF))
    assert (decision.reason, decision.ended, decision.strike) == ("liveness", "evidence", True)
    assert (decision.person, decision.liveness, decision.frames) == ("ana", 0.1, 3)


def test_fail__once_a_picture_always_a_picture() -> None:
    door = Door()
    door.see(face(liveness=SPOOF))
    door.see(face())
    [decision] = door.see(face())
    assert (decision.reason, decision.liveness) == ("liveness", 0.9)
    assert door.watch(face(), frames=200) == []


def test_fail__a_picture_shown_in_the_middle() -> None:
    door = Door()
    door.watch(face(similarity=0.4), frames=5)
    [decision] = door.see(face(liveness=SPOOF))
    assert (decision.reason, decision.person) == ("liveness", "")


def test_fail__a_picture_of_a_stranger_is_no_strike() -> None:
    [decision] = Door().watch(stranger(liveness=SPOOF))
    assert (decision.reason, decision.strike) == ("liveness", False)


def test_fail__never_shown_to_be_alive() -> None:
    door = Door()
    decision = door.until_decided(face(liveness=PENDING))
    assert (decision.reason, decision.ended, decision.strike) == ("liveness", "timeout", True)
    assert decision.person == "ana"
    assert door.watch(face(), frames=100) == []


def test_fail__gone_before_liveness_is_sure() -> None:
    door = Door()
    door.watch(face(liveness=PENDING))
    [decision] = door.leave()
    assert (decision.reason, decision.ended, decision.strike) == ("liveness", "left", False)


def test_fail__a_face_swapped_in() -> None:
    door = Door()
    door.watch(stranger(), frames=4)
    [decision] = door.watch(face(), frames=3)
    assert (decision.reason, decision.person, decision.strike) == ("identity_changed", "ana", False)
    assert (decision.ended, decision.frames, decision.similarity) == ("evidence", 3, 0.7)
    assert door.watch(face(), frames=200) == []


def test_ok__a_few_frames_of_somebody_else_may_be_chance() -> None:
    door = Door()
    door.watch(stranger(), frames=3)
    assert door.watch(face(), frames=3)[0].granted


@pytest.mark.parametrize(("similarity", "reason"), [(0.25, "recognised"), (0.2499, "identity_changed")])
def test_ok__somewhat_like_the_person_is_the_person(similarity: float, reason: str) -> None:
    door = Door()
    door.watch(face(similarity=similarity), frames=4)
    assert door.watch(face())[0].reason == reason


def test_fail__somewhat_like_another_is_another() -> None:
    door = Door()
    door.watch(face("bo", 0.3), frames=4)
    assert door.watch(face())[0].reason == "identity_changed"


def test_fail__another_person_was_recognised_in_the_same_track() -> None:
    door = Door()
    door.see(face("bo"))
    assert door.watch(face())[0].reason == "identity_changed"


def test_fail__the_swap_is_remembered_over_a_second_attempt() -> None:
    door = Door(replace(RULES, attempt_timeout_s=1.0))
    assert door.until_decided(face("bo", 0.4)).reason == "near_miss"
    door.watch(face(quality=("blurred",)), frames=24)
    assert door.until_decided(face()).reason == "identity_changed"


def test_fail__swapped_and_gone() -> None:
    door = Door()
    door.watch(stranger(), frames=4)
    for _ in range(3):
        door.see(face(), step=0.9375)
        door.see(stranger(), step=0.9375)
    assert door.leave()[0].reason == "identity_changed"


def test_fail__too_slow_to_agree() -> None:
    door = Door(replace(RULES, window_s=0.5))
    for _ in range(3):
        door.see(face(), step=0.375)
    [decision] = door.leave()
    assert (decision.reason, decision.person, decision.ended) == ("unsteady", "ana", "left")


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


@pytest.mark.parametrize("reason", ["near_miss", "ambiguous", "tampered", "fault", "clock", "door_open"])
def test_ok__who_stays_may_try_again_after_a_pause(reason: str) -> None:
    door = Door(replace(RULES, attempt_timeout_s=1.0))
    looks = {"near_miss": face(similarity=0.4), "ambiguous": face(runner_up=0.69)}.get(reason, face())
    if reason == "tampered":
        door.door = DoorFacts("absent", tampered=True)
    elif reason == "door_open":
        door.door = DoorFacts("open")
    elif reason == "fault":
        door.fault = "no model"
    elif reason == "clock":
        door.trusted, looks = False, replace(looks, person=PersonRules(valid_from=1.0))
    decision = door.until_decided(looks)
    assert decision.reason == reason
    decided, door.door, door.fault, door.trusted = door.m, DoorFacts(), "", True
    again = door.until_decided(replace(looks, match=face().match))
    assert (again.reason, again.attempt, again.frames) == ("recognised", 2, 3)
    assert door.m - decided == 3.0 + 0.25


@pytest.mark.parametrize(
    "rules", [PersonRules(schedule=NEVER), PersonRules(valid_from=9e9), PersonRules(valid_until=1.0)]
)
def test_fail__who_may_not_enter_now_has_to_leave_first(rules: PersonRules) -> None:
    door = Door()
    assert not door.watch(face(rules=rules))[0].granted
    assert door.watch(face(), frames=100) == []


def test_fail__a_running_attempt_ends_when_the_door_is_closed_down() -> None:
    door = Door()
    door.watch(face(liveness=PENDING), stranger(track=2), frames=3)
    door.see(face(liveness=PENDING), face("bo", track=5), stranger(track=2))
    decisions = door.close()
    assert [(d.track, d.reason, d.ended, d.person) for d in decisions] == [
        (1, "stopped", "stopped", ""),
        (2, "stopped", "stopped", ""),
    ]
    assert (decisions[0].similarity, decisions[0].gallery, decisions[0].frames) == (0.7, 1, 4)
    assert not door.state.tracks
    assert door.close() == ()


def test_fail__closed_before_anything_was_seen() -> None:
    assert Door().close() == ()
    assert LIVE.score == 0.9
