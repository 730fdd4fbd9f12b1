"""Mean average precision as COCO defines it, and how sure of it a few images can make one.

Written out rather than called from a kept library because the interval needs each image's matches separately;
tests/export/test_metrics.py checks it against `faster-coco-eval`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

IOU_THRESHOLDS = np.linspace(0.5, 0.95, 10)
RECALLS = np.linspace(0.0, 1.0, 101)
MAX_DETECTIONS = 100
"""Of one class in one image, the most confident first, as COCO counts them."""


@dataclass(frozen=True)
class Truth:
    """What is in one image: `xyxy` [N, 4] float in pixels, `class_ids` [N] int."""

    xyxy: Floats
    class_ids: npt.NDArray[np.int64]


@dataclass(frozen=True)
class Found:
    """What a detector found in one image: `xyxy` [N, 4] float in pixels, `confidence` [N], `class_ids` [N] int."""

    xyxy: Floats
    confidence: Floats
    class_ids: npt.NDArray[np.int64]


@dataclass(frozen=True)
class Accuracy:
    """mAP in points (0 to 100), averaged over IoU 0.50 to 0.95, and at 0.50 alone."""

    map50_95: float
    map50: float


@dataclass(frozen=True)
class Matches:
    """All detections of one class, the most confident first: the image of each [N], whether it hit at each threshold
    [N, 10], and how many objects each image has."""

    image: npt.NDArray[np.int64]
    hits: npt.NDArray[np.bool_]
    truths: npt.NDArray[np.int64]


def iou_matrix(a: Floats, b: Floats) -> Floats:
    """IoU of each box of `a` [N, 4] with each of `b` [M, 4], xyxy -> [N, M]."""
    low = np.maximum(a[:, None, :2], b[None, :, :2])
    high = np.minimum(a[:, None, 2:], b[None, :, 2:])
    shared = np.prod(np.clip(high - low, 0, None), axis=2)
    areas = [np.prod(boxes[:, 2:] - boxes[:, :2], axis=1) for boxes in (a, b)]
    return shared / np.maximum(areas[0][:, None] + areas[1][None, :] - shared, 1e-12)


def match_image(truth: Floats, found: Floats) -> npt.NDArray[np.bool_]:
    """Which detections hit a box that no better one has taken, at each IoU threshold.

    Args:
        truth: [M, 4] xyxy of one class in one image.
        found: [N, 4] xyxy, the most confident first.
    Returns:
        [N, 10] bool.
    """
    hits = np.zeros((len(found), len(IOU_THRESHOLDS)), dtype=bool)
    overlaps = iou_matrix(found, truth)
    for t, threshold in enumerate(IOU_THRESHOLDS):
        free = np.ones(len(truth), dtype=bool)
        for d in range(len(found) if len(truth) else 0):
            candidates = np.where(free, overlaps[d], -1.0)
            # Of equals, COCO takes the last.
            best = len(candidates) - 1 - int(np.argmax(candidates[::-1]))
            if candidates[best] >= min(threshold, 1 - 1e-10):
                free[best] = False
                hits[d, t] = True
    return hits


def match(truths: Sequence[Truth], found: Sequence[Found]) -> list[Matches]:
    """Match image by image, and gather by class; classes that no image has are left out, as COCO does.

    Args:
        truths, found: one entry an image, in the same order.
    Raises:
        ValueError: their lengths differ.
    """
    if len(truths) != len(found):
        raise ValueError(f"{len(truths)} images are labelled but {len(found)} were looked at")
    present = sorted({int(c) for truth in truths for c in truth.class_ids})
    return [_match_class(class_id, truths, found) for class_id in present]


def _match_class(class_id: int, truths: Sequence[Truth], found: Sequence[Found]) -> Matches:
    images, scores, hits, counts = [], [], [], []
    for index, (truth, seen) in enumerate(zip(truths, found, strict=True)):
        boxes = truth.xyxy[truth.class_ids == class_id]
        mine = seen.class_ids == class_id
        order = np.argsort(-seen.confidence[mine], kind="stable")[:MAX_DETECTIONS]
        hits.append(match_image(boxes, seen.xyxy[mine][order]))
        scores.append(seen.confidence[mine][order])
        images.append(np.full(len(order), index))
        counts.append(len(boxes))
    ranked = np.argsort(-np.concatenate(scores), kind="stable")
    return Matches(np.concatenate(images)[ranked], np.concatenate(hits)[ranked], np.array(counts))


def average_precision(matches: Matches, weights: Floats) -> Floats | None:
    """AP of one class at each IoU threshold [10], each image counted `weights` times; None where no truth is left."""
    total = float(matches.truths @ weights)
    if total == 0:
        return None
    weight = weights[matches.image][:, None]
    hit = np.cumsum(matches.hits * weight, axis=0)
    seen = np.cumsum(weight, axis=0)
    precision = hit / np.maximum(seen, 1e-12)
    envelope = np.maximum.accumulate(precision[::-1], axis=0)[::-1]
    result = np.zeros(len(IOU_THRESHOLDS))
    for t in range(len(IOU_THRESHOLDS)):
        at = np.searchsorted(hit[:, t] / total, RECALLS, side="left")
        inside = at < len(envelope)
        result[t] = float(envelope[at[inside], t].sum()) / len(RECALLS)
    return result


def accuracy(matches: Sequence[Matches], weights: Floats | None = None) -> Accuracy:
    """mAP over all classes. `weights` [images] counts each image so often; once where left out."""
    if not matches:
        return Accuracy(float("nan"), float("nan"))
    counted = np.ones(len(matches[0].truths)) if weights is None else weights
    each = [ap for m in matches if (ap := average_precision(m, counted)) is not None]
    mean = np.mean(each, axis=0) * 100
    return Accuracy(float(mean.mean()), float(mean[0]))


def evaluate(truths: Sequence[Truth], found: Sequence[Found]) -> Accuracy:
    """mAP of what was found in these images; raises ValueError as `match`."""
    return accuracy(match(truths, found))


def bootstrap_accuracy(matches: Sequence[Matches], draws: int = 1000, seed: int = 0) -> tuple[float, float]:
    """The 95 % interval of mAP50-95, images drawn with replacement."""
    rng = np.random.default_rng(seed)
    images = len(matches[0].truths)
    drawn = [
        accuracy(matches, np.bincount(rng.integers(0, images, images), minlength=images).astype(float)).map50_95
        for _ in range(draws)
    ]
    low, high = np.percentile(drawn, [2.5, 97.5])
    return float(low), float(high)


def bootstrap_difference(
    a: Sequence[Sequence[Matches]], b: Sequence[Sequence[Matches]], draws: int = 200, seed: int = 0
) -> tuple[float, float]:
    """The 95 % interval of mAP50-95 of `b` minus that of `a`, images drawn with replacement, the same for both.

    `a` and `b` hold one list of matches a view; the mean over the views is compared.
    """
    rng = np.random.default_rng(seed)
    images = len(a[0][0].truths)
    differences = []
    for _ in range(draws):
        weights = np.bincount(rng.integers(0, images, images), minlength=images).astype(float)
        means = [np.mean([accuracy(view, weights).map50_95 for view in side]) for side in (a, b)]
        differences.append(means[1] - means[0])
    low, high = np.percentile(differences, [2.5, 97.5])
    return float(low), float(high)
