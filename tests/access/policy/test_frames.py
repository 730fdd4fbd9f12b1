"""A stale or repeated frame never opens, and the monotonic clock only goes on."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.access.policy.scene import PENDING, RULES, SPOOF, Door, face, stranger


def test_fail__repeated_pictures_open_nothing() -> None:
    door = Door()
    door.see(face())
    decisions = door.watch(face(), frames=2)
    assert decisions[0].granted
    door = Door()
    for _ in range(100):
        assert not any(decision.granted for decision in door.see(face(), digest="the same"))
    assert [(decision.reason, decision.ended) for decision in door.told] == [("stale", "timeout")]
    assert (door.told[0].frames, door.told[0].similarity) == (67, 0.7)


def test_fail__two_fresh_frames_and_repeats() -> None:
    door = Door()
    door.watch(face(), frames=2)
    for _ in range(6):
        assert door.see(face(), digest="picture 2") == ()
    [decision] = door.leave()
    assert (decision.reason, decision.frames) == ("stale", 8)


def test_fail__a_repeat_of_an_earlier_picture() -> None:
    door = Door(replace(RULES, digest_memory=2))
    for digest, grants in (("a", 0), ("b", 0), ("a", 0), ("b", 0), ("c", 1)):
        assert sum(decision.granted for decision in door.see(face(), digest=digest)) == grants


def test_ok__pictures_are_remembered_for_a_while_only() -> None:
    door = Door(replace(RULES, digest_memory=2))
    for digest in ("a", "b", "c"):
        door.see(digest=digest)
    door.see(face(), digest="a")
    door.see(face(), digest="b")
    assert door.see(face(), digest="c")[0].granted
    assert door.state.digests == ("b", "c")


def test_fail__pictures_without_a_face_are_remembered_too() -> None:
    door = Door()
    door.see(digest="a")
    door.watch(face(), frames=2)
    assert door.see(face(), digest="a") == ()
    assert door.see(face())[0].granted


def test_fail__no_digest() -> None:
    door = Door()
    decisions = [decision for _ in range(100) for decision in door.see(face(), digest="")]
    assert [decision.reason for decision in decisions] == ["stale"]
    assert door.state.digests == ()


def test_ok__no_digest_where_there_is_no_face() -> None:
    door = Door()
    door.see(digest="")
    assert door.state.captured_s == door.frame.captured_monotonic_s
    assert door.watch(face())[0].granted


@pytest.mark.parametrize(
    ("age", "fresh"),
    [(1.0, True), (1.0625, False), (0.0, True), (-0.0625, True), (-0.125, False), (float("nan"), False)],
)
def test_fail__too_old_or_from_the_future(age: float, fresh: bool) -> None:
    door = Door(replace(RULES, max_frame_ahead_s=0.0625))
    decisions = []
    for _ in range(3):
        decisions += door.see(face(), captured_monotonic_s=door.m + 0.125 - age)
    assert [decision.granted for decision in decisions] == ([True] if fresh else [])


def test_fail__captured_at_the_same_moment() -> None:
    door = Door()
    moment = door.m
    for _ in range(3):
        door.see(face(), step=0.0625, captured_monotonic_s=moment)
    assert door.state.tracks[1].fresh == 1
    door.see(face(), captured_monotonic_s=moment - 0.0625)
    assert door.state.tracks[1].fresh == 1
    assert door.state.captured_s == moment


def test_fail__an_earlier_index_is_stale_but_counting_goes_on_from_it() -> None:
    door = Door()
    door.see(face(), index=100)
    door.see(face(), index=50)
    assert door.state.tracks[1].fresh == 1
    door.see(face(), index=51)
    assert door.see(face(), index=52)[0].granted


def test_ok__the_first_frame_may_have_any_index() -> None:
    door = Door()
    door.see(face(), index=-5)
    door.see(face(), index=-4)
    assert door.see(face(), index=-3)[0].granted


def test_ok__a_tick_lets_time_go_on_and_looks_at_nothing() -> None:
    door = Door()
    door.watch(face(liveness=PENDING))
    fresh = door.state.tracks[1]
    door.pass_time(0.125)
    assert door.call(face(), face()) == ()
    assert door.state.tracks[1] == fresh
    for _ in range(7):
        assert door.tick() == ()
    assert door.tick()[0].ended == "left"


def test_ok__a_timeout_by_a_tick() -> None:
    door = Door(replace(RULES, track_gone_s=60.0))
    door.watch(face(similarity=0.4))
    assert door.tick(step=7.875) == ()
    assert [(d.reason, d.ended) for d in door.tick()] == [("near_miss", "timeout")]


def test_ok__a_stale_frame_shows_that_somebody_is_still_there() -> None:
    door = Door()
    door.watch(face(), frames=2)
    assert door.see(face(), digest="", step=0.9375) == ()
    [decision] = door.see(face(), step=0.9375)
    assert (decision.granted, decision.attempt, decision.frames) == (True, 1, 3)


def test_fail__a_picture_in_stale_frames_is_still_a_picture() -> None:
    door = Door()
    decisions = [decision for _ in range(3) for decision in door.see(face(liveness=SPOOF), digest="")]
    assert [(decision.reason, decision.strike) for decision in decisions] == [("liveness", False)]


def test_fail__the_monotonic_clock_ran_back() -> None:
    door = Door()
    door.watch(face(), frames=2)
    moment = door.m
    [decision] = door.see(face(), step=-1.0)
    assert (decision.reason, decision.detail) == ("fault", "the monotonic clock ran back")
    assert door.state.monotonic_s == moment
    assert door.state.tracks[1].fresh == 2


@pytest.mark.parametrize("moment", [float("nan"), float("inf"), float("-inf")])
def test_fail__no_monotonic_clock(moment: float) -> None:
    door = Door()
    door.m = moment
    for _ in range(2):
        assert door.see(face(), captured_monotonic_s=0.0) == ()
    [decision] = door.see(face(), captured_monotonic_s=0.0)
    assert decision.reason == "fault"
    assert door.state.monotonic_s == 0.0


def test_ok__the_same_moment_again_is_no_fault() -> None:
    door = Door()
    for moment in (0.25, 0.125, 0.0625):
        decisions = door.see(face(), step=0.0, captured_monotonic_s=door.m - moment)
    assert decisions[0].granted


def test_ok__nobody_is_there() -> None:
    door = Door()
    assert door.watch(frames=100) == []
    assert not door.state.tracks
    assert len(door.state.digests) == 16


def test_fail__stale_frames_keep_a_stranger_from_being_unknown() -> None:
    door = Door()
    door.watch(stranger(), frames=2)
    for _ in range(50):
        assert door.see(stranger(), digest="") == ()
    assert door.leave()[0].reason == "stale"
