"""Face scores against figures worked out by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from export.face_scores import KNOWN_ERRORS, ByIdentity, Pairs, all_pairs, corrected, det_curve, unit
from export.face_verification import Thresholds, find_thresholds, rate_name


def pairs(same: list[float], different: list[float]) -> Pairs:
    return Pairs(np.sort(np.array(same)), np.sort(np.array(different)))


TEN = pairs([0.9, 0.8, 0.7, 0.6, 0.3], [0.65, 0.5, 0.4, 0.35, 0.25, 0.2, 0.15, 0.1, 0.05, 0.0])
"""Five pairs of one person; ten of two, of which one lies above two of those."""


@pytest.mark.parametrize(
    ("threshold", "fmr", "fnmr"),
    [(0.0, 1.0, 0.0), (0.31, 0.4, 0.2), (0.5, 0.2, 0.2), (0.65, 0.1, 0.4), (0.66, 0.0, 0.4), (0.95, 0.0, 1.0)],
)
def test_rates_at_a_threshold_count_pairs(threshold: float, fmr: float, fnmr: float) -> None:
    assert TEN.fmr(threshold) == pytest.approx(fmr)
    assert TEN.fnmr(threshold) == pytest.approx(fnmr)


def test_the_threshold_of_a_rate_lets_no_more_pairs_through() -> None:
    assert TEN.threshold(0.1) > 0.5
    assert TEN.fmr(TEN.threshold(0.1)) == pytest.approx(0.1)
    assert TEN.fmr(TEN.threshold(0.25)) == pytest.approx(0.2)  # Two and a half pairs: two.
    assert TEN.threshold(1.0) == -np.inf
    assert TEN.tar(0.1) == pytest.approx(0.8)
    with pytest.raises(ValueError, match="too few"):
        TEN.threshold(0.05)


def test_pairs_of_the_same_similarity_stay_out_together() -> None:
    tied = pairs([0.9], [0.7, 0.7, 0.7, 0.1])
    assert tied.fmr(tied.threshold(0.5)) == 0.0
    assert tied.fmr(tied.threshold(0.75)) == pytest.approx(0.75)


def test_equal_error_rate_by_hand() -> None:
    # At 0.5 two of ten match wrongly (0.2), one of five is missed (0.2); thresholds are similarities of one person's.
    assert pairs([0.9, 0.8, 0.7, 0.5, 0.3], TEN.different.tolist()).eer() == pytest.approx(0.2)
    assert pairs([0.9, 0.8], [0.1, 0.2]).eer() == pytest.approx(0.0)
    assert pairs([0.1, 0.2], [0.8, 0.9]).eer() == pytest.approx(1.0)


def test_all_pairs_are_each_counted_once() -> None:
    angles = np.radians([0, 10, 90, 95, 180])
    vectors = np.stack([np.cos(angles), np.sin(angles)], 1) * [[1], [5], [2], [1], [3]]  # Lengths mean nothing.
    found = all_pairs(vectors, np.array([0, 0, 1, 1, 2]))
    np.testing.assert_allclose(found.same, np.cos(np.radians([10, 5])), atol=1e-12)
    expected = np.cos(np.radians([90, 95, 180, 80, 85, 170, 90, 85]))
    np.testing.assert_allclose(found.different, np.sort(expected), atol=1e-12)


def test_a_photo_without_a_face_matches_nobody_and_counts() -> None:
    vectors = np.eye(3)
    found = all_pairs(vectors, np.array([0, 0, 1]), missed=np.array([0]))
    assert len(found.same) == 3
    assert len(found.different) == 3
    assert found.fnmr(-0.5) == pytest.approx(2 / 3)
    assert found.fmr(-0.5) == pytest.approx(2 / 3)


def test_zero_embeddings_are_refused() -> None:
    with pytest.raises(ValueError, match="zero"):
        unit(np.array([[0.0, 0.0]]))


def test_the_det_curve_falls_in_decades() -> None:
    fmr, fnmr = det_curve(TEN, points=11)
    assert fmr[0] == 1.0
    assert fmr[-1] == pytest.approx(0.1)
    assert (np.diff(fmr) <= 0).all()
    assert (np.diff(fnmr) >= 0).all()
    assert fnmr[-1] == pytest.approx(0.2)


def people(count: int, each: int, spread: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    labels = np.repeat(np.arange(count), each)
    return rng.normal(size=(count, 16))[labels] + spread * rng.normal(size=(len(labels), 16)), labels


def test_the_bootstrap_goes_by_people() -> None:
    vectors, labels = people(40, 4, 0.6)
    found = all_pairs(vectors, labels)
    intervals, eer = ByIdentity(vectors, labels, draws=100).intervals([1e-2])
    low, high = intervals[1e-2]
    assert low < found.tar(1e-2) < high
    assert eer[0] < found.eer() < eer[1]
    # Photos copied ten times are no more people: the interval must not shrink as if they were.
    copies, copied = np.repeat(vectors, 3, 0), np.repeat(labels, 3)
    again, _ = ByIdentity(copies, copied, draws=100).intervals([1e-2])
    assert again[1e-2][1] - again[1e-2][0] > 0.5 * (high - low)


def test_a_bootstrap_of_everyone_once_is_the_figure_itself() -> None:
    vectors, labels = people(30, 3, 0.7)
    bootstrap = ByIdentity(vectors, labels, draws=1)
    bootstrap._draws = np.ones((1, 30), np.int64)
    found = all_pairs(vectors, labels)
    intervals, eer = bootstrap.intervals([1e-2, 1e-3])
    assert intervals[1e-2][0] == pytest.approx(found.tar(1e-2))
    assert intervals[1e-3][0] == pytest.approx(found.tar(1e-3))
    assert eer[0] == pytest.approx(found.eer(), abs=0.01)


def test_known_label_errors_are_put_right() -> None:
    assert corrected(["Hassan_Wirajuda", "Al_Gore"]) == ("Hasan_Wirayuda", "Al_Gore")
    assert corrected(["Chyung_Dai-chul", "Dai_Chul_Chyung"]) == ("Dai_Chul_Chyung",) * 2


def test_known_label_errors_are_names_of_the_test_photos(shared_data: Path) -> None:
    people = {path.name for path in (shared_data / "lfw" / "test").iterdir()}
    assert all({other, one} <= people for other, one in KNOWN_ERRORS.items())


def test_thresholds_are_measured_where_ten_pairs_decide_and_read_off_the_line_elsewhere() -> None:
    rng = np.random.default_rng(1)
    labels = np.arange(300)
    vectors = unit(rng.normal(size=(300, 64)))  # Cosines of strangers: normal, 1/8 wide.
    found = find_thresholds(vectors, labels)
    assert found.pairs == 300 * 299 // 2
    assert found.extrapolated == (1e-4, 1e-5)
    values = [found.values[fmr] for fmr in (1e-2, 1e-3, 1e-4, 1e-5)]
    assert values == sorted(values)
    # 3.72 and 4.26 standard deviations, in truth a little less: cosines are bounded.
    assert found.values[1e-4] == pytest.approx(3.72 / 8, abs=0.03)
    assert found.values[1e-5] == pytest.approx(4.26 / 8, abs=0.03)
    assert set(found.manifest()) == {"fmr_1e-2", "fmr_1e-3", "fmr_1e-4", "fmr_1e-5"}
    assert found.provenance()["extrapolated"] == ["fmr_1e-4", "fmr_1e-5"]


def test_others_make_more_pairs_and_a_handful_of_people_makes_no_threshold() -> None:
    vectors, labels = people(10, 2, 0.1)
    others = unit(people(50, 2, 0.1, seed=2)[0])
    assert find_thresholds(unit(vectors), labels, others).pairs == 180 + 20 * 100
    assert find_thresholds(unit(vectors)[:6], labels[:6]) == Thresholds({}, (), 12, 3)


def test_rates_have_short_names() -> None:
    assert [rate_name(fmr) for fmr in (1e-2, 1e-5)] == ["1e-2", "1e-5"]
