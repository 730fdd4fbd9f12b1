"""The newest picture, and the live pictures made of it."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import numpy as np
import pytest
import simplejpeg

from device.web.live import LiveView
from device.web.pictures import FRESH_S, KEEP_ALIVE_S, Feed, annotated
from device.web.streams import Streams
from tests.web.conftest import Clock
from tests.web.house import a_track, an_observation


@pytest.fixture
def live() -> LiveView:
    return LiveView(["front", "yard"])


def same(label: str) -> str:
    return label


def test_ok__newest_picture_of_each_camera(live: LiveView) -> None:
    assert live.cameras() == ["front", "yard"]
    assert live.latest("front") is None
    first, second = an_observation(1), an_observation(2)
    live.show(first)
    live.show(second)
    assert live.latest("front") is second
    assert live.latest("yard") is None
    assert live.latest("cellar") is None
    assert live.wait("cellar", -1, 0) is None
    with pytest.raises(KeyError):
        live.show(an_observation(1, camera="cellar"))


def test_ok__waiting_ends_with_the_next_picture(live: LiveView) -> None:
    live.show(an_observation(1))
    assert live.wait("front", 1, 0.01) is None
    seen: list[object] = []
    waiter = threading.Thread(target=lambda: seen.append(live.wait("front", 1, 10)))
    waiter.start()
    live.show(an_observation(7, camera="yard"))
    newer = an_observation(2)
    live.show(newer)
    waiter.join(10)
    assert seen == [newer]


def test_ok__a_camera_may_count_anew(live: LiveView) -> None:
    live.show(an_observation(900))
    again = an_observation(0)
    live.show(again)
    assert live.wait("front", 900, 0) is again


def test_ok__frame_is_not_drawn_into() -> None:
    observation = an_observation(1, a_track())
    before = observation.frame.image.copy()
    picture = annotated(observation, same)
    assert (observation.frame.image == before).all()
    assert (picture != before).any()


def test_ok__only_confirmed_tracks_are_drawn() -> None:
    observation = an_observation(1, a_track(confirmed=False))
    assert (annotated(observation, same) == observation.frame.image).all()


def test_ok__objects_out_of_sight_lose_their_box() -> None:
    for last_seen, drawn in ((0.8, True), (0.2, False)):
        observation = an_observation(10, a_track(matched=False, last_seen=last_seen))
        assert (annotated(observation, same) != observation.frame.image).any() == drawn


def test_ok__wide_pictures_are_scaled_with_their_boxes() -> None:
    image = np.full((1080, 1920, 3), 40, np.uint8)
    observation = an_observation(1, a_track(xyxy=(960.0, 540.0, 1440.0, 810.0)), image=image)
    picture = annotated(observation, same, max_width=1280)
    assert picture.shape == (720, 1280, 3)
    assert tuple(picture[450, 640]) == (255, 196, 87)
    assert tuple(picture[450, 700]) == (40, 40, 40)


class Watch:
    """A feed with a clock of its own."""

    def __init__(self, live: LiveView, fps: float = 1000) -> None:
        self.clock = Clock()
        self.streams = Streams(4)
        self.feed = Feed("front", live, same, fps, self.streams, self.clock)


def test_ok__one_picture_is_made_for_all_viewers(live: LiveView) -> None:
    watch = Watch(live)
    live.show(an_observation(1))
    pictures = {watch.feed.next(0, 0) for _ in range(5)}
    assert len(pictures) == 1
    assert watch.feed.encoded == 1
    live.show(an_observation(2))
    assert watch.feed.next(1, 0) == watch.feed.next(1, 0)
    assert watch.feed.encoded == 2


def test_ok__viewers_at_the_same_time_share(live: LiveView) -> None:
    watch = Watch(live)
    got: list[list[int]] = [[], [], []]

    def view(numbers: list[int]) -> None:
        seen = 0
        while seen < 20:
            picture = watch.feed.next(seen, 5)
            if picture:
                seen = picture[0]
                numbers.append(seen)

    viewers = [threading.Thread(target=view, args=(numbers,)) for numbers in got]
    for viewer in viewers:
        viewer.start()
    index = 0
    while any(viewer.is_alive() for viewer in viewers):
        index += 1
        live.show(an_observation(index))
        viewers[0].join(0.005)
    assert watch.feed.encoded <= 21
    for numbers in got:
        assert numbers == sorted(set(numbers))


def test_ok__no_picture_is_made_unless_asked_for(live: LiveView) -> None:
    watch = Watch(live)
    for index in range(100):
        live.show(an_observation(index))
    assert watch.feed.encoded == 0


def test_ok__pace_is_kept(live: LiveView) -> None:
    watch = Watch(live, fps=4)
    pauses: list[float] = []
    watch.streams.pause = pauses.append  # type: ignore[method-assign]
    live.show(an_observation(1))
    watch.feed.next(0, 0)
    watch.clock.now += 0.1
    live.show(an_observation(2))
    watch.feed.next(1, 0)
    assert pauses == [pytest.approx(0.15)]


def test_ok__new_viewer_sees_no_old_picture(live: LiveView) -> None:
    watch = Watch(live)
    live.show(an_observation(1))
    first = watch.feed.next(0, 0)
    watch.clock.now += 600
    live.show(an_observation(2, a_track()))
    late = watch.feed.next(0, 0)
    assert first is not None
    assert late is not None
    assert late[0] == 2
    assert late[1] != first[1]


def test_ok__of_a_camera_that_is_down_the_last_picture(live: LiveView) -> None:
    watch = Watch(live)
    live.show(an_observation(1))
    made = watch.feed.next(0, 0)
    watch.clock.now += FRESH_S + 60
    assert watch.feed.next(0, 0.01) == made
    assert watch.feed.next(1, 0.01) is None


def test_ok__last_picture_is_sent_again_to_notice_who_left(live: LiveView) -> None:
    watch = Watch(live)
    watch.feed.next = iter_of([(1, b"jpeg"), None, None, None])  # type: ignore[method-assign]
    asked = 0

    def gone() -> bool:
        nonlocal asked
        asked += 1
        watch.clock.now += KEEP_ALIVE_S * 0.4
        return asked > 4

    parts = list(watch.feed.multipart(gone))
    assert parts[0] == b"--sereno-frame\r\n"
    assert [part.count(b"\r\n\r\njpeg\r\n") for part in parts[1:]] == [1, 1]


def iter_of(values: list[tuple[int, bytes] | None]) -> object:
    left: Iterator[tuple[int, bytes] | None] = iter(values)
    return lambda seen, timeout_s: next(left)  # noqa: ARG005


def test_ok__pictures_end_when_the_server_stops(live: LiveView) -> None:
    watch = Watch(live)
    live.show(an_observation(1))
    body = watch.feed.multipart(lambda: False)
    assert next(body)
    picture = next(body)
    assert simplejpeg.decode_jpeg(picture.partition(b"\r\n\r\n")[2]).shape == (240, 320, 3)
    watch.streams.stop()
    assert list(body) == []
    assert watch.streams.open() is None


def test_ok__at_a_slow_pace_viewers_who_left_are_noticed_all_the_same(live: LiveView) -> None:
    watch = Watch(live, fps=0.01)
    pauses: list[float] = []
    watch.streams.pause = pauses.append  # type: ignore[method-assign]
    live.show(an_observation(1))
    assert watch.feed.next(0, 0) is not None
    watch.clock.now += 1
    live.show(an_observation(2))
    assert watch.feed.next(1, 0) is None
    watch.clock.now += 98.9
    assert watch.feed.next(1, 0) is not None
    assert pauses == [0.5, pytest.approx(0.1)]
