"""Other rules or another gallery while somebody stands at the door: the evidence begins anew, the attempt goes on."""

from __future__ import annotations

import copy
from dataclasses import replace

from device.access.policy import DoorFacts
from tests.access.policy.scene import PENDING, RULES, SPOOF, Door, face, stranger

OTHER = replace(RULES, near_margin=0.07)
BEHIND = {"track": 2, "area": 5_000}


def test_fail__other_rules_begin_the_evidence_anew() -> None:
    door = Door()
    door.watch(face(), frames=2)
    door.rules = replace(RULES, near_margin=0.07)
    assert door.watch(face(), frames=2) == []
    assert door.see(face())[0].frames == 3


def test_fail__another_gallery_begins_the_evidence_anew() -> None:
    door = Door()
    door.watch(face(), frames=2)
    door.people = 2
    assert door.watch(face(), frames=2) == []
    door.rules = copy.copy(RULES)  # Equal rules are the same rules.
    assert door.see(face())[0].granted


def test_ok__a_grant_outlives_other_rules() -> None:
    door = Door()
    door.watch(face())
    granted = door.state.tracks[1]
    door.rules = replace(RULES, near_margin=0.07)
    assert door.watch(face(), frames=20) == []
    assert door.state.tracks[1] == replace(granted, seen_s=door.m)


def test_fail__an_attempt_goes_on_with_its_time() -> None:
    door = Door()
    door.watch(face(similarity=0.4))
    opened = door.m
    door.rules = OTHER
    decision = door.until_decided(face(similarity=0.4))
    assert (decision.reason, decision.attempt, door.m - opened) == ("near_miss", 1, 8.0)
    assert decision.frames == 67


def test_fail__what_was_seen_before_says_nothing_any_more() -> None:
    door = Door()
    door.watch(face(liveness=PENDING), frames=5)
    door.rules = OTHER
    [decision] = door.leave()
    assert (decision.reason, decision.similarity, decision.person, decision.frames) == ("stale", None, "", 5)


def test_fail__two_frames_after_the_change_are_not_three() -> None:
    door = Door()
    door.watch(face(similarity=0.4), frames=5)
    door.rules = OTHER
    door.watch(face(similarity=0.4), frames=2)
    assert door.leave()[0].reason == "stale"


def test_fail__who_was_near_before_is_unknown_after() -> None:
    door = Door()
    door.watch(face(similarity=0.4), frames=5)
    door.rules = OTHER
    assert door.watch(stranger(), frames=14) == []
    [decision] = door.see(stranger())
    assert (decision.reason, decision.similarity) == ("unknown", 0.1)


def test_fail__who_was_held_before_is_held_no_more() -> None:
    door = Door()
    door.door = DoorFacts("open")
    assert door.watch(face()) == []
    door.rules = replace(RULES, window_s=0.25)
    for _ in range(3):
        door.see(face(), step=0.5)
    assert door.leave()[0].reason == "unsteady"


def test_fail__a_companion_has_to_be_recognised_again() -> None:
    door = Door()
    assert door.watch(face(liveness=PENDING), face("bo", **BEHIND)) == []
    door.rules = OTHER
    assert door.watch(face(), face("bo", quality=("blurred",), **BEHIND)) == []
    door.see(face(), face("bo", **BEHIND))
    door.see(face(), face("bo", **BEHIND))
    assert [d.track for d in door.see(face(), face("bo", **BEHIND))] == [1]


def test_fail__a_picture_stays_a_picture() -> None:
    door = Door()
    door.watch(face(liveness=SPOOF), frames=2)
    door.rules = OTHER
    assert door.see(face())[0].reason == "liveness"


def test_fail__a_face_swapped_in_is_remembered() -> None:
    door = Door()
    door.watch(stranger(), frames=4)
    door.people = 2
    assert door.watch(face())[0].reason == "identity_changed"


def test_fail__closing_under_other_rules() -> None:
    door = Door()
    door.watch(face(liveness=PENDING))
    door.rules = OTHER
    [decision] = door.close()
    assert (decision.reason, decision.similarity) == ("stopped", None)
    assert door.state.rules == OTHER


def test_ok__who_may_try_again_is_still_known_to_have_been_there() -> None:
    door = Door(replace(RULES, attempt_timeout_s=1.0, track_gone_s=10.0))
    assert door.until_decided(face(similarity=0.4)).reason == "near_miss"
    seen = door.m
    door.tick(step=3.0)
    assert (door.state.tracks[1].phase, door.state.tracks[1].seen_s) == ("watching", seen)
    door.tick(step=7.125)
    assert not door.state.tracks
