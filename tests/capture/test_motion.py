"""The motion gate on drawn scenes whose truth is known, and on real clips."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest

from device.capture.camera import EndOfSource
from device.capture.motion import Gate, Motion, MotionAlarm, MotionGate, small_grey
from device.capture.opencv import VideoFileSource
from device.capture.pacing import Decimator
from device.capture.pixels import to_image
from device.config import Motion as Settings
from device.datatypes import Frame, Image

Scene = Callable[[float], Image]
"""What a camera would show at a time, in seconds."""

HEIGHT, WIDTH = 480, 640


@pytest.fixture(scope="module")
def room() -> Image:
    """A still scene with large shapes and fine structure."""
    rng = np.random.default_rng(3)
    image = cv2.resize(rng.integers(60, 190, (12, 16, 3), np.uint8), (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC)
    return cv2.add(image, rng.integers(0, 20, image.shape, np.uint8))


def frame(image: Image, time_s: float, index: int = 0) -> Frame:
    return Frame("front", index, image, 100.0 + time_s, 1e9 + time_s)


def watch(scene: Scene, seconds: float, fps: float = 10, masks: Sequence = (), noise: float = 3.0) -> list[Motion]:
    """What the gate sees of a scene through a sensor of some noise (sigma, in grey levels)."""
    gate = MotionGate(Settings(), masks)
    rng = np.random.default_rng(5)
    grain = [rng.normal(0, noise, (HEIGHT, WIDTH, 3)).astype(np.int16) for _ in range(7)]
    seen = []
    for index in range(int(seconds * fps)):
        image = np.clip(scene(index / fps) + grain[rng.integers(7)], 0, 255).astype(np.uint8)
        seen.append(gate.look(frame(image, index / fps, index)))
    return seen


def share_moving(seen: list[Motion]) -> float:
    return sum(motion.moving for motion in seen) / len(seen)


def with_person(image: Image, x: float, height: int, contrast: int, foot: int = 400) -> Image:
    """Somebody of that height in pixels, as wide as a third of it, that many grey levels off what is behind."""
    picture = image.copy()
    left, right = int(x), int(x) + height // 3
    patch = picture[foot - height : foot, max(0, left) : max(0, right)]
    patch[:] = np.clip(patch.astype(np.int16) + contrast, 0, 255).astype(np.uint8)
    return picture


@pytest.mark.parametrize("noise", [0.0, 3.0, 8.0])
def test_ok__a_noisy_sensor_is_no_motion(room: Image, noise: float) -> None:
    assert max(motion.area for motion in watch(lambda _: room, 20, noise=noise)) == 0


def test_ok__nightfall_is_no_motion(room: Image) -> None:
    dusk = watch(lambda t: (room * (1 - 0.7 * t / 40)).astype(np.uint8), 40)
    assert share_moving(dusk) == 0


def test_ok__one_side_growing_dark_slowly_is_no_motion(room: Image) -> None:
    ramp = np.linspace(0, 1, WIDTH)[None, :, None]
    shadow = watch(lambda t: (room * (1 - 0.6 * min(1, t / 40) * ramp)).astype(np.uint8), 45)
    assert share_moving(shadow) == 0


def test_ok__automatic_exposure_is_no_motion(room: Image) -> None:
    jump = watch(lambda t: (room * (0.65 if t > 5 else 1.0)).astype(np.uint8), 10)
    assert share_moving(jump) == 0


@pytest.mark.parametrize("fps", [5, 10])
def test_ok__a_lamp_is_one_burst_and_then_the_new_normal(room: Image, fps: int) -> None:
    distance = np.hypot(*np.mgrid[-200 : HEIGHT - 200, -500 : WIDTH - 500])
    lamp = (room * np.clip(1.6 - distance / 700, 0.25, 1.6)[..., None]).clip(0, 255).astype(np.uint8)
    dim = (room * 0.35).astype(np.uint8)
    seen = watch(lambda t: lamp if t >= 5 else dim, 12, fps)
    assert share_moving(seen[: 5 * fps]) == 0
    assert seen[5 * fps].moving
    assert share_moving(seen[7 * fps :]) == 0


@pytest.mark.parametrize(
    ("height", "speed", "contrast"),
    [
        (300, 150, 60),  # large and close
        (300, 150, -60),
        (120, 60, 50),
        (120, 12, 50),  # strolling towards the camera's side
        (60, 40, 50),  # far away
        (50, 40, 60),
        (160, 60, 28),  # nearly the colour of the wall
    ],
)
@pytest.mark.parametrize("fps", [5, 10])
def test_ok__who_walks_is_seen(room: Image, height: int, speed: float, contrast: int, fps: int) -> None:
    def scene(t: float) -> Image:
        return with_person(room, 100 + (t - 5) * speed, height, contrast) if t >= 5 else room

    seconds = min(15.0, 5 + 420 / speed)
    seen = watch(scene, seconds, fps)
    assert share_moving(seen[: 5 * fps]) == 0
    assert seen[5 * fps].moving, "the very first frame with somebody in it was held back"
    assert share_moving(seen[5 * fps :]) >= 0.9


def test_ok__what_differs_less_than_the_threshold_is_not_seen(room: Image) -> None:
    seen = watch(lambda t: with_person(room, 100 + t * 60, 160, 8), 8)
    assert share_moving(seen) == 0


@pytest.mark.parametrize("fps", [5, 10])
def test_ok__who_stands_still_does_not_move(room: Image, fps: int) -> None:
    def scene(t: float) -> Image:
        return with_person(room, 100 + min(max(t - 5, 0), 4) * 50, 200, 60)

    seen = watch(scene, 20, fps)
    assert share_moving(seen[6 * fps : 9 * fps]) == 1
    assert share_moving(seen[12 * fps :]) == 0
    changes = [event.on for motion in seen for event in motion.events]
    assert changes == [True, False]


def test_ok__a_chair_that_was_moved_is_forgotten(room: Image) -> None:
    def scene(t: float) -> Image:
        return with_person(room, 300, 200, 70) if t >= 5 else room

    seen = watch(scene, 60)
    assert seen[50].moving
    assert share_moving(seen[90:]) == 0
    # And whoever walks past it now is seen in front of it.
    gone = watch(lambda t: with_person(scene(t), 100 + (t - 60) * 60, 120, 60) if t >= 60 else scene(t), 64)
    assert share_moving(gone[600:]) >= 0.9


def test_ok__both_rates_agree_about_when_it_is_still(room: Image) -> None:
    def scene(t: float) -> Image:
        return with_person(room, 100 + min(max(t - 5, 0), 3) * 60, 150, 80)

    ends = []
    for fps in (5, 10, 20):
        seen = watch(scene, 16, fps)
        ends.append(max(index / fps for index, motion in enumerate(seen) if motion.moving))
    assert max(ends) - min(ends) <= 0.3


def test_ok__leaves_are_learnt_and_a_person_beside_them_is_seen(room: Image) -> None:
    rng = np.random.default_rng(9)
    leaves = [cv2.resize(rng.integers(0, 120, (8, 6, 1), np.uint8), (150, 200)) for _ in range(9)]

    def scene(t: float) -> Image:
        picture = room.copy()
        leaf = leaves[int(t * 10) % 9].reshape(200, 150, 1)
        picture[50:250, 450:600] = cv2.subtract(picture[50:250, 450:600], np.repeat(leaf, 3, axis=2))
        return with_person(picture, 50 + (t - 90) * 50, 150, 60) if t >= 90 else picture

    seen = watch(scene, 95)
    assert share_moving(seen[:50]) > 0.5, "the leaves of this test do not move"
    assert share_moving(seen[600:900]) < 0.05
    assert share_moving(seen[905:]) == 1


def test_ok__a_mask_hides_what_moves_in_it(room: Image) -> None:
    left_half = [(0.0, 0.0), (0.5, 0.0), (0.5, 1.0), (0.0, 1.0)]

    def scene(t: float) -> Image:
        return with_person(room, -60 + t * 70, 150, 60)

    seen = watch(scene, 9, masks=[left_half])
    assert share_moving(seen[:40]) == 0
    assert share_moving(seen[57:]) == 1


def test_ok__a_change_of_size_starts_anew(room: Image) -> None:
    gate = MotionGate(Settings())
    gate.look(frame(room, 0))
    assert not gate.look(frame(np.ascontiguousarray(room.transpose(1, 0, 2)), 0.1)).moving


@pytest.mark.parametrize(
    "shape", [(480, 640), (1080, 1920), (432, 768), (614, 844), (96, 96), (32, 32), (33, 640), (640, 33)]
)
def test_ok__any_size_of_picture(shape: tuple[int, int]) -> None:
    gate = MotionGate(Settings())
    image = np.full((*shape, 3), 90, np.uint8)
    assert not gate.look(frame(image, 0)).moving
    bright = image.copy()
    bright[: shape[0] // 3, : shape[1] // 3] = 200
    assert gate.look(frame(bright, 0.1)).moving


def test_ok__each_colour_is_seen_in_the_small_picture() -> None:
    for colour in ((120, 0, 0), (0, 120, 0), (120, 120, 120)):
        assert small_grey(np.full((48, 64, 3), colour, np.uint8)).min() >= 60


def test_ok__the_gate_opens_for_motion_for_followed_objects_and_now_and_then() -> None:
    gate = Gate(Settings(idle_interval_s=10))
    assert gate.opens(False, False, 0.0), "the first frame was not looked at"
    assert not gate.opens(False, False, 9.9)
    assert gate.opens(False, False, 10.0)
    assert gate.opens(True, False, 10.1)
    assert gate.opens(False, True, 10.2)
    assert not gate.opens(False, False, 20.1)
    assert gate.opens(False, False, 20.2)


def test_ok__a_gate_that_is_off_is_open() -> None:
    gate = Gate(Settings(enabled=False))
    assert all(gate.opens(False, False, time_s) for time_s in (0.0, 0.1, 0.2))


def test_ok__the_alarm_ignores_a_flash_and_bridges_a_pause() -> None:
    alarm = MotionAlarm(3.0)
    image = np.zeros((8, 8, 3), np.uint8)
    moving = {1.0, 5.0, 5.1, 6.0, 8.9, 13.0}
    times = [index / 10 for index in range(150)]
    changes = [(t, event.on, event.kind) for t in times for event in alarm.update(frame(image, t), t in moving)]
    assert changes == [(5.1, True, "motion"), (11.9, False, "motion")]


def test_ok__the_gate_costs_next_to_nothing(room: Image) -> None:
    gate = MotionGate(Settings())
    images = [np.roll(room, shift, axis=1) for shift in range(8)]
    spent = []
    for index in range(60):
        began = time.thread_time()
        gate.look(frame(images[index % 8], index / 10))
        spent.append(time.thread_time() - began)
    # 0.1 ms on a quiet machine. The limit leaves room for a busy one, and none for a gate ten times as dear.
    assert sorted(spent)[len(spent) // 4] < 0.7e-3


def clip_frames(path: Path, fps: float) -> Iterator[Frame]:
    """A clip's frames as a reader would choose them."""
    source, decimator, index = VideoFileSource(path), Decimator(fps), 0
    source.open()
    try:
        while True:
            time_s = source.grab()
            if decimator.due(time_s):
                yield frame(to_image(source.retrieve()), time_s, index)
            index += 1
    except EndOfSource:
        source.close()


@pytest.mark.parametrize("fps", [5, 10])
def test_ok__six_people_come_one_by_one_and_the_gate_is_open_for_each(shared_data: Path, fps: int) -> None:
    # When the float detector (YOLOv8n, confidence 0.5) first sees each of them; nobody is there before 6 s.
    arrivals = [6.3, 22.8, 50.7, 74.7, 92.7, 123.6]
    gate = MotionGate(Settings())
    seen = [
        (f.monotonic - 100, gate.look(f).moving)
        for f in clip_frames(shared_data / "videos" / "one-by-one-person-detection.mp4", fps)
    ]
    assert not any(moving for time_s, moving in seen if time_s < 5.5)
    for arrival in arrivals:
        assert any(moving for time_s, moving in seen if arrival - 0.05 <= time_s <= arrival + 0.25), (
            f"missed at {arrival} s"
        )
    assert 0.3 < sum(moving for _, moving in seen) / len(seen) < 0.6


def test_ok__a_busy_street_moves_all_the_time(shared_data: Path) -> None:
    gate = MotionGate(Settings())
    seen = [gate.look(f) for f in clip_frames(shared_data / "videos" / "people-walking.mp4", 10)]
    assert share_moving(seen[1:]) == 1
