"""Face models side by side at a door's task: name the people one knows, and nobody else."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
from threadpoolctl import threadpool_limits

from device.access.alignment import FloatArray
from device.access.policy.thresholds import corrected_fmr
from device.errors import InputError
from export.face_crops import Aligner, Crops, aligned_crops
from export.face_scores import Array, Interval, Labels, Pairs
from export.face_verification import COUNTED, on_the_line
from training.facemodels.models import FaceModel
from training.facemodels.people import Photos
from training.facemodels.trials import People, Rows, Scores, Trial, draw_trial

WARM = 3
ASIDE_DRAWS = 5
"""So often people set aside are enrolled anew, with other photos, to find a threshold."""


@dataclass(frozen=True)
class Wanted:
    """What is measured: `enrol` photos a person in the gallery, `fpir` of strangers' photos may be given a name."""

    enrol: int
    fpir: float
    seed: int
    rounds: int


@dataclass(frozen=True)
class Threshold:
    """A similarity in the model's own measure, the FMR it was set for, and from how many comparisons."""

    value: float
    fmr: float
    comparisons: int
    extrapolated: bool


@dataclass(frozen=True)
class Confusion:
    """Photos of enrolled people, named rightly, by another's name or not at all; strangers' photos, named or not."""

    right: int
    wrong: int
    denied: int
    named: int
    refused: int
    known_interval: Interval
    named_interval: Interval

    @property
    def known(self) -> float:
        """Share of enrolled people's photos that are named rightly."""
        return self.right / (self.right + self.wrong + self.denied)

    @property
    def strangers_named(self) -> float:
        """Share of strangers' photos that are given a name."""
        return self.named / (self.named + self.refused)


@dataclass(frozen=True)
class Compared:
    """One model. `rank1`: share of enrolled people's photos nearest to their own template, whatever the threshold."""

    name: str
    about: str
    threshold: Threshold
    confusion: Confusion
    rank1: float
    pairs: Pairs
    bytes: int
    numbers: int
    milliseconds: float


def compare(models: Sequence[FaceModel], photos: Photos, wanted: Wanted, say: Callable[[str], None]) -> list[Compared]:
    """Measure each model on the same photos of the same people.

    Args:
        models: from `open_models`.
        photos: who is known, who is a stranger, and who is neither.
        wanted: the trial.
        say: told what is done.
    Raises:
        InputError: no face in any photo of a part.
    """
    cut = _Cutter(photos)
    with threadpool_limits(1):
        cv2.setNumThreads(1)
        found = []
        for model in models:
            say(f"{model.name}: {model.about}")
            found.append(_measured(model, cut, wanted))
        times = interleaved_ms(models, cut.test(None).faces[0], wanted.rounds)
    return [replace(one, milliseconds=taken) for one, taken in zip(found, times, strict=True)]


class _Cutter:
    """Aligned faces by template: people who are set aside, and all who are tested, in one list."""

    def __init__(self, photos: Photos) -> None:
        self._photos = photos
        self._crops: dict[str, tuple[Crops, Crops]] = {}

    def aside(self, template: FloatArray | None) -> Crops:
        return self._of(template)[0]

    def test(self, template: FloatArray | None) -> Crops:
        return self._of(template)[1]

    def people(self, crops: Crops, enrol: int) -> People:
        """Of the test: known people with enough photos may be enrolled, strangers are strangers, others are left out.

        Raises:
            InputError: nobody is left.
        """
        number = crops.labels
        known = np.array([name in self._photos.known_names for name in crops.names])
        enough = np.bincount(number, minlength=len(known)) > enrol
        strangers = np.flatnonzero(~known[number])
        return People(number, np.flatnonzero(known & enough).astype(np.int64), strangers)

    def missed(self, crops: Crops) -> tuple[int, int]:
        """Photos of known people and of strangers in which no face was found."""
        known = sum(key.rsplit("/", 1)[0] in self._photos.known_names for key in crops.missed)
        return known, len(crops.missed) - known

    def _of(self, template: FloatArray | None) -> tuple[Crops, Crops]:
        key = "detector" if template is None else str(template.tolist())
        if key not in self._crops:
            aligner = Aligner(template=template)
            self._crops[key] = (
                aligned_crops(self._photos.aside, aligner),
                aligned_crops((*self._photos.known, *self._photos.unknown), aligner),
            )
        return self._crops[key]


def _measured(model: FaceModel, cut: _Cutter, wanted: Wanted) -> Compared:
    """All but the time it takes."""
    test = cut.test(model.template)
    people = cut.people(test, wanted.enrol)
    size = len(people.enrollable)
    if not size or not len(people.strangers):
        raise InputError(f"a face was found in too few photos: {size} people can be enrolled")
    threshold = find_threshold(model, cut.aside(model.template), size, wanted)
    trial = draw_trial(people, size, wanted.enrol, np.random.default_rng(wanted.seed))
    scores, numbers = run_trial(model, test, trial)
    return Compared(
        name=model.name,
        about=model.about,
        threshold=threshold,
        confusion=confuse(scores, trial, people, threshold.value, cut.missed(test)),
        rank1=float(np.mean(scores.own > scores.other)),
        pairs=Pairs(np.sort(scores.own), scores.between),
        bytes=model.bytes,
        numbers=numbers,
        milliseconds=float("nan"),
    )


