"""Pictures that come late from the network: none that is older than it may be is taken for the present."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator

import pytest

from device.capture.opencv import StreamSource
from device.capture.pacing import Punctuality
from tests.capture.conftest import MakeReader
from tests.capture.doubles import PATIENCE_S, FakeClock, ScriptedSource, picture
from tests.capture.latecamera import LateCamera, MjpegCamera, RtspCamera, number_of
from tests.capture.test_reader import until

STALE_S = 1.0


@pytest.fixture(params=[MjpegCamera, RtspCamera])
def camera(request: pytest.FixtureRequest) -> Iterator[LateCamera]:
    made = request.param()
    yield made
    made.end()


def test_ok__after_a_pause_of_the_network_only_the_present_is_shown(
    make_reader: MakeReader, camera: LateCamera
) -> None:
    reader = make_reader(StreamSource(camera.url, 5, 8), stale_s=STALE_S, fps=20)
    reader.start()
    ages: list[float] = []
    wrong: list[float] = []
    began, paused_at = time.monotonic(), math.inf
    while time.monotonic() - began < PATIENCE_S and not (camera.connections > 1 and ages[-1:] and len(ages) > 60):
        frame = reader.take(0.5)
        now = time.monotonic()
        if frame is not None:
            taken = camera.taken[number_of(frame.image)]
            ages.append(now - taken)
            wrong.append(abs(frame.monotonic - taken))
        if len(ages) == 20 and paused_at == math.inf:
            paused_at = now
            camera.paused.set()
        if now > paused_at + 2.5:
            camera.paused.clear()
    assert camera.connections == 2, "opened anew, once"
    assert len(ages) > 60
    assert max(ages) < STALE_S + 0.5, "of pictures that came after a pause of 2.5 s"
    assert max(wrong) < 0.5


@pytest.mark.parametrize("share", [0.3, 0.8])
def test_ok__a_pause_while_the_camera_is_opened_does_not_make_the_past_present(
    make_reader: MakeReader, camera: LateCamera, share: float
) -> None:
    """In the midst of FFmpeg's look at the stream, and in that of what gathered meanwhile."""
    alone = StreamSource(camera.url, 5, 8)
    began = time.monotonic()
    alone.open()
    opening_s = time.monotonic() - began
    alone.close()
    reader = make_reader(StreamSource(camera.url, 8, 8), stale_s=STALE_S, fps=20)
    reader.start()
    time.sleep(2 * share * opening_s)
    camera.paused.set()
    time.sleep(3)
    camera.paused.clear()
    ages = []
    while len(ages) < 30:
        frame = reader.take(PATIENCE_S)
        assert frame is not None
        ages.append(time.monotonic() - camera.taken[number_of(frame.image)])
    assert max(ages) < STALE_S + 0.5


def test_ok__a_short_pause_is_borne_and_each_picture_has_its_own_time(make_reader: MakeReader) -> None:
    camera = RtspCamera()
    reader = make_reader(StreamSource(camera.url, 5, 8), stale_s=STALE_S, fps=20)
    reader.start()
    wrong = []
    for count in range(60):
        frame = reader.take(PATIENCE_S)
        assert frame is not None
        wrong.append(abs(frame.monotonic - camera.taken[number_of(frame.image)]))
        if count == 20:
            camera.paused.set()
            time.sleep(0.6)
            camera.paused.clear()
    camera.end()
    assert camera.connections == 1
    assert max(wrong) < 0.3


def test_ok__where_no_door_hangs_on_it_late_pictures_are_shown(make_reader: MakeReader) -> None:
    camera = MjpegCamera()
    reader = make_reader(StreamSource(camera.url, 5, 8), fps=20)
    reader.start()
    assert reader.take(PATIENCE_S)
    camera.paused.set()
    time.sleep(1.5)
    camera.paused.clear()
    frames = [reader.take(PATIENCE_S) for _ in range(5)]
    camera.end()
    assert camera.connections == 1
    assert any(frame and time.monotonic() - camera.taken[number_of(frame.image)] > STALE_S for frame in frames)


def test_ok__a_machine_that_slept_does_not_take_an_old_picture_for_new(make_reader: MakeReader) -> None:
    """The process was stopped, and a buffer of the driver holds what was before the camera then."""
    clock = FakeClock()
    source = ScriptedSource(
        [picture(1), lambda: clock.advance(0.1), picture(2), lambda: clock.advance(8.7), picture(3)]
    )
    reader = make_reader(source, clock=clock, stale_s=STALE_S, fps=20)
    reader.start()
    until(lambda: reader.health().state == "down" or source.openings > 1, reader.changed)
    until(lambda: source.openings == 2, reader.changed)
    assert "may be 8.7 s old" in reader.health().message


@pytest.mark.parametrize("drift", [-1e-4, 0.0, 1e-4])
def test_ok__a_month_of_two_clocks_that_differ_makes_no_picture_late(drift: float) -> None:
    punctuality = Punctuality()
    for minute in range(30 * 24 * 60):
        now = minute * 60.0
        assert punctuality.late_s(now + 0.2 * (minute % 3 == 1), 5000 + now * (1 + drift)) < 0.3


def test_ok__a_machine_that_does_not_keep_up_falls_behind_and_is_told() -> None:
    punctuality = Punctuality()
    late = [punctuality.late_s(number / 20, number / 22) for number in range(400)]
    assert late[0] == 0
    assert late == sorted(late)
    assert late[-1] > 1.5


def test_fail__a_clock_that_jumps_ahead_or_back_proves_nothing() -> None:
    for jump in (-30.0, 30.0):
        punctuality = Punctuality(10.0)
        assert punctuality.late_s(10.0, 100.0) == 0
        assert punctuality.late_s(10.1, 100.1) == pytest.approx(0)
        assert punctuality.late_s(10.2, 100.2 + jump) > 1
