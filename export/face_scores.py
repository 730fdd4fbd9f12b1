"""How well embeddings tell people apart, as the field measures it.

False match rate (FMR): the share of pairs of two people that are taken for one. False non-match rate (FNMR): the share
of pairs of one person that are taken for two. True accept rate (TAR) is 1 - FNMR. ISO/IEC 19795-1; the protocol by
folds is Labeled Faces in the Wild's (Huang et al. 2007).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
Labels = npt.NDArray[np.int64]
Interval = tuple[float, float]

FMRS = (1e-2, 1e-3, 1e-4)
"""Where TAR is told."""

MISSING = -1.0
"""Similarity of a pair of which a photo has no face: never a match, at any threshold."""

KNOWN_ERRORS = {"Hassan_Wirajuda": "Hasan_Wirayuda", "Chyung_Dai-chul": "Dai_Chul_Chyung"}
"""People whom Labeled Faces in the Wild lists twice: the other name, and the one it is counted as. An Indonesian and a
South Korean politician, each spelled two ways."""


@dataclass(frozen=True)
class Pairs:
    """Similarities of all pairs of photos of one person, and of two, each sorted upwards."""

    same: Array
    different: Array

    def fnmr(self, threshold: float) -> float:
        """Share of one person's pairs below the threshold."""
        return float(np.searchsorted(self.same, threshold, side="left")) / len(self.same)

    def fmr(self, threshold: float) -> float:
        """Share of two people's pairs at or above the threshold."""
        return 1 - float(np.searchsorted(self.different, threshold, side="left")) / len(self.different)

    def threshold(self, fmr: float) -> float:
        """The lowest threshold at which no more than `fmr` of two people's pairs match.

        Raises:
            ValueError: there are too few pairs to tell: fewer than 1 / `fmr`.
        """
        allowed = int(np.floor(fmr * len(self.different) + 1e-9))
        if allowed < 1:
            raise ValueError(f"{len(self.different)} pairs of two people are too few for an FMR of {fmr:g}")
        # Just above the best pair that must not match; where several share its value, all of them stay out.
        return float(np.nextafter(self.different[-allowed - 1], np.inf)) if allowed < len(self.different) else -np.inf

    def tar(self, fmr: float) -> float:
        """True accept rate at the threshold for `fmr`."""
        return 1 - self.fnmr(self.threshold(fmr))

    def eer(self) -> float:
        """Equal error rate: where FNMR and FMR cross, the mean of the two at the nearest threshold."""
        thresholds = np.unique(self.same)
        fnmr = np.searchsorted(self.same, thresholds, side="left") / len(self.same)
        fmr = 1 - np.searchsorted(self.different, thresholds, side="left") / len(self.different)
        # A threshold above all of them, so that there is a crossing where the two kinds do not overlap.
        fnmr, fmr = np.append(fnmr, 1.0), np.append(fmr, 0.0 if self.different[-1] <= thresholds[-1] else fmr[-1])
        nearest = int(np.argmin(np.abs(fnmr - fmr)))
        return float((fnmr[nearest] + fmr[nearest]) / 2)


def unit(embeddings: npt.NDArray[np.floating]) -> Array:
    """[N, D] -> float64, each of length 1. Raises ValueError where one is zero or not finite."""
    values = np.asarray(embeddings, np.float64)
    lengths = np.linalg.norm(values, axis=1, keepdims=True)
    if not np.isfinite(lengths).all() or not (lengths > 0).all():
        raise ValueError("an embedding is zero or not finite")
    return values / lengths


def all_pairs(embeddings: npt.NDArray[np.floating], labels: Labels, missed: Labels | None = None) -> Pairs:
    """Every photo against every other.

    Args:
        embeddings: [N, D].
        labels: [N], a number for each person.
        missed: labels of photos in which no face was found: their pairs count, as never matching.
    """
    vectors = unit(embeddings)
    similarities = vectors @ vectors.T
    upper = np.triu(np.ones(similarities.shape, bool), 1)
    same = labels[:, None] == labels[None]
    found = Pairs(np.sort(similarities[upper & same]), np.sort(similarities[upper & ~same]))
    return found if missed is None or not len(missed) else _with_missed(found, labels, missed)


