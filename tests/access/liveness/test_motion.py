"""A face moves within itself, a picture of one as a plane."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import cv2
import numpy as np
import pytest

from device.access.liveness.motion import LIMIT, PATIENCE_S, Motion, within_face
from device.access.liveness.patch import cut_patch
from device.access.liveness.verdict import View
from device.datatypes import Image

SIZE = (528, 432)


def held(view: View, corners: Sequence[tuple[float, float]], seed: int) -> View:
    """The frame of a view as a picture that is held before a camera: its corners moved by so many pixels, noise."""
    height, width = view.frame.image.shape[:2]
    given = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float32)
    wanted = given * 3 + np.array(corners, np.float32)
    plane = cv2.getPerspectiveTransform(given, wanted)
    seen = cv2.warpPerspective(view.frame.image, plane, SIZE, flags=cv2.INTER_CUBIC).astype(np.float32)
    image: Image = np.clip(seen + np.random.default_rng(seed).normal(0, 3, seen.shape), 0, 255).astype(np.uint8)
    landmarks = cv2.perspectiveTransform(view.face.landmarks[None], plane)[0].astype(np.float32)
    return View(replace(view.frame, image=image), replace(view.face, landmarks=landmarks))


WAYS = {
    "held still": [(0, 0)] * 4,
    "moved": [(25, -14)] * 4,
    "brought nearer": [(-30, -25), (30, -25), (30, 25), (-30, 25)],
    "turned to the side": [(0, 0), (-25, 22), (-25, -22), (0, 0)],
    "tilted back": [(30, 15), (-30, 15), (0, 0), (0, 0)],
    "turned in its plane": [(20, -25), (30, 20), (-20, 25), (-30, -20)],
}


@pytest.mark.parametrize("way", WAYS)
def test_ok__a_picture_moves_as_a_plane(talking: list[View], way: str) -> None:
    one, other = held(talking[0], WAYS["held still"], 1), held(talking[0], WAYS[way], 2)
    moved = within_face(one.patch, other.patch)
    assert moved is not None
    assert moved < LIMIT / 2


def test_ok__a_talking_face_moves_within_itself(talking: list[View]) -> None:
    found = [within_face(one.patch, other.patch) for one, other in zip(talking, talking[5:], strict=False)]
    usable = [moved for moved in found if moved is not None]
    assert len(usable) > 10
    assert np.median(usable) > 2 * LIMIT


def test_ok__a_talking_face_is_live_within_a_second(talking: list[View]) -> None:
    check = Motion()
    said = [check.look(view).answer for view in talking]
    assert "yes" in said[:11]
    assert said[:3] == ["open"] * 3, "nobody has moved before anything could be compared"


def test_ok__who_does_not_move_is_refused_when_patience_ends(talking: list[View]) -> None:
    check = Motion()
    said = []
    for index in range(30):
        view = held(talking[0], WAYS["held still"], index)
        said.append(check.look(replace(view, frame=replace(view.frame, monotonic=index / 10))).answer)
    assert set(said[: round(PATIENCE_S * 10)]) == {"open"}
    assert said[round(PATIENCE_S * 10)] == "no"


def test_ok__movement_is_believed_for_a_while_only(talking: list[View]) -> None:
    check = Motion()
    for view in talking:
        answer = check.look(view).answer
    assert answer == "yes"
    after = []
    for index in range(1, 35):
        view = held(talking[-1], WAYS["held still"], index)
        frame = replace(view.frame, monotonic=talking[-1].now + index / 10)
        after.append(check.look(replace(view, frame=frame)).answer)
    assert after[5] == "yes"
    assert after[-1] == "open", "it has moved, so it's no picture; but it may be another by now"


def test_ok__a_face_cut_by_the_edge_is_no_evidence(talking: list[View]) -> None:
    view = talking[0]
    shift = np.array([view.face.landmarks[2, 0], 0], np.float32)
    cut = view.frame.image[:, int(shift[0]) :]
    patches = [cut_patch(np.ascontiguousarray(cut), view.face.landmarks - shift + offset) for offset in (0, 1)]
    assert within_face(*patches) is None
