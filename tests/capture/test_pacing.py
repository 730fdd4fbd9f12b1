"""Which frames are due, how long to wait, what is frozen."""

from __future__ import annotations

import pytest

from device.capture.pacing import Backoff, Decimator, FreezeWatch, Timeline
from tests.capture.doubles import picture


def chosen(fps: float, times: list[float]) -> list[int]:
    decimator = Decimator(fps)
    return [index for index, time_s in enumerate(times) if decimator.due(time_s)]


@pytest.mark.parametrize("rate", [10.0, 12.0, 12.5, 15.0, 24.0, 25.0, 29.97, 30.0, 59.94, 60.0])
def test_ok__ten_a_second_of_any_rate_without_drift(rate: float) -> None:
    picked = chosen(10, [index / rate for index in range(int(600 * rate))])
    assert abs(len(picked) - 6000) <= 1
    # Each one lies within a frame of its place on the grid, after ten minutes as after one second.
    assert all(abs(index / rate - number / 10) <= 1 / rate for number, index in enumerate(picked))


def test_ok__a_file_of_the_very_rate_loses_no_frame_to_rounding() -> None:
    times = [1000 * index / 10 / 1000 + (1e-9 if index % 3 else -1e-9) for index in range(1000)]
    assert chosen(10, times) == list(range(1000))


def test_ok__a_camera_that_jitters_about_the_rate_loses_no_frame() -> None:
    times = [index / 10 + (0.01, -0.01, 0.0, 0.008, -0.005)[index % 5] for index in range(500)]
    assert chosen(10, times) == list(range(500))


def test_ok__a_slower_source_is_taken_whole() -> None:
    assert chosen(10, [index / 4 for index in range(40)]) == list(range(40))


def test_ok__after_a_gap_there_is_no_burst() -> None:
    times = [0.0, 0.1, 0.2] + [5.0 + index / 30 for index in range(30)]
    assert len(chosen(10, times)) == 3 + 10


def test_ok__waits_double_up_to_half_a_minute_and_start_anew() -> None:
    backoff = Backoff()
    assert [backoff.delay() for _ in range(8)] == [1, 2, 4, 8, 16, 30, 30, 30]
    backoff.reset()
    assert backoff.delay() == 1


def test_ok__a_recording_counts_from_its_opening_and_on_over_loops() -> None:
    timeline = Timeline()
    first = [timeline.place(index * 0.04, 50.0 + index, 1e9) for index in range(5)]
    assert timeline.rewind()
    second = [timeline.place(index * 0.04, 90.0, 2e9) for index in range(5)]
    assert [time for time, _ in first + second] == pytest.approx([50 + index * 0.04 for index in range(10)])
    assert second[-1][1] == pytest.approx(1e9 + 0.36)


def test_fail__a_recording_that_lasts_no_time_cannot_loop() -> None:
    timeline = Timeline()
    assert not timeline.rewind()
    timeline.place(0.0, 1.0, 1.0)
    assert not timeline.rewind()


def test_ok__the_same_picture_again_is_counted_from_its_first() -> None:
    freeze = FreezeWatch()
    assert freeze.look(picture(1), 10.0) is None
    assert freeze.look(picture(1), 12.0) == 2.0
    assert freeze.look(picture(1), 15.0) == 5.0
    assert freeze.look(picture(2), 16.0) is None


def test_ok__one_changed_pixel_between_the_sampled_ones_is_a_new_picture() -> None:
    freeze = FreezeWatch()
    freeze.look(picture(1), 10.0)
    changed = picture(1)
    changed[3, 3, 1] ^= 1
    assert freeze.look(changed, 12.0) is None


def test_ok__a_reopened_camera_has_its_time_anew() -> None:
    freeze = FreezeWatch()
    freeze.look(picture(1), 10.0)
    freeze.restart(20.0)
    assert freeze.look(picture(1), 21.0) == 1.0
