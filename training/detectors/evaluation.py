"""A detector's quantized file on held-out photos, by the device's own detector: figures, and a page about them."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from device.datatypes import Image
from device.detection.detector import Detector
from device.drawing import Caption, draw
from device.errors import ConfigError
from device.inference.interpreter import choose_file, open_interpreter
from device.inference.manifest import Bundle, load_bundle
from export.labelled import LabelledPhoto, LabelledSet, open_labelled
from export.metrics import Accuracy
from export.trained import bundle_of
from training.detectors import scoring
from training.detectors.roles import Roles
from training.detectors.scoring import ClassScore, Seen
from training.detectors.train import ALL_CLASSES
from training.reporting import plots
from training.reporting.page import Report
from training.reporting.sheet import sheet
from training.runs import Run, read_config

WORST = 18
TRUE = (255, 255, 255)


@dataclass(frozen=True)
class Evaluation:
    """What came of looking at a split."""

    bundle: Bundle
    dataset: LabelledSet
    split: str
    seen: Sequence[Seen]
    confidence: float
    runtime: str
    total: Accuracy
    spans: Mapping[str, tuple[float, float]]
    best: Accuracy
    """Each box with its best class only."""
    classes: Sequence[ClassScore]

    @property
    def labels(self) -> list[str]:
        """Class names."""
        return list(self.bundle.manifest.labels)

    def figures(self) -> dict[str, Any]:
        """For report.json."""
        file = choose_file(self.bundle, self.runtime)  # type: ignore[arg-type]
        return {
            "task": "detect",
            "bundle": self.bundle.name,
            "file": {"path": file.path, "precision": file.precision, "bytes": file.bytes, "sha256": file.sha256},
            "dataset": {"name": self.dataset.name, "fingerprint": self.dataset.fingerprint, "split": self.split},
            "images": len(self.seen),
            "objects": sum(len(one.picture.truth.class_ids) for one in self.seen),
            "mAP50-95": round(self.total.map50_95, 2),
            "mAP50": round(self.total.map50, 2),
            "best class only": {"mAP50-95": round(self.best.map50_95, 2), "mAP50": round(self.best.map50, 2)},
            "intervals_95": {name: [round(value, 2) for value in span] for name, span in self.spans.items()},
            "classes": [scoring.as_figures(score) for score in self.classes],
            "confidence": self.confidence,
            "confusion": scoring.confusion(self.seen, len(self.labels), self.confidence).tolist(),
        }


def measure(bundle: Bundle, dataset: LabelledSet, split: str, runtime: str = "auto") -> Evaluation:
    """Look at a split with the bundle's file.

    Raises:
        ConfigError: the labels of bundle and data are not the same, or the split has no photos.
    """
    if tuple(bundle.manifest.labels) != tuple(dataset.labels):
        raise ConfigError(
            f"{bundle.path} knows {', '.join(bundle.manifest.labels)}, and {dataset.root} has "
            f"{', '.join(dataset.labels)}: they must be the same, in the same order"
        )
    photos = dataset.splits.get(split, ())
    if not photos:
        raise ConfigError(f"{dataset.root} has no photos in the split {split!r}")
    detector = Detector(bundle, open_interpreter(bundle, runtime=runtime, threads=1))  # type: ignore[arg-type]
    seen = scoring.look(detector, [(_name(dataset, photo), photo.read()) for photo in photos], split)
    total, spans = scoring.overall(seen)
    classes = scoring.by_class(seen, dataset.labels, detector.confidence)
    best = scoring.best_class(seen)
    return Evaluation(bundle, dataset, split, seen, detector.confidence, runtime, total, spans, best, classes)


def evaluate(
    bundle_or_run: Path, data: Path | None, out: Path, split: str | None = None, runtime: str = "auto"
) -> dict[str, Any]:
    """`training evaluate` for detectors: figures and a page in the folder `out`.

    Args:
        data: the labelled photos; for a run that of its training where left out.
        split: val or test; the held-out one of the data where left out.
    Returns:
        The figures of `out/report.json`.
    Raises:
        ConfigError: the data are missing, have other labels, or lack the split.
        InputError: bundle or photos cannot be read.
    """
    config = read_config(bundle_or_run) if (bundle_or_run / "config.yaml").is_file() else {}
    bundle = load_bundle(bundle_of(bundle_or_run))
    if data is None and not config:
        raise ConfigError("--data is missing: name the folder of labelled photos to measure on")
    names = config.get("names") or list(bundle.manifest.labels)
    dataset = open_labelled(Path(data or config["data"]), names=names, seed=config.get("seed", 0))
    found = measure(bundle, dataset, split or ("test" if dataset.splits.get("test") else "val"), runtime)
    run = Run(
        out, {"family": "evaluate", "model": bundle_or_run, "data": dataset.root, "split": found.split}, resume=False
    )
    page = Report(f"{bundle.name} on {dataset.name}")
    _held_out(page, found)
    _data(page, dataset)
    page.run_facts(run)
    figures = found.figures()
    page.write(run, figures)
    run.log.info("%s", _summary(found))
    return figures


def report(run: Run, bundle: Bundle, dataset: LabelledSet, parts: Roles) -> Path:
    """The page of a training run; returns its path."""
    found = measure(bundle, dataset, parts.split)
    history = json.loads((run.path / "history.json").read_text(encoding="utf-8"))
    page = Report(f"Detector of {', '.join(dataset.labels)}", _learnt(parts))
    _held_out(page, found)
    _curves(page, history, parts)
    _quantization(page, bundle)
    _data(page, dataset)
    page.run_facts(run)
    figures = {**found.figures(), "quantization": list(bundle.manifest.metrics), "epochs": len(history)}
    path = page.write(run, figures)
    run.log.info("%s", _summary(found))
    return path


def _summary(found: Evaluation) -> str:
    return (
        f"{found.bundle.name} on {len(found.seen)} photos of {found.split}: mAP50-95 {found.total.map50_95:.2f}, "
        f"mAP50 {found.total.map50:.2f} (points, quantized file)"
    )


def _learnt(parts: Roles) -> str:
    if parts.choose:
        how = f"the weights of the epoch that was best on {len(parts.choose)} other photos"
    else:
        how = "the averaged weights of the last epoch, chosen by nothing"
    return (
        f"Learnt from {len(parts.learn)} photos; kept are {how}. Figures are of {len(parts.report)} photos of "
        f"{parts.split}."
    )


def _held_out(page: Report, found: Evaluation) -> None:
    title = f"On {found.split}"
    total = {"mAP50-95": found.total.map50_95, "mAP50": found.total.map50}
    page.headline({f"{name}, int8, all classes of a box": f"{value:.1f}" for name, value in total.items()})
    page.text(
        title,
        "All figures are those of the quantized file, run by the device's own detector. mAP by COCO's rules, in "
        "points, each box with all its classes, as Ultralytics' validation counts; where a box counts with its best "
        f"class only, mAP50-95 / mAP50 are {found.best.map50_95:.1f} / {found.best.map50:.1f}. Intervals of 95 % by "
        "drawing photos with replacement. Precision, recall, the confusion matrix and the photos below are what the "
        f"device tells, best classes from confidence {found.confidence:g}; a hit overlaps by IoU 0.5.",
    )
    rows = [
        [s.label, s.objects, s.map50_95, f"{s.interval[0]:.1f} … {s.interval[1]:.1f}", s.map50, s.precision, s.recall]
        for s in found.classes
    ]
    span = found.spans["mAP50-95"]
    objects = sum(score.objects for score in found.classes)
    rows.append(["all", objects, found.total.map50_95, f"{span[0]:.1f} … {span[1]:.1f}", found.total.map50, None, None])
    shown = [[cell if not isinstance(cell, float) else f"{cell:.1f}" for cell in row] for row in rows]
    header = ["class", "objects", "mAP50-95", "95 %", "mAP50", "precision", "recall"]
    page.table(title, header, [["–" if cell in (None, "nan") else cell for cell in row] for row in shown])
    page.picture("precision-recall", _precision_recall(found), "Precision over recall at IoU 0.5")
    matrix = scoring.confusion(found.seen, len(found.labels), found.confidence)
    page.picture(
        "confusion",
        plots.confusion(matrix, [*found.labels, "background"]),
        f"What the detector told (columns) of what is there (rows), at confidence {found.confidence:g}. Background as "
        "a row: boxes where nothing is labelled; as a column: objects that it missed.",
    )
    _worst(page, found)


def _precision_recall(found: Evaluation) -> bytes:
    series = {
        f"{found.labels[class_id]}": scoring.precision_recall(matches)
        for class_id, matches in zip(scoring.present(found.seen), scoring.matches_of(found.seen), strict=True)
    }
    return plots.lines(series, xlabel="recall", ylabel="precision", limits=((0, 1.02), (0, 1.02)))


def _worst(page: Report, found: Evaluation) -> None:
    chosen = scoring.worst(found.seen, found.confidence, WORST)
    if not chosen:
        page.text("Worst photos", "Nothing was missed, invented or mistaken.")
        return
    captions = [f"{_short(one)}\n{wrong}\n{_told(one, found)}" for one, wrong in chosen]
    pictures = [drawn(one, found.labels, found.confidence) for one, _ in chosen]
    right = sum(scoring.faults(one, found.confidence).count == 0 for one in found.seen)
    page.picture(
        "worst",
        sheet(pictures, captions, [False] * len(chosen), columns=3),
        f"The worst {len(chosen)}; {right} of {len(found.seen)} photos are without a fault. White: as labelled; in "
        "colour: as told. Below each: what is there → what was told.",
        title="Worst photos",
    )
    good = [one for one in found.seen if scoring.faults(one, found.confidence).count == 0][:6]
    if good:
        shown = [drawn(one, found.labels, found.confidence) for one in good]
        captions = [f"{_short(one)}\n{_told(one, found)}" for one in good]
        page.picture("right", sheet(shown, captions, [True] * len(good), columns=3), "Some that are right")


def _short(one: Seen) -> str:
    """The end of the file's name, which fits under a small picture."""
    return Path(one.name).stem[-15:]


