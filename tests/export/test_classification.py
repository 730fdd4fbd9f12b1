"""Figures of classifiers against scikit-learn, and what chance may do to few photos."""

from __future__ import annotations

import numpy as np
import pytest

from device.detection.classifier import softmax
from export.classification import (
    Answers,
    closeness,
    confused_pairs,
    confusion,
    difference_intervals,
    figures,
    intervals,
    per_class,
    sign_test,
)


def answers(seed: int, count: int = 300, classes: int = 5, noise: float = 1.5) -> Answers:
    """Random logits that favour the truth; the last class is never true."""
    truth = np.random.default_rng(1).integers(0, classes - 1, count)
    scores = np.random.default_rng(seed).normal(0, noise, (count, classes))
    scores[np.arange(count), truth] += 2
    return Answers(truth, scores, softmax(scores))


def test_ok__figures_are_scikit_learns() -> None:
    metrics = pytest.importorskip("sklearn.metrics", reason="needs the workstation environment")
    found = answers(0)
    told = figures(found)
    present = sorted(set(found.truth))
    precision, recall, f1, _ = metrics.precision_recall_fscore_support(
        found.truth, found.named, labels=present, average="macro", zero_division=0
    )
    assert [told[name] for name in ("precision", "recall", "F1")] == pytest.approx(
        [100 * v for v in (precision, recall, f1)]
    )
    assert told["top-1"] == pytest.approx(100 * metrics.accuracy_score(found.truth, found.named))
    top3 = metrics.top_k_accuracy_score(found.truth, found.probabilities, k=3, labels=range(5))
    assert told["top-3"] == pytest.approx(100 * top3)
    np.testing.assert_array_equal(confusion(found), metrics.confusion_matrix(found.truth, found.named, labels=range(5)))
    for label, (count, p, r, f) in enumerate(per_class(found)):
        theirs = metrics.precision_recall_fscore_support(found.truth, found.named, labels=[label], zero_division=0)
        assert (count, p, r, f) == pytest.approx((theirs[3][0], *(100 * theirs[i][0] for i in range(3))))


def test_ok__calibration_error_of_a_known_case() -> None:
    # Ten photos named with 0.8, six of them right: an error of 0.2.
    probabilities = np.tile([0.8, 0.2], (10, 1))
    found = Answers(np.array([0] * 6 + [1] * 4), np.log(probabilities), probabilities)
    assert figures(found)["ECE"] == pytest.approx(20)


def test_ok__interval_holds_the_figure_and_narrows_with_more_photos() -> None:
    few, many = answers(0, 100), answers(0, 2000)
    for found in (few, many):
        low, high = intervals(found, draws=300)["top-1"]
        assert low < figures(found)["top-1"] < high
    width = [np.diff(intervals(found, draws=300)["top-1"])[0] for found in (few, many)]
    # The standard error of a share goes with the root of the number: 4.5 times narrower.
    assert 3 < width[0] / width[1] < 6.5


def test_ok__differences_are_paired() -> None:
    found = answers(0)
    low, high = difference_intervals(found, found, draws=50)["top-1"]
    assert (low, high) == (0, 0)
    other = answers(3)
    low, high = difference_intervals(found, other, draws=300)["top-1"]
    assert low < figures(other)["top-1"] - figures(found)["top-1"] < high


def test_ok__most_confused_pairs_first() -> None:
    matrix = np.array([[9, 1, 0], [4, 9, 0], [3, 0, 9]])
    pairs = confused_pairs(matrix)
    assert [(pair.a, pair.b, pair.a_as_b, pair.b_as_a) for pair in pairs] == [(0, 1, 1, 4), (0, 2, 0, 3)]


def test_ok__closeness_counts_disagreements() -> None:
    reference = answers(0)
    same = closeness(reference, reference)
    assert (same.kl, same.largest, same.agreement, same.worse, same.better) == (0, 0, 1, 0, 0)
    other = answers(3)
    close = closeness(reference, other)
    assert close.lost == pytest.approx(figures(reference)["top-1"] - figures(other)["top-1"])
    assert close.kl > 0.1


def test_fail__closeness_of_other_pictures() -> None:
    with pytest.raises(ValueError, match="different pictures"):
        closeness(answers(0), answers(0, count=200))


def test_fail__no_pictures() -> None:
    with pytest.raises(ValueError, match="no pictures"):
        figures(Answers(np.array([], np.int64), np.zeros((0, 2)), np.zeros((0, 2))))


@pytest.mark.parametrize(("worse", "better", "chance"), [(0, 0, 1), (1, 0, 0.5), (5, 0, 1 / 32), (3, 1, 5 / 16)])
def test_ok__sign_test(worse: int, better: int, chance: float) -> None:
    assert sign_test(worse, better) == pytest.approx(chance)
