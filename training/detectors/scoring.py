"""What a detector is worth on labelled photos: AP with intervals, precision over recall, confusion, worst photos."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from device.datatypes import Detection
from device.detection.detector import Detector
from export.dataset import Labelled
from export.metrics import Accuracy, Floats, Found, Matches, Truth, accuracy, average_precision, iou_matrix, match
from export.verification import CONFIDENCE, as_found
from training.progress import progress

HIT_IOU = 0.5
"""A box that overlaps an object by this much found it, where one threshold has to do."""
DRAWS = 1000


@dataclass(frozen=True)
class Seen:
    """A labelled photo, and all that the detector saw in it (confidence from 0.001).

    `detections` are what the device tells: each box with its best class. `candidates` also have a box's other classes:
    what AP is of, as in Ultralytics' validation. A detector that wavers between the right class and another loses
    little there, and is told as wrong here.
    """

    name: str
    picture: Labelled
    detections: Sequence[Detection]
    candidates: Sequence[Detection]

    def above(self, confidence: float) -> list[Detection]:
        """What it would have told."""
        return [detection for detection in self.detections if detection.confidence >= confidence]


@dataclass(frozen=True)
class ClassScore:
    """One class: objects, AP in points with 95 % interval, precision and recall at the detector's threshold."""

    label: str
    objects: int
    map50_95: float
    interval: tuple[float, float]
    map50: float
    precision: float
    recall: float


def look(detector: Detector, pictures: Sequence[tuple[str, Labelled]], what: str = "pictures") -> list[Seen]:
    """Run a detector over labelled pictures."""
    seen = []
    for name, picture in progress(pictures, what):
        told = detector.detect(picture.image, confidence=CONFIDENCE)
        every = detector.detect(picture.image, confidence=CONFIDENCE, multi_label=True)
        seen.append(Seen(name, picture, told, every))
    return seen


def matches_of(seen: Sequence[Seen]) -> list[Matches]:
    """By class, those that are present."""
    return match([one.picture.truth for one in seen], [as_found(one.candidates) for one in seen])


def best_class(seen: Sequence[Seen]) -> Accuracy:
    """mAP in points where each box counts with its best class only: stricter, and what the device tells."""
    return accuracy(match([one.picture.truth for one in seen], [as_found(one.detections) for one in seen]))


def present(seen: Sequence[Seen]) -> list[int]:
    """The class ids of `matches_of`, in its order."""
    return sorted({int(c) for one in seen for c in one.picture.truth.class_ids})


def overall(seen: Sequence[Seen], seed: int = 0) -> tuple[Accuracy, dict[str, tuple[float, float]]]:
    """mAP in points, and the 95 % intervals of mAP50-95 and mAP50: photos drawn with replacement."""
    matches = matches_of(seen)
    drawn = [accuracy(matches, weights) for weights in _draws(len(seen), seed)]
    spans = {
        "mAP50-95": _interval([one.map50_95 for one in drawn]),
        "mAP50": _interval([one.map50 for one in drawn]),
    }
    return accuracy(matches), spans


def by_class(seen: Sequence[Seen], labels: Sequence[str], confidence: float, seed: int = 0) -> list[ClassScore]:
    """Each class that has objects."""
    matrix = confusion(seen, len(labels), confidence)
    weights = list(_draws(len(seen), seed))
    scores = []
    for class_id, matches in zip(present(seen), matches_of(seen), strict=True):
        whole = average_precision(matches, np.ones(len(seen)))
        drawn = [ap.mean() * 100 for w in weights if (ap := average_precision(matches, w)) is not None]
        assert whole is not None
        objects, told = int(matches.truths.sum()), int(matrix[:, class_id].sum())
        hits = int(matrix[class_id, class_id])
        scores.append(
            ClassScore(
                labels[class_id],
                objects,
                float(whole.mean() * 100),
                _interval(drawn),
                float(whole[0] * 100),
                100 * hits / told if told else float("nan"),
                100 * hits / objects,
            )
        )
    return scores


