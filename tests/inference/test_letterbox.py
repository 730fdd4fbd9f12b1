"""Pictures are fitted into the square where the training framework puts them, and boxes find their way back."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from device.inference.letterbox import Letterbox, centre_crop, fit, stretch


def noise(height: int, width: int, seed: int = 0) -> np.ndarray:
    """A picture in which no two places look alike."""
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


@pytest.mark.parametrize(
    ("width", "height", "place"),
    [
        (640, 480, (0, 40, 320, 240)),
        (480, 640, (40, 0, 240, 320)),
        (320, 320, (0, 0, 320, 320)),
        (160, 120, (0, 40, 320, 240)),
        (768, 432, (0, 70, 320, 180)),
        (640, 427, (0, 53, 320, 214)),
        (640, 425, (0, 54, 320, 212)),  # 54 above, 54 below
        (639, 427, (0, 53, 320, 214)),
        (4000, 1, (0, 159, 320, 1)),
    ],
)
def test_ok__the_place_in_the_square(width: int, height: int, place: tuple[int, int, int, int]) -> None:
    found = fit(width, height, 320, 320)
    assert (found.left, found.top, found.width, found.height) == place


def test_ok__one_pixel_more_of_padding_goes_below() -> None:
    # 320 - 213 = 107 rows of padding: 53 above, 54 below, as round(53.5 - 0.1) has it.
    found = fit(640, 426, 320, 320)
    assert (found.top, found.height) == (53, 213)


def test_ok__the_square_holds_the_resized_picture_and_grey() -> None:
    image = noise(480, 640)
    box = Letterbox(320, 320)
    box.put(image)
    expected = cv2.resize(image, (320, 240), interpolation=cv2.INTER_LINEAR)
    np.testing.assert_array_equal(box.square[40:280], expected)
    assert (box.square[:40] == 114).all()
    assert (box.square[280:] == 114).all()


def test_ok__nothing_of_a_picture_of_another_size_is_left() -> None:
    box, fresh = Letterbox(320, 320), Letterbox(320, 320)
    square = box.square
    for height, width in ((480, 640), (640, 480), (320, 320), (100, 300)):
        box.put(noise(height, width))
    fresh.put(noise(100, 300))
    assert box.square is square
    np.testing.assert_array_equal(box.square, fresh.square)


def test_ok__a_picture_that_fits_is_copied_as_it_is() -> None:
    image = noise(200, 320)
    box = Letterbox(320, 320)
    geometry = box.put(image)
    np.testing.assert_array_equal(box.square[geometry.top : geometry.top + 200], image)


@pytest.mark.parametrize("image", [np.zeros((0, 4, 3)), np.zeros((4, 4)), np.zeros((4, 4, 4)), np.zeros((4, 4, 3))])
def test_fail__what_is_no_picture(image: np.ndarray) -> None:
    image = image if image.shape == (4, 4, 3) else image.astype(np.uint8)
    with pytest.raises(ValueError, match="HxWx3 uint8"):
        Letterbox(32, 32).put(image)


@settings(max_examples=200, deadline=None)
@given(width=st.integers(16, 4000), height=st.integers(16, 4000), size=st.sampled_from([320, 640]))
def test_ok__corners_come_back_to_the_frames_corners(width: int, height: int, size: int) -> None:
    found = fit(width, height, size, size)
    inner = [found.left, found.top, found.left + found.width, found.top + found.height]
    back = found.to_frame(np.array([inner], np.float32))[0]
    # The inner size is a whole number of pixels, so half of one may be missing at the far edges.
    slack = 0.51 / found.scale
    np.testing.assert_allclose(back, [0, 0, width, height], atol=slack)


def test_ok__boxes_are_clipped_to_the_frame() -> None:
    found = fit(640, 480, 320, 320)
    back = found.to_frame(np.array([[-50, -50, 900, 900], [10, 50, 20, 60]], np.float32))
    np.testing.assert_allclose(back, [[0, 0, 640, 480], [20, 20, 40, 40]])


def test_ok__the_centre_crop_cuts_the_long_side_only() -> None:
    image = np.zeros((100, 300, 3), np.uint8)
    image[:, 100:200] = 200
    assert (centre_crop(image, 50, 50) == 200).all()
    assert (centre_crop(image.transpose(1, 0, 2), 50, 50) == 200).all()
    assert stretch(image, 50, 50)[25, 5, 0] == 0
