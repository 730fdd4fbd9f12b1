"""mAP by hand against faster-coco-eval, and its corners."""

from __future__ import annotations

import numpy as np
import pytest

from export.metrics import Found, Truth, accuracy, bootstrap_difference, evaluate, iou_matrix, match


def random_set(seed: int, images: int = 12, classes: int = 4) -> tuple[list[Truth], list[Found]]:
    """Boxes, most of them found again a little off, some missed, some made up, some scores equal."""
    rng = np.random.default_rng(seed)
    truths, found = [], []
    for _ in range(images):
        count = int(rng.integers(0, 7))
        corner = rng.uniform(0, 300, (count, 2))
        boxes = np.concatenate([corner, corner + rng.uniform(10, 120, (count, 2))], 1)
        labels = rng.integers(0, classes, count)
        truths.append(Truth(boxes, labels))
        kept = rng.random(count) < 0.8
        near = boxes[kept] + rng.normal(0, 5, (int(kept.sum()), 4))
        corner = rng.uniform(0, 300, (5, 2))
        wrong = np.concatenate([corner, corner + rng.uniform(10, 120, (5, 2))], 1)
        everything = np.concatenate([near, near + 2, wrong])
        ids = np.concatenate([labels[kept], labels[kept], rng.integers(0, classes, 5)])
        found.append(Found(everything, rng.random(len(everything)).round(2), ids))
    return truths, found


def kept_library(truths: list[Truth], found: list[Found]) -> tuple[float, float]:
    """The same by faster-coco-eval, in points."""
    from faster_coco_eval import COCO, COCOeval_faster

    def xywh(box: np.ndarray) -> list[float]:
        return [float(box[0]), float(box[1]), float(box[2] - box[0]), float(box[3] - box[1])]

    annotations = [
        {
            "id": 0,
            "image_id": i + 1,
            "category_id": int(c),
            "bbox": xywh(b),
            "area": xywh(b)[2] * xywh(b)[3],
            "iscrowd": 0,
        }
        for i, truth in enumerate(truths)
        for b, c in zip(truth.xyxy, truth.class_ids, strict=True)
    ]
    for number, annotation in enumerate(annotations):
        annotation["id"] = number + 1
    classes = sorted({int(c) for truth in truths for c in truth.class_ids})
    reference = COCO(
        {
            "images": [{"id": i + 1, "width": 500, "height": 500} for i in range(len(truths))],
            "annotations": annotations,
            "categories": [{"id": c, "name": str(c)} for c in classes],
        }
    )
    results = [
        {"image_id": i + 1, "category_id": int(c), "bbox": xywh(b), "score": float(s)}
        for i, seen in enumerate(found)
        for b, s, c in zip(seen.xyxy, seen.confidence, seen.class_ids, strict=True)
    ]
    judge = COCOeval_faster(reference, reference.loadRes(results), "bbox", print_function=lambda *_: None)
    judge.evaluate()
    judge.accumulate()
    judge.summarize()
    return float(judge.stats[0]) * 100, float(judge.stats[1]) * 100


@pytest.mark.parametrize("seed", range(4))
def test_ok__same_as_the_kept_library(seed: int) -> None:
    truths, found = random_set(seed)
    ours = evaluate(truths, found)
    assert (ours.map50_95, ours.map50) == pytest.approx(kept_library(truths, found), abs=1e-6)


def test_ok__perfect_detector_scores_100() -> None:
    truths, _ = random_set(1)
    found = [Found(t.xyxy, np.full(len(t.xyxy), 0.9), t.class_ids) for t in truths]
    assert evaluate(truths, found).map50_95 == pytest.approx(100)


def test_ok__blind_detector_scores_0() -> None:
    truths, _ = random_set(1)
    nothing = Found(np.zeros((0, 4)), np.zeros(0), np.zeros(0, np.int64))
    assert evaluate(truths, [nothing] * len(truths)).map50_95 == 0


def test_ok__second_box_on_the_same_object_is_a_mistake() -> None:
    truth = Truth(np.array([[0.0, 0, 10, 10]]), np.array([0]))
    twice = Found(np.array([[0.0, 0, 10, 10], [0.0, 0, 10, 10]]), np.array([0.9, 0.8]), np.array([0, 0]))
    far = Truth(np.array([[50.0, 0, 60, 10]]), np.array([0]))
    late = Found(np.array([[50.0, 0, 60, 10]]), np.array([0.5]), np.array([0]))
    assert evaluate([truth, far], [twice, late]).map50 < 90


def test_ok__weight_two_is_the_image_twice() -> None:
    truths, found = random_set(2)
    weights = np.ones(len(truths))
    weights[3] = 2
    doubled = evaluate([*truths, truths[3]], [*found, found[3]])
    assert accuracy(match(truths, found), weights).map50_95 == pytest.approx(doubled.map50_95, abs=0.5)


def test_ok__interval_of_a_worse_detector_lies_below_0() -> None:
    truths, found = random_set(3, images=30)
    perfect = [Found(t.xyxy, np.full(len(t.xyxy), 0.9), t.class_ids) for t in truths]
    low, high = bootstrap_difference([match(truths, perfect)], [match(truths, found)], draws=50)
    assert low < high < 0
    assert bootstrap_difference([match(truths, found)], [match(truths, found)], draws=20) == (0, 0)


def test_ok__iou_of_half_overlapping_boxes() -> None:
    a = np.array([[0.0, 0, 2, 1]])
    assert iou_matrix(a, np.array([[1.0, 0, 3, 1], [5.0, 5, 6, 6]])) == pytest.approx(np.array([[1 / 3, 0]]))


def test_fail__other_number_of_images() -> None:
    truths, found = random_set(0)
    with pytest.raises(ValueError, match="12 images are labelled but 11"):
        match(truths, found[:-1])