def _told(one: Seen, found: Evaluation) -> str:
    """What is there, and what was told of it."""
    there = ", ".join(found.labels[class_id] for class_id in one.picture.truth.class_ids) or "nothing"
    told = ", ".join(f"{d.label} {d.confidence:.0%}" for d in one.above(found.confidence)) or "nothing"
    return f"{there} → {told}"


def drawn(one: Seen, labels: Sequence[str], confidence: float) -> Image:
    """The photo with what is there in white and what was told in colour; at least 480 pixels wide or high."""
    import cv2

    image = one.picture.image
    scale = 480 / max(image.shape[:2])
    picture = np.ascontiguousarray(cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA))
    for box, class_id in zip(one.picture.truth.xyxy * scale, one.picture.truth.class_ids, strict=True):
        x1, y1, x2, y2 = (round(float(value)) for value in box)
        cv2.rectangle(picture, (x1, y1), (x2, y2), TRUE, 2, cv2.LINE_AA)
        place = (x1 + 4, min(picture.shape[0] - 6, y2 - 6))
        cv2.putText(picture, labels[class_id], place, cv2.FONT_HERSHEY_SIMPLEX, 0.6, (0, 0, 0), 4, cv2.LINE_AA)
        cv2.putText(picture, labels[class_id], place, cv2.FONT_HERSHEY_SIMPLEX, 0.6, TRUE, 1, cv2.LINE_AA)
    draw(picture, [Caption(d.xyxy, d.label, d.confidence, d.class_id) for d in one.above(confidence)], scale)
    return picture


