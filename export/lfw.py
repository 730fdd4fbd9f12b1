"""The protocol of Labeled Faces in the Wild by folds (View 2, Huang et al. 2007)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from device.errors import InputError
from export.face_scores import MISSING, Array

Pair = tuple[str, str]
"""Two photos' keys, `person/file`."""


@dataclass(frozen=True)
class Fold:
    """Pairs that are tested together, with the threshold that the other folds chose."""

    pairs: tuple[Pair, ...]
    same: npt.NDArray[np.bool_]


@dataclass(frozen=True)
class FoldAccuracy:
    """Share of pairs judged right, 0 to 1, in each fold."""

    folds: tuple[float, ...]
    thresholds: tuple[float, ...]

    @property
    def mean(self) -> float:
        """Over the folds."""
        return float(np.mean(self.folds))

    @property
    def standard_error(self) -> float:
        """Of the mean, as the protocol has it: the folds' standard deviation by the root of their number."""
        return float(np.std(self.folds, ddof=1) / np.sqrt(len(self.folds))) if len(self.folds) > 1 else float("nan")


def read_folds(path: Path) -> list[Fold]:
    """Read pairs.txt in LFW's own format.

    The first line says how many folds there are and how many pairs of each kind a fold has. Each fold lists pairs of
    one person (name, number, number), then pairs of two (name, number, name, number); photo 3 of Al_Gore is
    `Al_Gore/Al_Gore_0003.jpg`.

    Raises:
        InputError: the file is missing or of another form; names the line.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"the list of pairs {path} cannot be read: {error}") from None
    try:
        folds, each = (int(word) for word in lines[0].split())
    except (ValueError, IndexError):
        raise InputError(f"{path}, line 1: the numbers of folds and of pairs a fold were wanted") from None
    if folds < 2 or each < 1 or len([line for line in lines[1:] if line.strip()]) != 2 * folds * each:
        raise InputError(f"{path} must hold 2 x {folds} x {each} pairs after its first line, in at least two folds")
    pairs = [_pair(path, number, line) for number, line in enumerate(lines[1:], 2) if line.strip()]
    found = []
    for start in range(0, len(pairs), 2 * each):
        part = pairs[start : start + 2 * each]
        found.append(Fold(tuple(part), np.array([a.split("/")[0] == b.split("/")[0] for a, b in part])))
    return found


def _pair(path: Path, number: int, line: str) -> Pair:
    words = line.split()
    try:
        if len(words) == 3:
            return _key(words[0], words[1]), _key(words[0], words[2])
        if len(words) == 4:
            return _key(words[0], words[1]), _key(words[2], words[3])
    except ValueError:
        pass
    raise InputError(f"{path}, line {number}: {line!r} is no pair; `name 1 2` or `name 1 other 2` was wanted")


def _key(name: str, number: str) -> str:
    return f"{name}/{name}_{int(number):04d}.jpg"


def relabelled(fold: Fold, same_person: Mapping[str, str]) -> Fold:
    """The fold with pairs judged by other names: `same_person` maps a name to the one it is counted as."""

    def name(key: str) -> str:
        person = key.split("/")[0]
        return same_person.get(person, person)

    return Fold(fold.pairs, np.array([name(a) == name(b) for a, b in fold.pairs]))


def fold_accuracy(folds: Sequence[Fold], vectors: Mapping[str, Array]) -> FoldAccuracy:
    """Accuracy in each fold at the threshold that does best in the others.

    Args:
        vectors: unit embeddings by photo; a photo without one (no face was found) matches nobody.
    Raises:
        ValueError: fewer than two folds.
    """
    if len(folds) < 2:
        raise ValueError("a protocol by folds needs two at least")
    similarities = [_similarities(fold, vectors) for fold in folds]
    accuracies, thresholds = [], []
    for index, fold in enumerate(folds):
        rest = [number for number in range(len(folds)) if number != index]
        threshold = best_threshold(
            np.concatenate([similarities[number] for number in rest]),
            np.concatenate([folds[number].same for number in rest]),
        )
        accuracies.append(float(np.mean((similarities[index] >= threshold) == fold.same)))
        thresholds.append(threshold)
    return FoldAccuracy(tuple(accuracies), tuple(thresholds))


def _similarities(fold: Fold, vectors: Mapping[str, Array]) -> Array:
    return np.array(
        [float(vectors[a] @ vectors[b]) if a in vectors and b in vectors else MISSING for a, b in fold.pairs]
    )


def best_threshold(similarities: Array, same: npt.NDArray[np.bool_]) -> float:
    """The threshold that judges most pairs rightly: the middle of the widest such gap between two similarities."""
    order = np.argsort(similarities, kind="stable")
    values, truth = similarities[order], same[order]
    # Right at a threshold below values[i]: pairs of two people before i, pairs of one from i on.
    right = np.concatenate([[0], np.cumsum(~truth)]) + np.concatenate([np.cumsum(truth[::-1])[::-1], [0]])
    bounds = np.concatenate([[values[0] - 1e-3], values, [values[-1] + 1e-3]])
    gaps = np.diff(bounds)
    best = np.flatnonzero((right == right[gaps > 0].max()) & (gaps > 0))
    widest = int(best[np.argmax(gaps[best])])
    return float((bounds[widest] + bounds[widest + 1]) / 2)
