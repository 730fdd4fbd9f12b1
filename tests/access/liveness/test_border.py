"""Edges of prints and phones."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from device.access.liveness.border import Border, framed
from device.access.liveness.verdict import View
from device.datatypes import Box, Frame, Image


def card(view: View, border: int, turn_deg: float) -> tuple[Image, Box]:
    """A face with a border of one grey before a wall, turned; and the face's box."""
    x1, y1, x2, y2 = view.face.xyxy
    left, top, right, bottom = int(x1) - 20, int(y1) - 20, int(x2) + 20, int(y2) + 20
    part = view.frame.image[top:bottom, left:right]
    picture = cv2.copyMakeBorder(part, 10, 10, 8, 8, cv2.BORDER_CONSTANT, value=(border,) * 3)
    height, width = picture.shape[:2]
    matrix = cv2.getRotationMatrix2D((width / 2, height / 2), turn_deg, 3.0)
    matrix[:, 2] += (320 - width / 2, 240 - height / 2)
    wall = np.full((480, 640, 3), 140, np.uint8)
    held: Image = np.asarray(
        cv2.warpAffine(picture, matrix, (640, 480), wall, borderMode=cv2.BORDER_TRANSPARENT), np.uint8
    )
    middle = matrix[:, :2] @ ((x1 + x2) / 2 - left + 8, (y1 + y2) / 2 - top + 10) + matrix[:, 2]
    half = np.array([x2 - x1, y2 - y1]) * 1.5
    (x1, y1), (x2, y2) = (middle - half).tolist(), (middle + half).tolist()
    return held, (x1, y1, x2, y2)


@pytest.mark.parametrize("border", [245, 15], ids=["paper", "phone"])
@pytest.mark.parametrize("turn_deg", [0.0, 6.0, -9.0])
def test_fail__a_frame_about_the_face(talking: list[View], border: int, turn_deg: float) -> None:
    assert framed(*card(talking[0], border, turn_deg))


def test_ok__a_face_in_a_car(talking: list[View]) -> None:
    """Windows and pillars behind it: edges enough, none under the chin."""
    assert not any(framed(view.frame.image, view.face.xyxy) for view in talking)


def test_ok__a_face_in_a_doorway(talking: list[View]) -> None:
    """Three edges stand about it; where the one below would be, shoulders are."""
    scene = talking[0].frame.image.copy()
    x1, y1, x2, y2 = (int(side) for side in talking[0].face.xyxy)
    scene[: y2 + 10, x1 - 24 : x1 - 16] = 240
    scene[: y2 + 10, x2 + 16 : x2 + 24] = 240
    scene[y1 - 24 : y1 - 16, x1 - 24 : x2 + 24] = 240
    assert not framed(scene, talking[0].face.xyxy)
    scene[y2 + 10 : y2 + 18, x1 - 24 : x2 + 24] = 240
    assert framed(scene, talking[0].face.xyxy), "with the one below it is a frame"


def test_ok__a_plain_wall_and_a_face_at_the_edge() -> None:
    wall = np.full((120, 160, 3), 90, np.uint8)
    assert not framed(wall, (0.0, 0.0, 60.0, 70.0))
    assert not framed(wall, (150.0, 110.0, 160.0, 120.0))


def test_ok__answers_after_three_looks(talking: list[View]) -> None:
    check = Border()
    assert [check.look(view).answer for view in talking[:10]] == ["open"] * 8 + ["yes"] * 2


def test_fail__two_frames_found_are_enough(talking: list[View]) -> None:
    image, box = card(talking[0], 245, 3.0)
    check = Border()
    said = [
        check.look(View(Frame("door", i, image, i / 10, 0), type(talking[0].face)(box, 0.9, talking[0].face.landmarks)))
        for i in range(5)
    ]
    assert [one.answer for one in said] == ["open"] * 4 + ["no"]
