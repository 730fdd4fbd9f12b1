"""1:N identification with strangers, as ISO/IEC 19795-1 measures it: FNIR at a wanted FPIR, by size of the gallery."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from device.access.policy.rules import Thresholds
from device.access.policy.thresholds import threshold
from export.face_scores import Array, Interval, Labels
from training.facemodels.trials import People, Scores, draw_trial, score_trial

FPIRS = (0.01, 0.001)
"""Shares of strangers' photos that are given a name: FNIR is told where so many are."""

SET_FOR = (0.01, 0.001, 0.0001)
"""FPIRs that thresholds are set for beforehand; the last is the door's own target."""


@dataclass(frozen=True)
class Rate:
    """A share, 0 to 1, over all galleries of a size, its 95 % interval over people, and the range over galleries."""

    value: float
    interval: Interval
    galleries: Interval

    def cell(self) -> str:
        """In per cent: `1.11 (0.4–2.0)`."""
        low, high = self.interval
        return f"{100 * self.value:.2f} ({100 * low:.2f}–{100 * high:.2f})"


@dataclass(frozen=True)
class Corrected:
    """A threshold set for the gallery's size beforehand: the FPIR it was meant for, and what came of it."""

    wanted: float
    fmr: float
    threshold: float
    measured: Rate
    fnir: Rate


@dataclass(frozen=True)
class Identification:
    """Galleries of one size. `probes` and `strangers` are photos; probes are the mean over the galleries."""

    size: int
    galleries: int
    probes: float
    strangers: int
    fnir: Mapping[float, Rate]
    corrected: Mapping[float, Corrected]
    curve: tuple[Array, Array]
    """FPIR and FNIR, at thresholds from the most to the least alike stranger; mean over the galleries."""


def identify(
    vectors: Array,
    people: People,
    size: int,
    points: Thresholds,
    *,
    enrol: int = 3,
    galleries: int = 20,
    draws: int = 500,
    seed: int = 0,
) -> Identification:
    """Measure galleries of `size` people, drawn at random, each with other photos enrolled.

    Args:
        vectors: [photos, D] unit embeddings.
        people: who may be enrolled.
        size: people in a gallery.
        points: (FMR, similarity) of the model, as its bundle has them, the highest FMR first.
        enrol: photos of each that are enrolled.
        galleries: how many are drawn.
        draws: of the bootstrap, over people: the enrolled and the strangers.
        seed: of galleries and bootstrap.
    """
    rng = np.random.default_rng([seed, size])
    trials = [draw_trial(people, size, enrol, rng) for _ in range(galleries)]
    scores = [score_trial(vectors, trial) for trial in trials]
    spread = _Bootstrap(people, draws, seed)
    persons = [trial.people[trial.owners] for trial in trials]
    corrected = {}
    for fpir in SET_FOR:
        at = threshold(points, fpir, size)
        fixed = [at.cosine] * galleries
        measured, missed = spread.fpir(scores, fixed), spread.fnir(scores, persons, fixed, None)
        corrected[fpir] = Corrected(fpir, at.fmr, at.cosine, measured, missed)
    return Identification(
        size=size,
        galleries=galleries,
        probes=float(np.mean([len(one.own) for one in scores])),
        strangers=len(people.strangers),
        fnir={
            fpir: spread.fnir(scores, persons, [threshold_at(one.stranger, fpir) for one in scores], fpir)
            for fpir in FPIRS
        },
        corrected=corrected,
        curve=_curve(scores),
    )


def threshold_at(strangers: Array, fpir: float) -> float:
    """The lowest threshold at which no more than `fpir` of the strangers' photos are given a name."""
    allowed = int(np.floor(fpir * len(strangers) + 1e-9))
    return float(np.nextafter(np.sort(strangers)[-allowed - 1], np.inf)) if allowed < len(strangers) else -np.inf


def _curve(scores: Sequence[Scores]) -> tuple[Array, Array]:
    count = len(scores[0].stranger)
    allowed = np.unique(np.geomspace(1, max(1, count // 2), 120).astype(int))
    fnir = np.mean(
        [[one.fnir(threshold_at(one.stranger, (k + 0.5) / count)) for k in allowed] for one in scores], axis=0
    )
    return allowed / count, fnir


class _Bootstrap:
    """Intervals over people: each draw takes as many enrolled people and as many strangers, with replacement.

    Galleries stay as they were drawn; their photos weigh as often as their person was taken, and each gallery's
    threshold is found anew with the strangers that were taken.
    """

    def __init__(self, people: People, draws: int, seed: int) -> None:
        rng = np.random.default_rng(seed)
        count = int(people.number.max()) + 1
        self._weights = np.zeros((draws, count), np.int64)
        for group in (people.enrollable, np.unique(people.number[people.strangers])):
            self._weights[:, group] = rng.multinomial(len(group), np.full(len(group), 1 / len(group)), size=draws)
        self._stranger = people.number[people.strangers]

    def fnir(
        self, scores: Sequence[Scores], persons: Sequence[Labels], thresholds: Sequence[float], fpir: float | None
    ) -> Rate:
        """FNIR at each gallery's threshold; `fpir` None keeps the threshold in all draws."""
        missed, counted, values = 0, 0, []
        for one, person, fixed in zip(scores, persons, thresholds, strict=True):
            at = np.full(len(self._weights), fixed) if fpir is None else self._thresholds(one, fpir)
            weights = self._weights[:, person]
            missed = missed + (weights * (one.identified[None] < at[:, None])).sum(axis=1)
            counted = counted + weights.sum(axis=1)
            values.append(one.identified < fixed)
        return _rate(values, np.asarray(missed), np.asarray(counted))

    def fpir(self, scores: Sequence[Scores], thresholds: Sequence[float]) -> Rate:
        """FPIR at fixed thresholds."""
        values = [one.stranger >= fixed for one, fixed in zip(scores, thresholds, strict=True)]
        weights = self._weights[:, self._stranger]
        return _rate(values, weights @ np.sum(values, axis=0), weights.sum(axis=1) * len(scores))

    def _thresholds(self, one: Scores, fpir: float) -> Array:
        """[draws]: of each draw of strangers."""
        order = np.argsort(-one.stranger, kind="stable")
        named = np.cumsum(self._weights[:, self._stranger[order]], axis=1)
        # The first photo that would be one too many must stay out.
        first = (named > fpir * named[:, -1:] + 1e-9).argmax(axis=1)
        return np.nextafter(one.stranger[order][first], np.inf)


def _rate(values: Sequence[np.ndarray], hits: np.ndarray, counted: np.ndarray) -> Rate:
    rates = hits[counted > 0] / counted[counted > 0]
    low, high = np.percentile(rates, [2.5, 97.5])
    each = [float(value.mean()) for value in values]
    return Rate(float(np.concatenate(values).mean()), (float(low), float(high)), (min(each), max(each)))
