"""Several people in the zone: nobody rides in on another's grant."""

from __future__ import annotations

from dataclasses import replace

import pytest

from device.access.policy import NEVER, DoorFacts, FaceView, PersonRules
from tests.access.policy.scene import PENDING, RULES, SPOOF, Door, face, stranger

BEHIND = {"track": 2, "area": 5_000}


def policy(several_people: str) -> Door:
    return Door(replace(RULES, several_people=several_people))  # type: ignore[arg-type]


def test_fail__a_stranger_behind() -> None:
    door = Door()
    decisions = door.watch(face(), stranger(**BEHIND), frames=70)
    assert [(d.track, d.reason, d.ended) for d in decisions] == [
        (2, "unknown", "evidence"),
        (1, "several_people", "timeout"),
    ]
    assert decisions[1].person == "ana"


def test_ok__the_stranger_leaves_and_the_door_opens() -> None:
    door = Door()
    assert door.watch(face(), stranger(**BEHIND), frames=5) == []
    assert door.watch(face(), frames=4) == []
    assert door.see(face())[0].granted


def test_ok__out_of_the_zone_nobody_stands_in_the_way() -> None:
    door = Door()
    assert door.watch(face(), stranger(in_zone=False, area=90_000, track=2))[0].granted


def test_ok__ignored_by_policy() -> None:
    assert policy("ignore").watch(face(), stranger(**BEHIND))[0].granted


def test_fail__refused_by_policy_even_where_recognised() -> None:
    door = policy("refuse")
    decisions = door.watch(face(), face("bo", **BEHIND), frames=70)
    assert {(d.track, d.reason) for d in decisions} == {(1, "several_people"), (2, "several_people")}
    door = policy("refuse")
    assert door.watch(face())[0].granted


def test_ok__two_who_are_both_recognised() -> None:
    door = Door()
    decisions = door.watch(face(), face("bo", **BEHIND), frames=4)
    assert [(d.track, d.person, d.granted) for d in decisions] == [(1, "ana", True), (2, "bo", True)]


def test_ok__one_grant_a_frame() -> None:
    door = Door()
    assert [d.track for d in door.watch(face(), face("bo", **BEHIND), frames=3)] == [1]
    assert [d.track for d in door.see(face(), face("bo", **BEHIND))] == [2]


@pytest.mark.parametrize(
    ("areas", "first"), [((9.0, 10.0), 2), ((10.0, 10.0), 1), ((float("nan"), 1.0), 2), ((-5.0, 0.0), 1)]
)
def test_ok__the_largest_face_first(areas: tuple[float, float], first: int) -> None:
    door = policy("ignore")
    decisions = door.watch(face(area=areas[0]), face("bo", track=2, area=areas[1]))
    assert [decision.track for decision in decisions] == [first]


def test_ok__the_order_of_the_faces_does_not_matter() -> None:
    door = policy("ignore")
    assert [d.track for d in door.watch(face("bo", track=2, area=5), face(area=5))] == [1]
    assert [d.attempt for d in door.told] == [2]


def test_fail__not_the_largest() -> None:
    door = policy("ignore")
    decisions = door.watch(face(), stranger(track=2, area=90_000), frames=70)
    assert [(d.track, d.reason) for d in decisions] == [(2, "unknown"), (1, "several_people")]


def test_fail__the_largest_has_a_bad_picture() -> None:
    door = policy("ignore")
    decisions = door.watch(face(), face("bo", track=2, area=90_000, quality=("blurred",)), frames=70)
    assert [(d.track, d.reason) for d in decisions] == [(1, "several_people")]


def test_fail__two_faces_of_one_person() -> None:
    door = Door()
    decisions = door.watch(face(), face(**BEHIND), frames=70)
    assert {(d.track, d.reason) for d in decisions} == {(1, "several_people"), (2, "several_people")}


def test_fail__a_second_face_of_the_one_just_let_in() -> None:
    door = Door()
    door.watch(face())
    decisions = door.watch(face(), face(**BEHIND), frames=70)
    assert [(d.track, d.reason) for d in decisions] == [(2, "several_people")]
    door.rules = replace(RULES, near_margin=0.07)
    assert not any(d.granted for d in door.watch(face(), face(**BEHIND), frames=30))


def test_ok__somebody_else_after_the_one_just_let_in() -> None:
    door = Door()
    door.watch(face())
    assert [d.track for d in door.watch(face(), face("bo", **BEHIND))] == [2]