def precision_recall(matches: Matches) -> tuple[Floats, Floats]:
    """Recall and precision at IoU 0.5 as the threshold falls, the precision made to fall with recall as AP has it."""
    hits = np.cumsum(matches.hits[:, 0])
    precision = hits / np.arange(1, len(hits) + 1)
    envelope = np.maximum.accumulate(precision[::-1])[::-1]
    recall = hits / max(1, int(matches.truths.sum()))
    return np.concatenate([[0.0], recall, recall[-1:]]), np.concatenate([envelope[:1], envelope, [0.0]])


def confusion(seen: Sequence[Seen], classes: int, confidence: float) -> npt.NDArray[np.int64]:
    """[classes + 1, classes + 1] counts: row true, column told; the last ones are background.

    Each detection above the threshold, the most confident first, takes the free object it overlaps most, by 0.5 or
    more, of whatever class.
    """
    matrix = np.zeros((classes + 1, classes + 1), np.int64)
    for one in seen:
        told = one.above(confidence)
        pairs = pair(one.picture.truth, as_found(told))
        for d, t in enumerate(pairs):
            matrix[one.picture.truth.class_ids[t] if t >= 0 else classes, told[d].class_id] += 1
        for t in set(range(len(one.picture.truth.class_ids))) - set(pairs):
            matrix[one.picture.truth.class_ids[t], classes] += 1
    return matrix


def pair(truth: Truth, found: Found) -> list[int]:
    """For each detection, which object it found, whatever the class; -1 for none."""
    overlaps = iou_matrix(found.xyxy, truth.xyxy)
    free = np.ones(len(truth.class_ids), bool)
    chosen = [-1] * len(found.confidence)
    for d in np.argsort(-found.confidence, kind="stable"):
        candidates = np.where(free, overlaps[d], 0.0)
        if len(candidates) and candidates.max() >= HIT_IOU:
            chosen[d] = int(candidates.argmax())
            free[chosen[d]] = False
    return chosen


@dataclass(frozen=True)
class Faults:
    """What is wrong with what was told of one photo, at the detector's threshold."""

    missed: int
    false: int
    mistaken: int
    worst: float
    """The most confident of the wrong detections, or how sure it was of no missed object: 0 to 1."""

    @property
    def count(self) -> int:
        """All of them."""
        return self.missed + self.false + self.mistaken

    def __str__(self) -> str:
        words = {"missed": self.missed, "false": self.false, "mistaken": self.mistaken}
        return ", ".join(f"{number} {word}" for word, number in words.items() if number) or "all found"


def faults(one: Seen, confidence: float) -> Faults:
    """Missed objects, boxes where nothing is, and boxes of the wrong class."""
    told = one.above(confidence)
    pairs = pair(one.picture.truth, as_found(told))
    false = [d.confidence for d, t in zip(told, pairs, strict=True) if t < 0]
    mistaken = [
        d.confidence
        for d, t in zip(told, pairs, strict=True)
        if t >= 0 and one.picture.truth.class_ids[t] != d.class_id
    ]
    missed = len(one.picture.truth.class_ids) - sum(t >= 0 for t in pairs)
    return Faults(missed, len(false), len(mistaken), max([*false, *mistaken], default=0.0))


def worst(seen: Sequence[Seen], confidence: float, most: int) -> list[tuple[Seen, Faults]]:
    """The photos with most faults, the most confident mistakes first; none that is right."""
    judged = [(one, faults(one, confidence)) for one in seen]
    wrong = [entry for entry in judged if entry[1].count]
    return sorted(wrong, key=lambda entry: (-entry[1].count, -entry[1].worst, entry[0].name))[:most]


def as_figures(score: ClassScore) -> dict[str, Any]:
    """For report.json, rounded to hundredths."""
    return {
        "label": score.label,
        "objects": score.objects,
        "mAP50-95": round(score.map50_95, 2),
        "mAP50-95_95": [round(value, 2) for value in score.interval],
        "mAP50": round(score.map50, 2),
        "precision": round(score.precision, 2) if score.precision == score.precision else None,
        "recall": round(score.recall, 2),
    }


def _draws(images: int, seed: int) -> list[Floats]:
    rng = np.random.default_rng(seed)
    return [np.bincount(rng.integers(0, images, images), minlength=images).astype(np.float64) for _ in range(DRAWS)]


def _interval(values: Sequence[float]) -> tuple[float, float]:
    low, high = np.nanpercentile(values, [2.5, 97.5]) if len(values) else (np.nan, np.nan)
    return float(low), float(high)
