"""Colour and turn, once."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from device.capture.camera import Raw
from device.capture.pixels import to_image
from tests.capture.doubles import picture


def test_ok__bgr_becomes_rgb_in_memory_of_its_own() -> None:
    raw = picture(1)
    image = to_image(Raw(raw, "BGR"))
    assert np.array_equal(image, raw[..., ::-1])
    assert not np.shares_memory(image, raw)


def test_ok__rgb_is_handed_on_without_a_copy() -> None:
    raw = picture(1)
    assert to_image(Raw(raw, "RGB")) is raw


def test_ok__grey_has_three_channels() -> None:
    raw = picture(1)[..., 0].copy()
    assert np.array_equal(to_image(Raw(raw, "GREY")), np.stack([raw] * 3, axis=2))


@pytest.mark.parametrize(("degrees", "quarters"), [(90, -1), (180, 2), (270, 1)])
def test_ok__turns_are_clockwise(degrees: int, quarters: int) -> None:
    image = to_image(Raw(picture(1), "RGB"), degrees)
    assert np.array_equal(image, np.rot90(picture(1), quarters))
    assert image.flags.c_contiguous


def test_ok__padded_i420_rows_are_cropped() -> None:
    colour = np.zeros((32, 64, 3), np.uint8)
    colour[:, :48] = (200, 60, 30)
    padded = cv2.cvtColor(colour, cv2.COLOR_RGB2YUV_I420)
    image = to_image(Raw(padded, "I420", width=48))
    assert image.shape == (32, 48, 3)
    assert image.flags.c_contiguous
    assert np.abs(image[:, 4:44].astype(int) - (200, 60, 30)).max() < 12
