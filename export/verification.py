"""The same pictures through the float network and through each exported file, by the device's own detector."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from device.datatypes import Detection
from device.detection.detector import Detector
from device.errors import InputError
from export import ROOT
from export.dataset import VIEWS, Labelled
from export.metrics import Accuracy, Found, Matches, accuracy, bootstrap_accuracy, bootstrap_difference, match
from export.parity import Parity

FLOORS = ROOT / "tests" / "floors.json"
CONFIDENCE = 0.001
"""As low as the curve of precision over recall needs it."""


@dataclass(frozen=True)
class Measured:
    """One detector on the four views of a set: the accuracy on each, and the matches for an interval."""

    name: str
    views: Sequence[Accuracy]
    matches: Sequence[Sequence[Matches]]

    @property
    def mean(self) -> Accuracy:
        """Over the views."""
        return Accuracy(
            float(np.mean([view.map50_95 for view in self.views])), float(np.mean([view.map50 for view in self.views]))
        )


def measure(name: str, detector: Detector, pictures: Sequence[Labelled], multi_label: bool = False) -> Measured:
    """Run a detector over the four views of labelled pictures.

    Args:
        multi_label: count every class of a box, as Ultralytics' validation does, not its best one only.
    """
    matches = []
    with tqdm(total=len(VIEWS) * len(pictures), desc=name, unit="picture", disable=None, leave=False) as bar:
        for view in VIEWS:
            truths, found = [], []
            for picture in pictures:
                shown = view.of(picture)
                truths.append(shown.truth)
                seen = detector.detect(shown.image, confidence=CONFIDENCE, multi_label=multi_label)
                found.append(as_found(seen))
                bar.update()
            matches.append(match(truths, found))
    return Measured(name, [accuracy(each) for each in matches], matches)


def as_found(detections: Sequence[Detection]) -> Found:
    """Detections as arrays."""
    return Found(
        np.array([d.xyxy for d in detections], np.float64).reshape(-1, 4),
        np.array([d.confidence for d in detections], np.float64),
        np.array([d.class_id for d in detections], np.int64),
    )


@dataclass(frozen=True)
class Floor:
    """Points of mAP50-95 that an exported file may lose: in the mean over the views, and in any one of them.

    `map50_95` and `map50`: what it must reach at least on the pictures as they are.
    """

    mean: float
    view: float
    map50_95: float = 0.0
    map50: float = 0.0


def floor_for(precision: str, size: int, path: Path = FLOORS, *, entry: str = "detect") -> Floor:
    """From an entry of the table of floors: `int8-320`, or `int8` for sizes it does not name.

    Raises:
        InputError: there is neither.
    """
    try:
        table: Mapping[str, Any] = json.loads(path.read_text())[entry]
    except (OSError, ValueError, KeyError) as error:
        raise InputError(f"{path} must hold the floors that exports are held to: {error}") from error
    floor = table.get(f"{precision}-{size}", table.get(precision))
    if floor is None:
        raise InputError(f"{path} has no floor {entry}.{precision}-{size}, nor {entry}.{precision}")
    least = (float(floor.get(name, 0)) for name in ("mAP50-95", "mAP50"))
    return Floor(float(floor["mean"]), float(floor["view"]), *least)


def shortfalls(reference: Measured, candidate: Measured, floor: Floor) -> list[str]:
    """Each way in which the file loses more than it may, as a sentence; empty where it is good."""
    found = []
    lost = reference.mean.map50_95 - candidate.mean.map50_95
    if not lost <= floor.mean:
        found.append(
            f"{candidate.name} loses {lost:.2f} points of mAP50-95 in the mean of four views, {floor.mean} are allowed"
        )
    for view, official, mine in zip(VIEWS, reference.views, candidate.views, strict=True):
        lost = official.map50_95 - mine.map50_95
        if not lost <= floor.view:
            found.append(f"{candidate.name} loses {lost:.2f} points of mAP50-95 {view.name}, {floor.view} are allowed")
    plain = candidate.views[0]
    for name, reached, least in (("mAP50-95", plain.map50_95, floor.map50_95), ("mAP50", plain.map50, floor.map50)):
        if not reached >= least:
            found.append(f"{candidate.name} reaches {reached:.2f} points of {name}, at least {least:g} are wanted")
    return found


def table(reference: Measured, candidates: Sequence[Measured]) -> str:
    """mAP50-95 / mAP50 side by side: a row for each view, a column for each file, as Markdown."""
    columns = [reference, *candidates]
    rows = [["view", *(measured.name for measured in columns)]]
    for index, view in enumerate(VIEWS):
        rows.append([view.name, *(_cell(measured.views[index]) for measured in columns)])
    rows.append(["**mean**", *(_cell(measured.mean) for measured in columns)])
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = ["| " + " | ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)) + " |" for row in rows]
    lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join(lines)


def _cell(found: Accuracy) -> str:
    return f"{found.map50_95:.2f} / {found.map50:.2f}"


def metrics(
    reference: Measured, candidate: Measured, closeness: Parity, common: Mapping[str, Any]
) -> list[dict[str, Any]]:
    """The manifest's entries for one file; `common` is in each: dataset, split, file and counts."""
    low, high = bootstrap_difference(reference.matches, candidate.matches)
    entries: list[dict[str, Any]] = []
    for index, view in enumerate(VIEWS):
        official, mine = reference.views[index], candidate.views[index]
        entries += _pair({**common, "view": view.name}, official, mine)
    entries[0]["quantized_95"] = [round(value, 2) for value in bootstrap_accuracy(candidate.matches[0])]
    entries += _pair({**common, "view": "mean of four"}, reference.mean, candidate.mean)
    entries[-2]["difference_95"] = [round(low, 2), round(high, 2)]
    entries.append({**common, "metric": "class KL to float", "float": 0.0, "quantized": round(closeness.class_kl, 4)})
    return entries


def _pair(common: Mapping[str, Any], official: Accuracy, mine: Accuracy) -> list[dict[str, Any]]:
    return [
        {**common, "metric": name, "float": round(a, 2), "quantized": round(b, 2)}
        for name, a, b in (
            ("mAP50-95", official.map50_95, mine.map50_95),
            ("mAP50", official.map50, mine.map50),
        )
    ]
