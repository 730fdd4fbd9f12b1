"""Figures about detections, against what one can work out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from device.datatypes import Detection
from export.dataset import Labelled
from export.metrics import Truth
from training.detectors import scoring
from training.detectors.scoring import Seen

LABELS = ["a", "b"]
BOX = (10.0, 10.0, 30.0, 30.0)
OTHER = (60.0, 60.0, 90.0, 90.0)


def seen(
    name: str, truth: list[tuple[int, tuple[float, ...]]], told: list[tuple[int, float, tuple[float, ...]]]
) -> Seen:
    boxes = np.array([box for _, box in truth], float).reshape(-1, 4)
    picture = Labelled(np.zeros((100, 100, 3), np.uint8), Truth(boxes, np.array([c for c, _ in truth], np.int64)))
    detections = [Detection(box, score, c, LABELS[c]) for c, score, box in told]  # type: ignore[arg-type]
    return Seen(name, picture, detections, detections)


@pytest.fixture
def four() -> list[Seen]:
    """All right; one class for another; missed and invented; a box below the threshold."""
    return [
        seen("right", [(0, BOX)], [(0, 0.9, BOX)]),
        seen("mistaken", [(1, BOX)], [(0, 0.8, BOX)]),
        seen("elsewhere", [(0, BOX)], [(0, 0.7, OTHER)]),
        seen("unsure", [(1, BOX)], [(1, 0.2, BOX)]),
    ]


def test_ok__confusion_counts_classes_misses_and_inventions(four: list[Seen]) -> None:
    assert scoring.confusion(four, 2, 0.4).tolist() == [[1, 0, 1], [1, 0, 1], [1, 0, 0]]


def test_ok__confusion_lets_one_detection_take_one_object() -> None:
    twice = [seen("twice", [(0, BOX)], [(0, 0.9, BOX), (0, 0.8, (11.0, 10.0, 30.0, 30.0))])]
    assert scoring.confusion(twice, 2, 0.4).tolist() == [[1, 0, 0], [0, 0, 0], [1, 0, 0]]


def test_ok__faults_in_words_and_worst_first(four: list[Seen]) -> None:
    assert [(one.name, str(wrong)) for one, wrong in scoring.worst(four, 0.4, 9)] == [
        ("elsewhere", "1 missed, 1 false"),
        ("mistaken", "1 mistaken"),
        ("unsure", "1 missed"),
    ]


def test_ok__a_perfect_detector_scores_100_without_an_interval() -> None:
    perfect = [seen(f"{i}", [(i % 2, BOX)], [(i % 2, 0.9, BOX)]) for i in range(8)]
    total, spans = scoring.overall(perfect)
    assert total.map50_95 == pytest.approx(100)
    assert spans["mAP50-95"] == pytest.approx((100, 100))


def test_ok__class_scores(four: list[Seen]) -> None:
    a, b = scoring.by_class(four, LABELS, 0.4)
    # Class a: hit at 0.9, wrong at 0.8 and 0.7; two objects, so recall 0.5 at precision 1: 51 of COCO's 101 points.
    assert (a.objects, a.map50, a.recall) == (2, pytest.approx(100 * 51 / 101), 50)
    assert a.precision == pytest.approx(100 / 3)
    assert a.interval[0] <= a.map50_95 <= a.interval[1]
    # Class b: found at 0.2 in one of two photos, and below the threshold.
    assert (b.map50, b.recall) == (pytest.approx(100 * 51 / 101), 0)
    assert np.isnan(b.precision)
    assert scoring.as_figures(b)["precision"] is None


def test_ok__precision_falls_with_recall(four: list[Seen]) -> None:
    matches = scoring.matches_of(four)[0]
    recall, precision = scoring.precision_recall(matches)
    assert recall.max() == 0.5
    assert (np.diff(recall) >= 0).all()
    assert (np.diff(precision) <= 0).all()


def test_ok__photos_without_objects_count_only_against(four: list[Seen]) -> None:
    empty = seen("empty", [], [(0, 0.95, BOX)])
    before, _ = scoring.overall(four)
    after, _ = scoring.overall([*four, empty])
    assert after.map50_95 < before.map50_95
    assert scoring.confusion([empty], 2, 0.4)[2].tolist() == [1, 0, 0]


def test_ok__a_box_that_wavers_counts_half_with_all_classes_and_not_with_its_best() -> None:
    sure = seen("sure", [(0, BOX)], [(0, 0.9, BOX)])
    told = seen("wavers", [(1, BOX)], [(0, 0.6, BOX)])
    every = [*told.detections, Detection(BOX, 0.5, 1, "b")]
    wavers = Seen(told.name, told.picture, told.detections, every)
    assert scoring.overall([sure, wavers])[0].map50 == pytest.approx(100)
    assert scoring.best_class([sure, wavers]).map50 == pytest.approx(50)
    assert scoring.confusion([wavers], 2, 0.4).tolist() == [[0, 0, 0], [1, 0, 0], [0, 0, 0]]
