"""Overlap of boxes, and non-maximum suppression."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.intp]
BoolArray = npt.NDArray[np.bool_]

BLOCK = 256
"""Candidates compared with each other at once: 256 x 256 floats stay in a small processor's cache."""


def iou(first: FloatArray, second: FloatArray) -> FloatArray:
    """Intersection over union of every box of `first` with every box of `second`.

    Args:
        first: Nx4 float32, x1 y1 x2 y2 in any one unit.
        second: Mx4 float32, same unit.
    Returns:
        NxM float32, 0 to 1; 0 where both boxes are empty.
    """
    inter, union = _overlap(first, second)
    return np.divide(inter, union, out=np.zeros_like(inter), where=union > 0)


def nms(boxes: FloatArray, scores: FloatArray, class_ids: IntArray, threshold: float, limit: int = 300) -> IntArray:
    """Greedy non-maximum suppression within each class, as torchvision's `batched_nms`, in vector steps.

    Candidates go by falling score in blocks: each block is first compared with what earlier blocks kept, then
    with itself. Within a block "kept is what no kept, better box suppresses" is repeated until nothing changes, which
    is the greedy answer (Cluster-NMS, Zheng et al. 2020, arXiv:2005.03572, theorem 1).

    Args:
        boxes: Nx4 float32, x1 y1 x2 y2.
        scores: N float32.
        class_ids: N integers; boxes of different classes never suppress each other.
        threshold: a box goes when its IoU with a better one of its class is above this.
        limit: at most so many are kept.
    Returns:
        Indices of the kept boxes, best first; equal scores keep their order.
    """
    order: IntArray = np.argsort(-scores, kind="stable")
    if len(order) < 2:
        return order[:limit]
    kept: IntArray = order[:0]
    for start in range(0, len(order), BLOCK):
        block = order[start : start + BLOCK]
        if len(kept):
            rivals = _suppresses(boxes, class_ids, kept, block, threshold)
            block = block[np.logical_not(np.logical_or.reduce(rivals, axis=0))]
        kept = np.concatenate([kept, block[_keep_within(boxes, class_ids, block, threshold)]])
        if len(kept) >= limit:
            return kept[:limit]
    return kept


def _keep_within(boxes: FloatArray, class_ids: IntArray, block: IntArray, threshold: float) -> BoolArray:
    """Greedy answer within one block, sorted by falling score, as a mask."""
    over = _suppresses(boxes, class_ids, block, block, threshold)
    over &= _EARLIER[: len(block), : len(block)]
    keep: BoolArray = np.logical_not(np.logical_or.reduce(over, axis=0))
    while True:
        again = np.logical_not(np.logical_or.reduce(over[keep], axis=0))
        if (again == keep).all():
            return keep
        keep = again


_EARLIER = np.triu(np.ones((BLOCK, BLOCK), np.bool_), k=1)
"""Whether the row's box comes before the column's."""


def _suppresses(
    boxes: FloatArray, class_ids: IntArray, better: IntArray, worse: IntArray, threshold: float
) -> BoolArray:
    """Which of `better` (rows) suppress which of `worse` (columns)."""
    inter, union = _overlap(boxes.take(better, axis=0), boxes.take(worse, axis=0))
    union *= threshold
    over: BoolArray = inter > union
    over &= class_ids.take(better)[:, None] == class_ids.take(worse)
    return over


def _overlap(first: FloatArray, second: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Areas of intersection and union, NxM each."""
    a, b = np.ascontiguousarray(first.T), np.ascontiguousarray(second.T)
    # Written into two arrays throughout: at this size, making arrays costs as much as filling them.
    inter = np.minimum(a[2][:, None], b[2])
    inter -= np.maximum(a[0][:, None], b[0])
    height = np.minimum(a[3][:, None], b[3])
    height -= np.maximum(a[1][:, None], b[1])
    inter = np.maximum(inter, 0, out=inter)
    inter *= np.maximum(height, 0, out=height)
    union = np.add(((a[2] - a[0]) * (a[3] - a[1]))[:, None], (b[2] - b[0]) * (b[3] - b[1]), out=height)
    union -= inter
    return inter, union