@pytest.mark.parametrize(
    "companion",
    [
        face("bo", liveness=PENDING, **BEHIND),
        face("bo", rules=PersonRules(schedule=NEVER), **BEHIND),
        face("bo", similarity=0.4, **BEHIND),
        face("bo", quality=("blurred",), **BEHIND),
        face("bo", liveness=SPOOF, **BEHIND),
    ],
    ids=["not live", "never", "near", "blurred", "picture"],
)
def test_fail__a_companion_who_is_not_recognised(companion) -> None:  # type: ignore[no-untyped-def]
    door = Door()
    decisions = door.watch(face(), companion, frames=40)
    assert not any(decision.granted for decision in decisions)


def test_fail__a_companion_who_changed() -> None:
    door = Door()
    door.watch(stranger(**BEHIND), frames=4)
    assert not any(d.granted for d in door.watch(face(), face("bo", **BEHIND), frames=20))


def test_fail__a_companion_proven_and_then_found_out() -> None:
    door = Door()
    big = {"track": 3, "area": 90_000}
    assert door.watch(face(), face("bo", **BEHIND), stranger(**big), frames=3) == []
    door.watch(face(), face("bo", **BEHIND), frames=3)
    decisions = door.see(face(), face("bo", liveness=SPOOF, **BEHIND))
    assert [(d.track, d.reason) for d in decisions] == [(2, "liveness")]
    assert door.see(face(), face("bo", **BEHIND)) == ()


@pytest.mark.parametrize(("unseen_s", "granted"), [(0.5, True), (0.5625, False)])
def test_ok__a_companion_stays_recognised_for_half_a_second(unseen_s: float, granted: bool) -> None:
    door = Door()
    front = face(liveness=PENDING)
    assert door.watch(front, face("bo", **BEHIND)) == []
    poor = face("bo", quality=("blurred",), **BEHIND)
    for step in (unseen_s / 2, unseen_s / 4):
        door.see(face(), poor, step=step)
    decisions = door.see(face(), poor, step=unseen_s / 4)
    assert [decision.granted for decision in decisions] == [True] * granted


@pytest.mark.parametrize(("away_s", "granted"), [(0.5, False), (0.5625, True)])
def test_fail__who_was_there_half_a_second_ago_is_still_there(away_s: float, granted: bool) -> None:
    door = Door()
    door.watch(face(), stranger(**BEHIND))
    assert any(decision.granted for decision in door.see(face(), step=away_s)) == granted


def test_fail__the_door_is_open() -> None:
    door = Door()
    door.door = DoorFacts("open")
    decision = door.until_decided(face())
    assert (decision.reason, decision.ended, decision.person) == ("door_open", "timeout", "ana")


def test_ok__the_door_closes_in_time() -> None:
    door = Door()
    door.door = DoorFacts("open")
    assert door.watch(face(), frames=20) == []
    door.door = DoorFacts("closed")
    assert door.see(face())[0].granted


@pytest.mark.parametrize("look", [face(similarity=0.4), face(liveness=PENDING), face("bo", 0.4)])
def test_fail__the_door_closes_while_the_newest_frame_does_not_agree(look: FaceView) -> None:
    door = Door()
    door.door = DoorFacts("open")
    assert door.watch(face(), frames=4) == []
    door.door = DoorFacts("closed")
    assert door.see(look) == ()
    assert door.see(face())[0].granted


def test_ok__the_door_may_be_open_by_policy() -> None:
    door = Door(replace(RULES, grant_while_open=True))
    door.door = DoorFacts("open")
    assert door.watch(face())[0].granted


def test_fail__held_and_gone() -> None:
    door = Door()
    door.door = DoorFacts("open")
    door.watch(face(), stranger(**BEHIND), frames=3)
    assert [d.reason for d in door.leave()] == ["several_people", "unknown"]
    door.watch(face(), frames=3)
    assert [d.reason for d in door.leave()] == ["door_open"]


def test_fail__held_under_other_rules_is_held_no_more() -> None:
    door = Door()
    door.watch(face(), stranger(**BEHIND), frames=3)
    door.rules = replace(RULES, near_margin=0.07)
    for _ in range(3):
        door.see(face(), stranger(**BEHIND), step=0.9375)
    assert [d.reason for d in door.leave()] == ["several_people", "unknown"]


def test_fail__held_longer_than_time_allows() -> None:
    door = Door()
    decisions = door.watch(face(), face(quality=("blurred",), **BEHIND), frames=66)
    assert decisions == []
    assert door.see(face(), face(quality=("blurred",), **BEHIND))[0].reason == "several_people"


def test_ok__forty_faces() -> None:
    door = policy("ignore")
    crowd = [stranger(track=number, area=100) for number in range(2, 41)]
    assert [d.track for d in door.watch(face(), *crowd)] == [1]
    assert len(door.watch(face(), *crowd, frames=12)) == 39
    assert [d.track for d in door.told[1:]] == [*range(3, 41), 2]  # The largest of those who wait comes last.