def _with_missed(found: Pairs, labels: Labels, missed: Labels) -> Pairs:
    everyone = np.concatenate([labels, missed])
    counts = np.unique(everyone, return_counts=True)[1]
    same = int((counts * (counts - 1) // 2).sum())
    all_of_them = len(everyone) * (len(everyone) - 1) // 2
    lost = np.full(same - len(found.same), MISSING)
    lost_different = np.full(all_of_them - same - len(found.different), MISSING)
    return Pairs(np.concatenate([lost, found.same]), np.concatenate([lost_different, found.different]))


def det_curve(pairs: Pairs, points: int = 200) -> tuple[Array, Array]:
    """FMR and FNMR at thresholds chosen so that FMR falls evenly in decades, from 1 to one pair."""
    lowest = 1 / len(pairs.different)
    wanted = np.logspace(0, np.log10(lowest), points)
    thresholds = np.array([pairs.threshold(min(1.0, max(fmr, lowest))) for fmr in wanted])
    fnmr = np.searchsorted(pairs.same, thresholds, side="left") / len(pairs.same)
    fmr = 1 - np.searchsorted(pairs.different, thresholds, side="left") / len(pairs.different)
    return fmr, fnmr


class ByIdentity:
    """Bootstrap over people: photos of one person are not independent, and neither are their pairs.

    Each draw takes as many people as there are, with replacement. A pair of two people weighs the product of how often
    each was drawn, a pair of one person how often that one was (the "subset bootstrap" of Bolle et al. 2004).
    """

    KEPT = 0.1
    """Of the pairs of two people, so many of the most alike are looked at: an FMR above it is not told."""

    def __init__(
        self, embeddings: npt.NDArray[np.floating], labels: Labels, *, draws: int = 200, seed: int = 0
    ) -> None:
        vectors = unit(embeddings)
        self._sizes = np.bincount(labels)
        people = len(self._sizes)
        self._draws = np.random.default_rng(seed).multinomial(people, np.full(people, 1 / people), size=draws)
        rows, columns = np.triu_indices(len(vectors), 1)
        similarities = (vectors @ vectors.T)[rows, columns]
        a, b = labels[rows], labels[columns]
        same = a == b
        self._same = _sorted_down(similarities[same], a[same])
        different = similarities[~same]
        alike = different >= np.quantile(different, 1 - self.KEPT)
        self._different = _sorted_down(different[alike], a[~same][alike], b[~same][alike])
        # For each pair of two people, how many of one person's are more alike, and how many are as alike at least.
        own, others = self._same[0], self._different[0]
        self._above = np.searchsorted(-own, -others, side="left"), np.searchsorted(-own, -others, side="right")

    def intervals(self, fmrs: Sequence[float] = FMRS) -> tuple[dict[float, Interval], Interval]:
        """95 % intervals (percentile method) of TAR at each FMR, and of the EER."""
        rates = np.array([self._rates(counts, fmrs) for counts in self._draws])
        low, high = np.nanpercentile(rates, [2.5, 97.5], axis=0).tolist()
        spans = list(zip(low, high, strict=True))
        return dict(zip(fmrs, spans[:-1], strict=True)), spans[-1]

    def _rates(self, counts: Labels, fmrs: Sequence[float]) -> list[float]:
        """TAR at each FMR, and the EER, of one draw."""
        _, person = self._same
        own_matched = np.cumsum(counts[person])
        if not own_matched[-1]:
            return [np.nan] * (len(fmrs) + 1)
        _, a, b = self._different
        matched = np.cumsum(counts[a] * counts[b])
        drawn = counts * self._sizes
        pairs = (drawn.sum() ** 2 - (drawn**2).sum()) / 2
        if not pairs:  # The same person each time.
            return [np.nan] * (len(fmrs) + 1)
        rates = []
        for fmr in fmrs:
            allowed = int(np.searchsorted(matched, fmr * pairs, side="right"))
            above = int(self._above[0][min(allowed, len(matched) - 1)])
            rates.append(float(own_matched[above - 1] / own_matched[-1]) if above else 0.0)
        # FNMR at each pair of two people as the threshold, beside FMR there.
        reached = self._above[1]
        fnmr = 1 - np.where(reached > 0, own_matched[np.maximum(reached - 1, 0)], 0) / own_matched[-1]
        nearest = int(np.argmin(np.abs(fnmr - matched / pairs)))
        return [*rates, float((fnmr[nearest] + matched[nearest] / pairs) / 2)]


def _sorted_down(similarities: Array, *others: Labels) -> tuple[npt.NDArray[np.generic], ...]:
    order = np.argsort(-similarities, kind="stable")
    return similarities[order], *(other[order] for other in others)


def corrected(people: Sequence[str]) -> tuple[str, ...]:
    """Names with what is known to be wrong in Labeled Faces in the Wild put right."""
    return tuple(KNOWN_ERRORS.get(person, person) for person in people)