def run_trial(model: FaceModel, crops: Crops, trial: Trial) -> tuple[Scores, int]:
    """Enrol, and look at every other photo. Also returns how many numbers a vector has."""
    if model.learns:
        count, each = trial.enrolled.shape
        model.learn(crops.faces[trial.enrolled.ravel()], np.repeat(np.arange(count), each))
    vectors = model.vectors(crops)
    gallery = _templates(model, vectors, trial.enrolled)
    known = model.similarities(vectors[trial.probes], gallery)
    strangers = model.similarities(vectors[trial.strangers], gallery) if len(trial.strangers) else known[:0]
    return Scores.of(known, strangers, trial.owners), vectors.shape[1]


def _templates(model: FaceModel, vectors: Array, enrolled: Rows) -> Array:
    """[N, D]: means of the embeddings as they are compared."""
    return model.prepared(vectors)[enrolled].mean(axis=1)


def find_threshold(model: FaceModel, aside: Crops, size: int, wanted: Wanted) -> Threshold:
    """The similarity for the wanted FPIR with a gallery of `size`, from people who are in no test.

    They are enrolled and looked at in the same way, those with too few photos as strangers; of their comparisons with
    others' templates so many may match as the gallery's size allows each: 1 - (1 - FPIR)^(1/size). Where fewer than
    ten would, it is read off the line that the curve is on normal-deviate axes.
    """
    people = _people_aside(aside.labels, wanted.enrol)
    rng = np.random.default_rng([wanted.seed, 1])
    found = []
    for _ in range(ASIDE_DRAWS):
        trial = draw_trial(people, len(people.enrollable), wanted.enrol, rng)
        found.append(run_trial(model, aside, trial)[0].between)
    between = np.sort(np.concatenate(found))
    fmr = corrected_fmr(wanted.fpir, size)
    pairs = Pairs(between[:0], between)
    extrapolated = fmr * len(between) < COUNTED
    value = on_the_line(pairs, fmr) if extrapolated else pairs.threshold(fmr)
    return Threshold(value, fmr, len(between), bool(extrapolated))


def _people_aside(labels: Labels, enrol: int) -> People:
    enough = np.flatnonzero(np.bincount(labels) > enrol)
    if len(enough) < 3:
        raise InputError(
            f"{len(enough)} people are set aside with more than {enrol} photos; a threshold takes three at least: "
            "name a folder of others by --aside"
        )
    return People(labels, enough.astype(np.int64), np.flatnonzero(~np.isin(labels, enough)))


def confuse(scores: Scores, trial: Trial, people: People, threshold: float, lost: tuple[int, int]) -> Confusion:
    """Count what the threshold does; `lost`: photos of known people and of strangers without a face, never named."""
    right = scores.identified >= threshold
    wrong = ~right & (np.maximum(scores.own, scores.other) >= threshold)
    named = scores.stranger >= threshold
    return Confusion(
        right=int(right.sum()),
        wrong=int(wrong.sum()),
        denied=int((~right & ~wrong).sum()) + lost[0],
        named=int(named.sum()),
        refused=int((~named).sum()) + lost[1],
        known_interval=share_interval(right, trial.owners),
        named_interval=share_interval(named, people.number[trial.strangers]),
    )


def share_interval(hits: np.ndarray, persons: Labels, draws: int = 1000) -> Interval:
    """95 % interval of a share by bootstrap over people, whose photos are not independent of each other."""
    number = np.unique(persons, return_inverse=True)[1]
    count = int(number.max()) + 1
    weights = np.random.default_rng(0).multinomial(count, np.full(count, 1 / count), size=draws)
    of_each, hit = np.bincount(number), np.bincount(number, weights=hits)
    low, high = np.percentile((weights @ hit) / (weights @ of_each), [2.5, 97.5])
    return float(low), float(high)


def interleaved_ms(models: Sequence[FaceModel], face: np.ndarray, rounds: int) -> list[float]:
    """Median milliseconds from one aligned face to its vector, the models in turns.

    Of the processor, not of the clock: on one thread that is the same where nobody else wants it.
    """
    taken: list[list[float]] = [[] for _ in models]
    for number in range(WARM + rounds):
        for model, times in zip(models, taken, strict=True):
            begun = time.process_time()
            model.embed(face[None])
            if number >= WARM:
                times.append(1000 * (time.process_time() - begun))
    return [float(np.median(times)) for times in taken]
