"""Streams that stand still or repeat themselves."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from device.access.liveness.frozen import STILL_S, Frozen
from device.access.liveness.verdict import View


def shown(views: list[View], rate: float = 10.0) -> list[str]:
    """What the check says of these frames, so many a second."""
    check = Frozen()
    timed = [
        View(replace(view.frame, index=index, monotonic=index / rate), view.face) for index, view in enumerate(views)
    ]
    return [check.look(view).answer for view in timed]


def test_ok__a_camera(talking: list[View]) -> None:
    assert shown(talking) == ["open"] * 4 + ["yes"] * 16


def test_ok__a_slower_camera_that_gives_each_picture_twice(talking: list[View]) -> None:
    said = shown([view for view in talking for _ in range(2)])
    assert "no" not in said
    assert said[-1] == "yes"


def test_fail__one_picture_again_and_again(talking: list[View]) -> None:
    said = shown([talking[0]] * 20)
    assert "yes" not in said
    assert said[round(STILL_S * 10)] == "no"


def test_fail__a_stream_that_stops(talking: list[View]) -> None:
    said = shown(talking + [talking[-1]] * 10)
    assert said[19] == "yes"
    assert said[-1] == "no"


def test_fail__a_recording_that_is_repeated(talking: list[View]) -> None:
    said = shown(talking[:8] * 3)
    assert said[7] == "yes"
    assert said[8:] == ["no"] * 16, "from the first frame that was there before"


def test_fail__the_same_picture_with_a_bit_changed(talking: list[View]) -> None:
    views = []
    for index in range(20):
        image = talking[0].frame.image.copy()
        x, y = (int(side) for side in talking[0].face.xyxy[:2])
        image[y + 2, x + 2 + index] ^= 1
        views.append(View(replace(talking[0].frame, image=np.ascontiguousarray(image)), talking[0].face))
    assert shown(views)[-1] == "no"


def test_ok__after_a_jump_it_begins_anew_but_a_loop_stays_known(talking: list[View]) -> None:
    check = Frozen()
    for view in talking[:6]:
        check.look(view)
    check.forget()
    assert check.look(talking[6]).answer == "open"
    check.look(talking[7])
    assert check.look(talking[6]).answer == "no"
    check.forget()
    assert check.look(talking[8]).answer == "no"