def _curves(page: Report, history: Sequence[Mapping[str, float]], parts: Roles) -> None:
    panels: dict[str, Any] = {
        "loss": {name: [row[name] for row in history] for name in ("box", "cls", "dfl")},
        "learning rate": {"rate": [row["rate"] for row in history]},
    }
    scored = [row for row in history if "mAP50-95" in row]
    counted = "all classes" if all(ALL_CLASSES in row for row in scored) else "best class"
    if scored:
        at = [row["epoch"] for row in scored]
        panels[f"mAP, float network, {counted} of a box"] = {
            name: (at, [row[name] for row in scored]) for name in ("mAP50-95", "mAP50")
        }
    chosen = "chooses the epoch that is kept" if parts.choose else "chooses nothing: the last averaged weights are kept"
    watched = "the photos set aside" if parts.choose else parts.split
    page.picture(
        "curves",
        plots.curves(panels),
        f"Loss on the augmented training photos; mAP of the averaged float weights on {watched}, {counted} of a box, "
        f"which {chosen}. The headline is the quantized file's, all classes of a box.",
        title="Learning curves",
    )


def _quantization(page: Report, bundle: Bundle) -> None:
    rows = [
        [entry["file"], entry.get("view", "–"), entry["metric"], entry["float"], entry["quantized"]]
        for entry in bundle.manifest.metrics
    ]
    page.table(
        "Float against int8",
        ["file", "view", "metric", "float", "int8"],
        rows,
        "Four views of each held-out photo; the class KL divergence is 0 for the same scores.",
    )


def _data(page: Report, dataset: LabelledSet) -> None:
    rows = []
    for split, photos in dataset.splits.items():
        objects = Counter(int(class_id) for photo in photos for class_id in photo.class_ids)
        empty = sum(not len(photo.class_ids) for photo in photos)
        rows.append([split, len(photos), empty, *(objects[number] for number in range(len(dataset.labels)))])
    page.table("Dataset", ["split", "photos", "without objects", *dataset.labels], rows, "Objects by class.")
    page.facts("Dataset", {"name": dataset.name, "fingerprint": dataset.fingerprint})


def _name(dataset: LabelledSet, photo: LabelledPhoto) -> str:
    return photo.path.as_posix().removeprefix(f"{dataset.root.as_posix()}/")
