"""Face embedders measured: the figures of a set of photos, and the thresholds that a bundle carries."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import NormalDist
from typing import Any

import numpy as np
from tqdm import tqdm

from device.access.recognizer import Recognizer
from device.errors import InputError
from device.inference.manifest import Bundle
from export.face_crops import CACHE, Crops
from export.face_scores import FMRS, KNOWN_ERRORS, Array, ByIdentity, Interval, Pairs, all_pairs, corrected, unit
from export.lfw import Fold, FoldAccuracy, fold_accuracy, relabelled

THRESHOLD_FMRS = (1e-2, 1e-3, 1e-4, 1e-5)
COUNTED = 10
"""Pairs that must lie above a threshold for it to count as measured; with fewer it is read off the line through the
rest of the curve."""

FEWEST_PAIRS = 1000
"""Pairs of two people, below which no threshold is told at all."""


@dataclass(frozen=True)
class FaceFigures:
    """What embeddings are worth on a set of photos; rates are 0 to 1, intervals are 95 % over people."""

    photos: int
    people: int
    missed: int
    pairs: Pairs
    tar: Mapping[float, float]
    tar_interval: Mapping[float, Interval]
    eer: float
    eer_interval: Interval
    folds: FoldAccuracy | None

    def rows(self) -> dict[str, float]:
        """The figures in per cent by the names they have in manifests and floors."""
        named = {} if self.folds is None else {"accuracy": 100 * self.folds.mean}
        return (
            named
            | {f"TAR at FMR {rate_name(fmr)}": 100 * value for fmr, value in self.tar.items()}
            | {"EER": 100 * self.eer}
        )

    def cells(self) -> dict[str, str]:
        """The same as people read them, with intervals."""
        shown = {}
        if self.folds is not None:
            shown["accuracy"] = f"{100 * self.folds.mean:.2f} ± {100 * self.folds.standard_error:.2f}"
        for fmr, value in self.tar.items():
            low, high = self.tar_interval[fmr]
            shown[f"TAR at FMR {rate_name(fmr)}"] = f"{100 * value:.2f} ({100 * low:.1f}–{100 * high:.1f})"
        low, high = self.eer_interval
        shown["EER"] = f"{100 * self.eer:.2f} ({100 * low:.2f}–{100 * high:.2f})"
        return shown


def rate_name(fmr: float) -> str:
    """0.001 -> `1e-3`."""
    return f"{fmr:.0e}".replace("e-0", "e-")


def embed_all(recognizer: Recognizer, crops: Crops, bundle: Bundle, cache: Path = CACHE) -> Array:
    """[N, D] unit embeddings of aligned faces, by the device's own recognizer; from the cache where they are there."""
    [file] = bundle.manifest.files
    key = f"{file.sha256} {bundle.manifest.input.model_dump_json()} {crops.fingerprint}"
    return kept_vectors(
        key,
        lambda: np.stack(
            [
                recognizer.embed(face)
                for face in tqdm(crops.faces, desc=bundle.name, unit="face", disable=None, leave=False)
            ]
        ).astype(np.float64),
        cache,
    )


def kept_vectors(key: str, make: Callable[[], Array], cache: Path = CACHE) -> Array:
    """Embeddings that were made before, or are made now and kept: `key` names all that they hang on."""
    kept = cache / f"{hashlib.sha256(key.encode()).hexdigest()}.npy"
    try:
        found: Array = np.load(kept, allow_pickle=False)
        return found
    except (OSError, ValueError, EOFError):
        found = make()
    kept.parent.mkdir(parents=True, exist_ok=True)
    scratch = kept.with_name(f".{kept.stem}-{os.getpid()}.npy")
    try:
        np.save(scratch, found)
        scratch.replace(kept)
    finally:
        scratch.unlink(missing_ok=True)
    return found


