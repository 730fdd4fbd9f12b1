"""How good a classifier is, from what it answered: shares, macro averages, calibration, and how sure one can be.

Written out rather than called from scikit-learn because the intervals need a thousand of each figure; the tests check
them against it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import comb

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Interval = tuple[float, float]

BINS = 15
"""Of the calibration error, as in Guo 2017, "On calibration of modern neural networks"."""
DRAWS = 1000
FIGURES = ("top-1", "top-3", "precision", "recall", "F1", "ECE")
"""Names of the figures, in points (0 to 100); the middle three are means over the classes."""


@dataclass(frozen=True, eq=False)
class Answers:
    """What a classifier said of N pictures: `truth` [N] class ids, `scores` [N, C] logits, `probabilities` [N, C]."""

    truth: npt.NDArray[np.int64]
    scores: Floats
    probabilities: Floats

    def __len__(self) -> int:
        return len(self.truth)

    @property
    def classes(self) -> int:
        """How many there are."""
        return self.probabilities.shape[1]

    @property
    def ranked(self) -> npt.NDArray[np.int64]:
        """[N, C] class ids, the likeliest first; of equals the first, as the device has it."""
        return np.argsort(-self.probabilities, axis=1, kind="stable")

    @property
    def named(self) -> npt.NDArray[np.int64]:
        """[N] the likeliest class."""
        return np.argmax(self.probabilities, axis=1)

    @property
    def right(self) -> npt.NDArray[np.bool_]:
        """[N] whether that is the true one."""
        return self.named == self.truth

    @property
    def confidence(self) -> Floats:
        """[N] its probability."""
        return self.probabilities.max(axis=1)


def confusion(answers: Answers) -> npt.NDArray[np.int64]:
    """[C, C] counts: row = true class, column = named class."""
    classes = answers.classes
    return np.bincount(answers.truth * classes + answers.named, minlength=classes**2).reshape(classes, classes)


def figures(answers: Answers) -> dict[str, float]:
    """FIGURES, in points. A class without pictures is left out of the macro averages.

    Raises:
        ValueError: there are no pictures.
    """
    if not len(answers):
        raise ValueError("no pictures to judge by")
    values = _Weighted(answers).figures(np.ones(len(answers)))
    return dict(zip(FIGURES, values.tolist(), strict=True))


def intervals(answers: Answers, draws: int = DRAWS, seed: int = 0) -> dict[str, Interval]:
    """95 % intervals of the figures by the bootstrap: pictures drawn with replacement, 2.5th to 97.5th percentile."""
    low, high = np.percentile(_bootstrap(answers, draws, seed), [2.5, 97.5], axis=0)
    return dict(zip(FIGURES, zip(low.tolist(), high.tolist(), strict=True), strict=True))


def difference_intervals(a: Answers, b: Answers, draws: int = DRAWS, seed: int = 0) -> dict[str, Interval]:
    """95 % intervals of `b` minus `a` on the same pictures, drawn alike for both."""
    found = _bootstrap(b, draws, seed) - _bootstrap(a, draws, seed)
    low, high = np.percentile(found, [2.5, 97.5], axis=0)
    return dict(zip(FIGURES, zip(low.tolist(), high.tolist(), strict=True), strict=True))


def _bootstrap(answers: Answers, draws: int, seed: int) -> Floats:
    """[draws, figures]."""
    rng, count, weighted = np.random.default_rng(seed), len(answers), _Weighted(answers)
    drawn = (rng.integers(0, count, count) for _ in range(draws))
    return np.array([weighted.figures(np.bincount(indices, minlength=count).astype(float)) for indices in drawn])


class _Weighted:
    """The figures with each picture counted so many times, from what does not depend on that."""

    def __init__(self, answers: Answers) -> None:
        self._classes = answers.classes
        self._truth, self._named = answers.truth, answers.named
        self._right = answers.right
        self._third = (answers.ranked[:, :3] == answers.truth[:, None]).any(axis=1)
        self._confidence = answers.confidence
        self._bin = bins_of(self._confidence)

    def figures(self, weights: Floats) -> Floats:
        """FIGURES, in points; `weights` [N]."""
        total = weights.sum()
        hits = np.bincount(self._truth, weights * self._right, self._classes)
        true = np.bincount(self._truth, weights, self._classes)
        named = np.bincount(self._named, weights, self._classes)
        there = true > 0
        recall = hits[there] / true[there]
        precision = hits[there] / np.maximum(named[there], 1e-12)
        f1 = 2 * hits[there] / (true[there] + named[there])
        gap = np.bincount(self._bin, weights * (self._right - self._confidence), BINS)
        top = [(weights * right).sum() / total for right in (self._right, self._third)]
        return 100 * np.array([*top, precision.mean(), recall.mean(), f1.mean(), np.abs(gap).sum() / total])


def bins_of(confidence: Floats) -> npt.NDArray[np.int64]:
    """[N] which of BINS equal parts of 0 to 1 each confidence lies in; their upper ends belong to them."""
    return np.clip(np.ceil(confidence * BINS).astype(np.int64) - 1, 0, BINS - 1)


@dataclass(frozen=True)
class Pair:
    """Two classes and how many pictures of one were taken for the other, and the other way round."""

    a: int
    b: int
    a_as_b: int
    b_as_a: int

    @property
    def mistakes(self) -> int:
        """Both ways."""
        return self.a_as_b + self.b_as_a


def confused_pairs(matrix: npt.NDArray[np.int64], most: int = 8) -> list[Pair]:
    """The pairs of classes that are mistaken for each other most often; those that never are, are left out."""
    rows, columns = np.triu_indices(len(matrix), 1)
    pairs = [Pair(int(a), int(b), int(matrix[a, b]), int(matrix[b, a])) for a, b in zip(rows, columns, strict=True)]
    pairs.sort(key=lambda pair: (-pair.mistakes, pair.a, pair.b))
    return [pair for pair in pairs[:most] if pair.mistakes]


def per_class(answers: Answers) -> list[tuple[int, float, float, float]]:
    """Of each class: how many pictures, precision, recall and F1 in points; precision is 0 where it was never named."""
    matrix = confusion(answers)
    hits, true, named = matrix.diagonal(), matrix.sum(1), matrix.sum(0)
    columns = [
        100 * hits / np.maximum(named, 1),
        100 * hits / np.maximum(true, 1),
        200 * hits / np.maximum(true + named, 1),
    ]
    return [(int(n), float(p), float(r), float(f)) for n, p, r, f in zip(true, *columns, strict=True)]


@dataclass(frozen=True)
class Closeness:
    """How far a file is from the float network on the same pictures.

    `kl`: mean Kullback-Leibler divergence of its probabilities from the float ones, in nats. `largest`: of all
    differences of logits. `agreement`: share of pictures for which both name the same class. `worse`, `better`:
    pictures that only the float network has right, and that only the file has right.
    """

    kl: float
    largest: float
    agreement: float
    worse: int
    better: int
    pictures: int

    @property
    def lost(self) -> float:
        """Points of top-1 that the file has less."""
        return 100 * (self.worse - self.better) / max(self.pictures, 1)

    @property
    def chance(self) -> float:
        """How probable so many of the disagreements are to go against the file if it were as good (sign test)."""
        return sign_test(self.worse, self.better)


def closeness(reference: Answers, candidate: Answers) -> Closeness:
    """Compare answers to the same pictures. Raises ValueError where they are not of the same."""
    if len(reference) != len(candidate) or not np.array_equal(reference.truth, candidate.truth):
        raise ValueError("the answers are to different pictures")
    p, q = (np.clip(answers.probabilities, 1e-12, 1) for answers in (reference, candidate))
    return Closeness(
        kl=float((p * (np.log(p) - np.log(q))).sum(axis=1).mean()),
        largest=float(np.abs(reference.scores - candidate.scores).max()),
        agreement=float((reference.named == candidate.named).mean()),
        worse=int((reference.right & ~candidate.right).sum()),
        better=int((candidate.right & ~reference.right).sum()),
        pictures=len(reference),
    )


def sign_test(worse: int, better: int) -> float:
    """P(X >= worse) of a fair coin thrown `worse + better` times: McNemar's exact test, one-sided."""
    throws = worse + better
    return sum(comb(throws, k) for k in range(worse, throws + 1)) / 2**throws


def mean_and_interval(value: float, interval: Sequence[float]) -> str:
    """`97.9 (96.8 to 98.9)`."""
    return f"{value:.1f} ({interval[0]:.1f} to {interval[1]:.1f})"
