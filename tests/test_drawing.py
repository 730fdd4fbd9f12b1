"""Boxes on pictures."""

from __future__ import annotations

import cv2
import numpy as np

from device.drawing import INK, PALETTE, Caption, draw, encode


def test_ok__box_and_label_are_where_they_belong() -> None:
    picture = np.full((240, 320, 3), 60, np.uint8)
    draw(picture, [Caption((100, 80, 200, 180), "person", 0.87, class_id=1)])
    changed = np.argwhere((picture != 60).any(axis=2))
    top, left = changed.min(axis=0)
    bottom, right = changed.max(axis=0)
    assert abs(bottom - 180) <= 2  # The line's width, and its soft edge.
    assert abs(left - 100) <= 2
    assert top < 79  # The label is above the box.
    assert right >= 200
    assert (picture[130, 150] == 60).all()
    assert tuple(picture[130, 100]) == PALETTE[1]


def test_ok__a_box_beyond_the_picture_is_drawn_as_far_as_it_goes() -> None:
    picture = np.full((240, 320, 3), 60, np.uint8)
    draw(picture, [Caption((-50, -50, 5000, 5000), "ratón " * 40, 0.5, class_id=0)])
    assert (picture == INK).all(axis=2).any()
    assert picture.shape == (240, 320, 3)


def test_ok__scaled_pictures_have_scaled_boxes() -> None:
    picture = np.full((120, 160, 3), 60, np.uint8)
    draw(picture, [Caption((100, 80, 200, 180), "person", 0.87, class_id=1)], scale=0.5)
    assert tuple(picture[65, 50]) == PALETTE[1]


def test_ok__jpeg_keeps_colours_in_order() -> None:
    red = np.zeros((32, 32, 3), np.uint8)
    red[..., 0] = 200
    decoded = cv2.imdecode(np.frombuffer(encode(red), np.uint8), cv2.IMREAD_COLOR)
    assert decoded[16, 16, 2] > 180
    assert decoded[16, 16, 0] < 30
