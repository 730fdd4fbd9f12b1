"""The same held-out pictures through every file of a classifier, by the device's own code; and what a file may lose."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from device.detection.classifier import Classifier
from device.errors import InputError
from device.inference.interpreter import open_interpreter
from device.inference.manifest import Bundle
from export.classification import FIGURES, Answers, Closeness, difference_intervals, figures, intervals
from export.datasets import Dataset, Sample
from export.verification import FLOORS

ROUNDING = 1e-3
"""Largest difference of a logit between two float runtimes, relative to the largest logit (at least 1)."""

SURE = 0.05
"""A loss counts as one where a file as good as the float network would be so unlucky less often than this."""


def ask(
    classifiers: Mapping[str, Classifier],
    dataset: Dataset,
    samples: Sequence[Sample],
    each: Callable[[], object] = lambda: None,
) -> dict[str, Answers]:
    """What classifiers say of samples; each picture is read once, and only the answers are kept.

    Args:
        each: called after each picture.
    Raises:
        InputError: there are no samples, or a file has gone.
    """
    if not samples:
        raise InputError(
            f"{dataset.root} has no photos to measure on: put some into test/CLASS, or more into each class"
        )
    scores: dict[str, list[np.ndarray]] = {name: [] for name in classifiers}
    for sample in samples:
        image = dataset.read(sample)
        for name, classifier in classifiers.items():
            scores[name].append(classifier.scores(image))
        each()
    truth = np.array([sample.label for sample in samples], np.int64)
    answers = {}
    for name, classifier in classifiers.items():
        found = np.array(scores[name])
        answers[name] = Answers(truth, found, classifier.as_probabilities(found))
    return answers


def ask_with_bar(
    classifiers: Mapping[str, Classifier], dataset: Dataset, samples: Sequence[Sample], name: str
) -> dict[str, Answers]:
    """`ask`, with a bar on a terminal."""
    with tqdm(total=len(samples), desc=name, unit="picture", disable=None, leave=False) as bar:
        return ask(classifiers, dataset, samples, bar.update)


def classifiers_of(bundle: Bundle, threads: int = 1) -> dict[str, Classifier]:
    """One for each file of a bundle, by the file's path in it."""
    return {
        file.path: Classifier(bundle, open_interpreter(bundle, runtime=file.runtime, threads=threads))
        for file in bundle.manifest.files
    }


@dataclass(frozen=True)
class Floors:
    """What a file may lose: points of top-1, nats of divergence, the largest difference of a logit; and the least that
    the model of this name must reach, by figure. None where nothing is asked."""

    points: float
    kl: float
    logit: float | None
    least: Mapping[str, float]


def floors_for(name: str, precision: str, path: Path = FLOORS) -> Floors:
    """From the table of floors: `classify.PRECISION`, and `classify.NAME`. Raises InputError without the former."""
    try:
        table: Mapping[str, Any] = json.loads(path.read_text())["classify"]
        entry = table[precision]
        return Floors(float(entry["points"]), float(entry["kl"]), entry.get("logit"), table.get(name, {}))
    except (OSError, ValueError, KeyError) as error:
        raise InputError(f"{path} must hold the floors that exports are held to: {error!r}") from error


def shortfalls(what: str, answers: Answers, close: Closeness, floors: Floors) -> list[str]:
    """Each way in which a file is worse than it may be, as a sentence; empty where it is good.

    Of 20 photos one is 5 points: a loss of top-1 counts only where the photos that the file alone gets wrong outnumber
    those that it alone gets right by more than chance. The divergence needs no luck: it looks at every probability.
    """
    found = []
    if close.lost > floors.points and close.chance < SURE:
        found.append(
            f"{what} loses {close.lost:.2f} points of top-1 on {close.pictures} pictures ({close.worse} that only the "
            f"float network gets right, {close.better} that only the file does), {floors.points} are allowed"
        )
    if not close.kl <= floors.kl:
        found.append(f"{what} diverges from the float network by {close.kl:.3g} nats, {floors.kl} are allowed")
    if floors.logit is not None and not close.largest <= floors.logit * max(1.0, float(np.abs(answers.scores).max())):
        found.append(
            f"a logit of {what} differs by {close.largest:.3g} from the network's, more than rounding: the converter "
            "got it wrong"
        )
    reached = figures(answers)
    found += [
        f"{what} has {reached[name]:.2f} points of {name}, at least {least} are wanted"
        for name, least in floors.least.items()
        if name in reached and not reached[name] >= least
    ]
    return found


def metrics(
    reference: Answers, candidate: Answers, close: Closeness, common: Mapping[str, Any]
) -> list[dict[str, Any]]:
    """The manifest's entries for one file: every figure with its interval, and how close it is to the float network."""
    told = [(figures(answers), intervals(answers)) for answers in (reference, candidate)]
    differences = difference_intervals(reference, candidate)
    entries: list[dict[str, Any]] = []
    for name in FIGURES:
        (official, official_95), (mine, mine_95) = ((values[name], spans[name]) for values, spans in told)
        entries.append(
            {
                **common,
                "metric": name,
                "float": round(official, 2),
                "quantized": round(mine, 2),
                "float_95": [round(edge, 2) for edge in official_95],
                "quantized_95": [round(edge, 2) for edge in mine_95],
                "difference_95": [round(edge, 2) for edge in differences[name]],
            }
        )
    entries[0] |= {"only_float_right": close.worse, "only_quantized_right": close.better}
    entries.append({**common, "metric": "KL to float", "float": 0.0, "quantized": round(close.kl, 6)})
    entries.append(
        {**common, "metric": "largest difference of a logit", "float": 0.0, "quantized": round(close.largest, 4)}
    )
    return entries


def table(columns: Mapping[str, Answers]) -> str:
    """The figures with their intervals side by side, as Markdown: a row for each figure, a column for each file."""
    told = {name: (figures(answers), intervals(answers)) for name, answers in columns.items()}
    rows = [["", *columns]]
    for figure in FIGURES:
        cells = [
            f"{values[figure]:.2f} ({spans[figure][0]:.1f} to {spans[figure][1]:.1f})"
            for values, spans in told.values()
        ]
        rows.append([figure, *cells])
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = ["| " + " | ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)) + " |" for row in rows]
    lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join(lines)
