"""The protocol by folds, worked out by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from device.errors import InputError
from export.lfw import Fold, best_threshold, fold_accuracy, read_folds, relabelled

PAIRS = """2\t1
Al_Gore\t1\t12
Al_Gore\t2\tTony_Blair\t3
Ann\t1\t2
Ann\t2\tBea\t1
"""


def angle(degrees: float) -> np.ndarray:
    return np.array([np.cos(np.radians(degrees)), np.sin(np.radians(degrees))])


def test_pairs_are_read_in_lfws_own_format(tmp_path: Path) -> None:
    (tmp_path / "pairs.txt").write_text(PAIRS)
    first, second = read_folds(tmp_path / "pairs.txt")
    assert first.pairs[0] == ("Al_Gore/Al_Gore_0001.jpg", "Al_Gore/Al_Gore_0012.jpg")
    assert first.pairs[1] == ("Al_Gore/Al_Gore_0002.jpg", "Tony_Blair/Tony_Blair_0003.jpg")
    assert first.same.tolist() == second.same.tolist() == [True, False]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "line 1"),
        ("2 1\nAnn 1 2\n", "2 x 2 x 1 pairs"),
        ("2 1\nAnn 1 2\nAnn 1 Bea 1\nAnn x 2\nAnn 1 Bea 2\n", "line 4"),
        ("1 1\nAnn 1 2\nAnn 1 Bea 1\n", "two folds"),
    ],
)
def test_a_list_of_another_form_is_refused_with_its_line(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "pairs.txt").write_text(text)
    with pytest.raises(InputError, match=said):
        read_folds(tmp_path / "pairs.txt")


def test_the_best_threshold_lies_in_the_widest_gap() -> None:
    similarities = np.array([0.1, 0.2, 0.6, 0.9])
    assert best_threshold(similarities, np.array([False, False, True, True])) == pytest.approx(0.4)
    # Three are right from 0.1 to 0.2 and from 0.6 to 0.9: the second gap is wider.
    assert best_threshold(similarities, np.array([False, True, False, True])) == pytest.approx(0.75)
    assert best_threshold(similarities, np.array([True] * 4)) < 0.1


def test_each_fold_is_judged_by_the_others_threshold() -> None:
    """By its own best threshold, fold 1 would be all right; by the other's, half of it is."""
    vectors = {"a/1": angle(0), "a/2": angle(60), "b/1": angle(80), "c/1": angle(20), "d/1": angle(40)}
    first = Fold((("a/1", "a/2"), ("a/1", "b/1")), np.array([True, False]))  # cos 60, cos 80
    second = Fold((("a/1", "c/1"), ("a/1", "d/1")), np.array([True, False]))  # cos 20, cos 40
    found = fold_accuracy([first, second], vectors)
    assert found.thresholds[0] == pytest.approx((np.cos(np.radians(20)) + np.cos(np.radians(40))) / 2)
    assert found.folds == (0.5, 0.5)
    assert found.mean == 0.5
    assert found.standard_error == 0.0


def test_the_standard_error_is_of_the_mean_over_folds() -> None:
    good = Fold((("a/1", "a/2"), ("a/1", "b/1")), np.array([True, False]))
    bad = Fold((("a/1", "a/2"), ("a/1", "b/1")), np.array([False, True]))
    found = fold_accuracy([good, good, bad], {"a/1": angle(0), "a/2": angle(10), "b/1": angle(80)})
    assert found.folds[2] == 0.0
    assert found.standard_error == pytest.approx(np.std(found.folds, ddof=1) / np.sqrt(3))


def test_a_photo_without_a_face_matches_nobody() -> None:
    fold = Fold((("a/1", "lost"), ("a/1", "b/1")), np.array([True, False]))
    found = fold_accuracy(
        [fold, Fold((("a/1", "a/2"), ("a/1", "b/1")), fold.same)], {"a/1": angle(0), "a/2": angle(10), "b/1": angle(80)}
    )
    assert found.folds[0] == 0.5


def test_label_errors_change_what_is_right() -> None:
    fold = Fold((("Hassan_Wirajuda/1", "Hasan_Wirayuda/1"),), np.array([False]))
    assert relabelled(fold, {"Hassan_Wirajuda": "Hasan_Wirayuda"}).same.tolist() == [True]
    assert relabelled(fold, {}).same.tolist() == [False]
