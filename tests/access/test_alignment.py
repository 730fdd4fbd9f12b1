"""Landmarks brought into place."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from device.access.alignment import ARCFACE_TEMPLATE, SIDE, TEMPLATES, align, fitted, similarity


def umeyama(source: np.ndarray, target: np.ndarray) -> np.ndarray:
    """As printed in the paper, by singular values: another way to the same answer."""
    source_mean, target_mean = source.mean(axis=0), target.mean(axis=0)
    a, b = source - source_mean, target - target_mean
    u, d, vt = np.linalg.svd(b.T @ a / len(a))
    sign = np.diag([1.0, np.sign(np.linalg.det(u) * np.linalg.det(vt))])
    rotation = u @ sign @ vt
    scale = np.trace(np.diag(d) @ sign) / a.var(axis=0).sum()
    return np.column_stack([scale * rotation, target_mean - scale * rotation @ source_mean])


@given(st.lists(st.tuples(*[st.floats(-500, 500)] * 2), min_size=5, max_size=5, unique=True))
def test_ok__the_paper_has_the_same_answer(points: list[tuple[float, float]]) -> None:
    landmarks = np.array(points)
    singular = np.linalg.svd(landmarks - landmarks.mean(axis=0), compute_uv=False)
    found = similarity(landmarks, ARCFACE_TEMPLATE) if singular[0] > 1 else None
    if found is not None:
        expected = umeyama(landmarks, ARCFACE_TEMPLATE.astype(np.float64))
        # Where a mirror image would fit as well, the rotation is anybody's; the error is the same.
        errors = [((np.c_[landmarks, np.ones(5)] @ m.T - ARCFACE_TEMPLATE) ** 2).sum() for m in (found, expected)]
        assert errors[0] == pytest.approx(errors[1], rel=1e-6, abs=1e-6)


@pytest.mark.parametrize("degrees", [0, 30, 90, 180, -75])
@pytest.mark.parametrize("scale", [0.3, 1.0, 2.5, 9.0])
def test_ok__a_face_is_brought_back(degrees: float, scale: float) -> None:
    """A crop turned and enlarged, with its landmarks, becomes the crop again: also where it must be averaged down."""
    crop = cv2.GaussianBlur(np.random.default_rng(1).integers(0, 255, (SIDE, SIDE, 3), np.uint8), (0, 0), 6)
    crop = cv2.normalize(crop, None, 0, 255, cv2.NORM_MINMAX)
    size = round(SIDE * max(scale, 1) * 1.6)
    turn = cv2.getRotationMatrix2D((55.5, 55.5), degrees, scale)
    turn[:, 2] += size / 2 - 55.5
    picture = cv2.warpAffine(crop, turn, (size, size), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    landmarks = np.c_[ARCFACE_TEMPLATE, np.ones(5)] @ turn.T
    back = align(picture, landmarks)
    difference = np.abs(back.astype(float) - crop)[8:-8, 8:-8]
    assert difference.mean() < (4 if scale >= 1 else 12)


def test_ok__beyond_the_edge_its_last_pixels_are_repeated() -> None:
    picture = np.full((60, 60, 3), 200, np.uint8)
    assert (align(picture, ARCFACE_TEMPLATE - 50) == 200).all()


def test_ok__yunet_has_the_template_that_was_measured() -> None:
    eye = TEMPLATES["yunet"][0]
    assert eye == pytest.approx([(38.2946 - 56) * 1.08 + 56, (51.6963 - 56) * 1.08 + 54], abs=1e-3)
    assert fitted(1, 0) == pytest.approx(ARCFACE_TEMPLATE)


def test_fail__landmarks_in_one_place() -> None:
    with pytest.raises(ValueError, match="one place"):
        similarity(np.full((5, 2), 7.0), ARCFACE_TEMPLATE)
