"""Who is not let in, why, and what they may do next."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from device.access.policy import NEVER, DoorFacts, FaceView, PersonRules, threshold
from tests.access.policy.scene import LIVE, PENDING, POINTS, RULES, SPOOF, Door, face, stranger


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


def test_ok__a_picture_is_not_live_where_liveness_is_off() -> None:
    door = Door(replace(RULES, liveness_required=False))
    for liveness in (SPOOF, PENDING):
        door.see(face(liveness=liveness))
    assert [vote.live for vote in door.state.tracks[1].votes] == [False, True]


def test_ok__a_face_like_nobody_votes_for_a_gallery_as_large_as_it_is() -> None:
    door = Door(people=0)
    door.see(face(""))
    assert [vote.gallery for vote in door.state.tracks[1].votes] == [0]


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


def test_fail__alive_in_two_frames_of_three() -> None:
    door = Door()
    door.see(face(liveness=PENDING))
    assert door.watch(face(), frames=2) == []
    [decision] = door.leave()
    assert (decision.reason, decision.person) == ("liveness", "ana")


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


@pytest.mark.parametrize("rules", [PersonRules(), PersonRules(schedule=NEVER)])
def test_fail__who_changed_or_may_not_enter_is_proven_to_nobody(rules: PersonRules) -> None:
    door = Door()
    door.watch(stranger(), frames=4 if rules == PersonRules() else 0)
    assert not door.watch(face(rules=rules))[0].granted
    assert (door.state.tracks[1].proven, door.state.tracks[1].proven_s) == ("", -math.inf)


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