def figures(
    vectors: Array, crops: Crops, folds: Sequence[Fold] = (), *, correct: bool = False, draws: int = 200
) -> FaceFigures:
    """Measure embeddings of a set of photos.

    Args:
        vectors: [N, D], one for each of `crops`.
        folds: pairs of LFW's protocol among these photos; none leaves accuracy out.
        correct: with LFW's known label errors put right.
        draws: of the bootstrap.
    Raises:
        InputError: nobody has two photos, or there is one person only.
    """
    people = corrected(crops.people) if correct else crops.people
    lost = tuple(key.rsplit("/", 1)[0] for key in crops.missed)
    lost = corrected(lost) if correct else lost
    names = {name: number for number, name in enumerate(sorted({*people, *lost}))}
    labels = np.array([names[name] for name in people], np.int64)
    missed = np.array([names[name] for name in lost], np.int64)
    pairs = all_pairs(vectors, labels, missed)
    if not len(pairs.same) or not len(pairs.different):
        raise InputError("to measure faces takes two people and two photos of one of them")
    fmrs = [fmr for fmr in FMRS if fmr * len(pairs.different) >= 1]
    by_identity = ByIdentity(vectors, np.unique(labels, return_inverse=True)[1].astype(np.int64), draws=draws)
    intervals, eer_interval = by_identity.intervals(fmrs)
    protocol = [relabelled(fold, KNOWN_ERRORS) for fold in folds] if correct else list(folds)
    by_key = dict(zip(crops.keys, unit(vectors), strict=True))
    return FaceFigures(
        photos=len(labels) + len(missed),
        people=len(names),
        missed=len(missed),
        pairs=pairs,
        tar={fmr: pairs.tar(fmr) for fmr in fmrs},
        tar_interval=intervals,
        eer=pairs.eer(),
        eer_interval=eer_interval,
        folds=fold_accuracy(protocol, by_key) if len(protocol) > 1 else None,
    )


@dataclass(frozen=True)
class Thresholds:
    """Cosine similarities by FMR, how each was found, and from how many pairs."""

    values: Mapping[float, float]
    extrapolated: tuple[float, ...]
    pairs: int
    people: int

    def manifest(self) -> dict[str, float]:
        """`{"fmr_1e-2": 0.31, …}`, rounded up so that no more pairs match."""
        return {f"fmr_{rate_name(fmr)}": float(np.ceil(value * 1e4) / 1e4) for fmr, value in self.values.items()}

    def provenance(self) -> dict[str, Any]:
        """How they were found."""
        return {
            "pairs_of_two_people": self.pairs,
            "people_set_aside": self.people,
            "extrapolated": [f"fmr_{rate_name(fmr)}" for fmr in self.extrapolated],
        }


def find_thresholds(aside: Array, aside_labels: np.ndarray, others: Array | None = None) -> Thresholds:
    """Thresholds from people who were set aside.

    Pairs of two people of whom at least one was never trained on: those set aside against each other, and against
    those who were trained on. Where fewer than ten pairs would lie above a threshold, it is read off the straight line
    that the curve is on normal-deviate axes (as DET plots have it), fitted to FMR 0.1 and below.

    Args:
        aside: [N, D] unit embeddings.
        aside_labels: [N].
        others: [M, D] unit embeddings of other people.
    Returns:
        None of the thresholds where there are fewer than 1,000 pairs.
    """
    different = [all_pairs(aside, aside_labels).different]
    if others is not None and len(others):
        different.append((aside @ others.T).ravel())
    values = np.sort(np.concatenate(different))
    people = len(np.unique(aside_labels))
    if len(values) < FEWEST_PAIRS:
        return Thresholds({}, (), len(values), people)
    pairs = Pairs(values[:0], values)
    found, extrapolated = {}, []
    for fmr in THRESHOLD_FMRS:
        if fmr * len(values) >= COUNTED:
            found[fmr] = pairs.threshold(fmr)
        else:
            found[fmr] = on_the_line(pairs, fmr)
            extrapolated.append(fmr)
    kept = {fmr: min(max(value, 0.0), 1.0) for fmr, value in found.items()}
    return Thresholds(kept, tuple(extrapolated), len(values), people)


def on_the_line(pairs: Pairs, fmr: float) -> float:
    """Extrapolate a threshold: over the normal deviate of FMR, by least squares; never below what was measured."""
    normal = NormalDist()
    lowest = COUNTED / len(pairs.different)
    rates = np.logspace(-1, np.log10(min(lowest, 0.05)), 30)
    deviates = [-normal.inv_cdf(float(rate)) for rate in rates]
    slope, offset = np.polyfit(deviates, [pairs.threshold(float(rate)) for rate in rates], 1)
    return float(max(offset - slope * normal.inv_cdf(fmr), pairs.threshold(lowest)))


@dataclass(frozen=True)
class Closeness:
    """Cosine between a file's embeddings and the float network's, of the same faces."""

    mean: float
    least: float


def closeness(reference: Array, candidate: Array) -> Closeness:
    """Of unit embeddings [N, D]."""
    cosines = np.einsum("nd,nd->n", reference, candidate)
    return Closeness(float(cosines.mean()), float(cosines.min()))


@dataclass(frozen=True)
class Measured:
    """One file: what it scores, its thresholds, and how close it is to the float network."""

    plain: FaceFigures
    corrected: FaceFigures
    thresholds: Thresholds
    close: Closeness
