"""Covered, blinded, turned away; and all that is none of it."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from device.capture.motion import Motion, small_grey
from device.capture.tamper import RELEARN_S, TamperWatch
from device.config import Tamper as Settings
from device.datatypes import CameraState, Frame, Image
from tests.capture.test_motion import clip_frames

Change = Callable[[Image], Image]

CLIPS = ("one-by-one-person-detection.mp4", "people-walking.mp4", "obama.mp4")


def watch(
    images: Iterator[Image], seconds: float, fps: float = 2, watcher: TamperWatch | None = None, start: float = 0
):
    """(time, on, reason) of each change of the alarm; the time in seconds."""
    watcher = watcher or TamperWatch(Settings(after_s=5))
    changes: list[tuple[float, CameraState]] = []
    for index, image in enumerate(itertools.islice(images, int(seconds * fps))):
        time_s = start + index / fps
        frame = Frame("front", index, image, time_s, 1e9 + time_s)
        seen = Motion(False, 0.0, small_grey(image))
        changes += [(time_s, change) for change in watcher.look(frame, seen)]
    return [(time_s, change.on, change.reason) for time_s, change in changes]


def played(path: Path) -> Iterator[Image]:
    """A clip's pictures, two a second of it, again and again."""
    images = [frame.image for frame in clip_frames(path, 2)]
    return itertools.cycle(images)


def after(images: Iterator[Image], count: int, change: Change) -> Iterator[Image]:
    """Changed from picture number `count` on."""
    return (change(image) if number >= count else image for number, image in enumerate(images))


def scene(number: int) -> Image:
    """A still picture with shapes, one for each number."""
    rng = np.random.default_rng(number)
    image = np.full((240, 320, 3), 120, np.uint8)
    for _ in range(40):
        x, y = int(rng.integers(320)), int(rng.integers(240))
        corner = (x + int(rng.integers(10, 60)), y + int(rng.integers(10, 60)))
        cv2.rectangle(image, (x, y), corner, rng.integers(40, 220, 3).tolist(), -1)
    return cv2.add(image, rng.integers(0, 12, image.shape, np.uint8))


