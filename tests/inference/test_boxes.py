"""IoU and suppression against the plainest code that computes them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from device.inference.boxes import BLOCK, iou, nms


def plain_iou(a: np.ndarray, b: np.ndarray) -> float:
    """IoU of two boxes."""
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    inter = max(width, 0) * max(height, 0)
    union = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - inter
    return inter / union if union > 0 else 0.0


def plain_nms(boxes: np.ndarray, scores: np.ndarray, class_ids: np.ndarray, threshold: float) -> list[int]:
    """Greedy suppression, box by box."""
    kept: list[int] = []
    for i in np.argsort(-scores, kind="stable").tolist():
        rivals = [j for j in kept if class_ids[j] == class_ids[i]]
        if all(plain_iou(boxes[j], boxes[i]) <= threshold for j in rivals):
            kept.append(i)
    return kept


def crowd(rng: np.random.Generator, count: int, side: float) -> np.ndarray:
    """Random boxes in a square: the smaller it is, the more they overlap."""
    corners = rng.uniform(0, side, (count, 2))
    return np.concatenate([corners, corners + rng.uniform(1, 60, (count, 2))], axis=1).astype(np.float32)


def test_ok__iou_of_boxes_known_by_hand() -> None:
    boxes = np.array([[0, 0, 10, 10], [5, 0, 15, 10], [10, 0, 20, 10], [3, 3, 3, 3]], np.float32)
    expected = [[1, 1 / 3, 0, 0], [1 / 3, 1, 1 / 3, 0], [0, 1 / 3, 1, 0], [0, 0, 0, 0]]
    np.testing.assert_allclose(iou(boxes, boxes), expected, rtol=1e-6)


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    count=st.integers(0, 120),
    side=st.sampled_from([5.0, 60.0, 600.0]),
    classes=st.integers(1, 4),
    threshold=st.sampled_from([0.0, 0.3, 0.45, 0.7, 1.0]),
)
def test_ok__suppression_is_the_greedy_one(seed: int, count: int, side: float, classes: int, threshold: float) -> None:
    rng = np.random.default_rng(seed)
    boxes, scores = crowd(rng, count, side), rng.uniform(0, 1, count).astype(np.float32)
    class_ids = rng.integers(0, classes, count)
    assert nms(boxes, scores, class_ids, threshold).tolist() == plain_nms(boxes, scores, class_ids, threshold)


def test_ok__suppression_is_the_greedy_one_over_several_blocks() -> None:
    rng = np.random.default_rng(7)
    count = 3 * BLOCK + 50
    boxes, scores = crowd(rng, count, 250), rng.uniform(0, 1, count).astype(np.float32)
    class_ids = rng.integers(0, 2, count)
    assert nms(boxes, scores, class_ids, 0.4, limit=count).tolist() == plain_nms(boxes, scores, class_ids, 0.4)


def test_ok__a_suppressed_box_suppresses_nobody() -> None:
    # A chain: each overlaps its neighbours only. The second goes, so the third stays.
    boxes = np.array([[0, 0, 10, 10], [4, 0, 14, 10], [8, 0, 18, 10], [12, 0, 22, 10]], np.float32)
    scores = np.array([0.9, 0.8, 0.7, 0.6], np.float32)
    assert nms(boxes, scores, np.zeros(4, np.intp), 0.3).tolist() == [0, 2]


def test_ok__an_overlap_of_exactly_the_threshold_stays() -> None:
    boxes = np.array([[0, 0, 10, 10], [0, 0, 10, 5]], np.float32)
    assert nms(boxes, np.array([0.9, 0.8], np.float32), np.zeros(2, np.intp), 0.5).tolist() == [0, 1]


def test_ok__classes_do_not_suppress_each_other() -> None:
    boxes = np.array([[0, 0, 10, 10]] * 3, np.float32)
    scores = np.array([0.5, 0.9, 0.7], np.float32)
    assert nms(boxes, scores, np.array([0, 1, 0]), 0.5).tolist() == [1, 2]


@pytest.mark.parametrize("limit", [1, 10, 300])
def test_ok__no_more_than_the_limit_and_those_the_best(limit: int) -> None:
    rng = np.random.default_rng(1)
    count = 1000
    corners = rng.permutation(count)[:, None] * np.float32(20)
    boxes = np.concatenate([corners, corners, corners + 10, corners + 10], axis=1).astype(np.float32)
    scores = rng.permutation(count).astype(np.float32)
    kept = nms(boxes, scores, np.zeros(count, np.intp), 0.5, limit)
    assert scores[kept].tolist() == list(range(count - 1, count - 1 - limit, -1))