COVERED: dict[str, Change] = {
    "black": lambda image: np.zeros_like(image),
    "a hand": lambda image: cv2.add(np.full_like(image, 28), image // 40),
    "a bag": lambda image: cv2.resize(cv2.resize(image, (12, 9), interpolation=cv2.INTER_AREA), image.shape[1::-1]),
}
DAZZLED: Change = lambda image: np.full_like(image, 255)  # noqa: E731
TURNED: dict[str, Change] = {
    "aside by a fifth": lambda image: np.ascontiguousarray(np.roll(image, image.shape[1] // 5, axis=1)),
    "upside down": lambda image: np.ascontiguousarray(image[::-1, ::-1]),
    "elsewhere": lambda image: cv2.resize(scene(1), image.shape[1::-1]),
}


@pytest.mark.parametrize("clip", CLIPS)
def test_ok__no_clip_gives_a_false_alarm(shared_data: Path, clip: str) -> None:
    assert watch(played(shared_data / "videos" / clip), 200) == []


@pytest.mark.parametrize("clip", CLIPS)
@pytest.mark.parametrize("how", COVERED)
def test_fail__a_covered_lens_is_reported(shared_data: Path, clip: str, how: str) -> None:
    changes = watch(after(played(shared_data / "videos" / clip), 30, COVERED[how]), 30)
    assert [on for _, on, _ in changes] == [True]
    time_s, _, reason = changes[0]
    assert 19 < time_s <= 22
    assert reason.startswith("covered")


@pytest.mark.parametrize("clip", CLIPS)
def test_fail__a_blinded_camera_is_reported(shared_data: Path, clip: str) -> None:
    changes = watch(after(played(shared_data / "videos" / clip), 30, DAZZLED), 30)
    assert [(on, reason) for _, on, reason in changes] == [(True, "blinded: the picture is white")]


@pytest.mark.parametrize("clip", CLIPS)
@pytest.mark.parametrize("how", TURNED)
def test_fail__a_turned_camera_is_reported(shared_data: Path, clip: str, how: str) -> None:
    changes = watch(after(played(shared_data / "videos" / clip), 90, TURNED[how]), 60)
    assert [(on, reason) for _, on, reason in changes] == [(True, "turned away: it shows another view")]
    assert 49 < changes[0][0] <= 57


def test_ok__the_alarm_ends_when_the_view_is_back() -> None:
    def covered(number: int) -> Image:
        return np.zeros((240, 320, 3), np.uint8) if 40 <= number < 80 else scene(5)

    changes = watch((covered(number) for number in itertools.count()), 60)
    assert [on for _, on, _ in changes] == [True, False]
    assert 41 < changes[1][0] <= 44


def test_ok__a_moment_is_no_alarm() -> None:
    def passing(number: int) -> Image:
        return np.zeros((240, 320, 3), np.uint8) if number % 20 < 8 and number > 20 else scene(5)

    assert watch((passing(number) for number in itertools.count()), 60) == []


def test_ok__nightfall_and_fog_are_no_alarm() -> None:
    lit = scene(5).astype(np.float32)
    night = (np.clip(lit * max(0.02, 1 - number / 2400), 0, 255).astype(np.uint8) for number in itertools.count())
    assert watch(night, 1500) == []
    fog = (
        np.clip(128 + (lit - 128) * max(0.02, 1 - number / 2400), 0, 255).astype(np.uint8)
        for number in itertools.count()
    )
    assert watch(fog, 1500) == []


@pytest.mark.parametrize("light", [0.3, 0.6, 1.4])
def test_ok__another_light_is_no_alarm(light: float) -> None:
    lit = scene(5)
    other = np.clip(lit.astype(np.float32) * light, 0, 255).astype(np.uint8)
    assert watch(after(itertools.repeat(lit), 90, lambda _: other), 80) == []


def test_ok__a_slide_show_has_no_view_to_lose() -> None:
    assert watch((scene(number // 3) for number in itertools.count()), 120) == []


def test_ok__a_bare_wall_has_no_view_to_lose() -> None:
    rng = np.random.default_rng(1)
    walls = [np.clip(rng.normal(level, 4, (240, 320, 3)), 0, 255).astype(np.uint8) for level in (120, 150)]
    assert watch((walls[number // 90 % 2] for number in itertools.count()), 150) == []


def test_ok__a_view_that_stays_is_the_new_one() -> None:
    watcher = TamperWatch(Settings(after_s=5))
    before = watch(itertools.repeat(scene(5)), 60, watcher=watcher)
    moved = watch(itertools.repeat(scene(6)), RELEARN_S + 60, watcher=watcher, start=60)
    assert before == []
    assert [on for _, on, _ in moved] == [True, False]
    assert moved[1][2] == "the new view was learnt"
    again = watch(itertools.repeat(scene(7)), 20, watcher=watcher, start=60 + RELEARN_S + 60)
    assert [on for _, on, _ in again] == [True]


def test_ok__off_is_off() -> None:
    off = TamperWatch(Settings(enabled=False))
    assert watch(after(itertools.repeat(scene(5)), 40, COVERED["black"]), 60, watcher=off) == []


@pytest.mark.parametrize("fps", [2, 5, 10, 30])
def test_ok__the_rate_of_frames_changes_nothing(fps: int) -> None:
    changes = watch(after(itertools.repeat(scene(5)), 20 * fps, COVERED["black"]), 30, fps=fps)
    assert [on for _, on, _ in changes] == [True]
    assert 24.5 <= changes[0][0] <= 27


def test_ok__the_alarm_is_off_once_nobody_watches() -> None:
    watcher = TamperWatch(Settings(after_s=5))
    covered = after(itertools.repeat(scene(0)), 40, COVERED["black"])
    assert [on for _, on, _ in watch(covered, 40, watcher=watcher)] == [True]
    last = Frame("front", 80, scene(0), 40.0, 1e9 + 40)
    assert [(told.kind, told.on) for told in watcher.finish(last)] == [("tamper", False)]
    assert watcher.finish(last) == ()
