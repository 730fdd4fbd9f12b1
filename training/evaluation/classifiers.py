"""The report on a classifier: what it gets right on held-out photos, how sure it is, and what it takes for what."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from device.detection.classifier import Fitting
from device.errors import ConfigError
from device.inference.manifest import Bundle
from export.classification import (
    FIGURES,
    Answers,
    Interval,
    closeness,
    confused_pairs,
    confusion,
    figures,
    intervals,
    per_class,
)
from export.classifier_verification import ask, classifiers_of
from export.datasets import Dataset, Sample, open_dataset
from training.evaluation.graph import embedding_tensor, embeddings, multiply_adds
from training.evaluation.subjects import Subject
from training.progress import Progress
from training.reporting import plots
from training.reporting.page import Report
from training.runs import Run

SHOWN = 18
"""Photos on a sheet."""
POINTS = 1500
"""Photos whose embeddings are drawn at most: t-SNE takes minutes for more, and the picture gains nothing."""


@dataclass(frozen=True, eq=False)
class Column:
    """One file of a bundle on the same photos as the others."""

    bundle: Bundle
    path: str
    answers: Answers
    figures: dict[str, float]
    intervals: dict[str, Interval]

    @property
    def name(self) -> str:
        """`int8 tflite`."""
        return f"{self.bundle.manifest.files[0].precision} {Path(self.path).suffix[1:]}"


def evaluate_classifier(subject: Subject, data: Path, out: Path, split: str | None) -> dict[str, Any]:
    """Measure every file of a classifier's bundles, and write report.html, report.json and predictions.csv into `out`.

    Returns:
        The figures of report.json.
    Raises:
        ConfigError: the data have a class that the bundle does not know, or lack the split.
        InputError: bundle or photos cannot be read.
    """
    dataset = open_dataset(data, seed=subject.split_seed)
    split, samples = _part(dataset, split)
    samples = _relabelled(subject, dataset, samples)
    run = Run(
        out, {"family": "evaluate", "model": str(subject.bundle.path), "data": data, "split": split}, resume=False
    )
    columns = _measure(subject, dataset, samples)
    first = columns[0]
    run.write_bytes("predictions.csv", _predictions(dataset, samples, first))
    report = Report(
        f"{subject.name} on {dataset.root.resolve().name}",
        f"{len(samples):,} photos of the {split} part, by the device's own classifier; {first.name} unless said.",
    )
    report.headline(_headline(first))
    _add_figures(report, columns)
    labels = subject.bundle.manifest.labels
    _add_mistakes(report, dataset, samples, first, labels)
    _add_calibration(report, columns)
    _add_embeddings(report, subject, dataset, samples)
    _add_samples(report, dataset, samples, first, labels)
    report.run_facts(run, {"folder": dataset.root.resolve().name, "fingerprint": dataset.fingerprint, "split": split})
    told = _told(subject, dataset, split, columns)
    report.write(run, told)
    return told


def _part(dataset: Dataset, split: str | None) -> tuple[str, tuple[Sample, ...]]:
    split = split or ("test" if dataset.splits.get("test") else "val")
    samples = sum(dataset.splits.values(), ()) if split == "all" else dataset.splits.get(split, ())
    if not samples:
        raise ConfigError(f"{dataset.root} has no photos in its {split} part: choose another by --split")
    return split, samples


def _relabelled(subject: Subject, dataset: Dataset, samples: Sequence[Sample]) -> tuple[Sample, ...]:
    """The samples with the bundle's class ids, which may be more than the data have."""
    known = subject.bundle.manifest.labels
    for label in dataset.labels:
        if label not in known:
            raise ConfigError(f"{dataset.root} has a class {label!r}, and {subject.name} knows only {', '.join(known)}")
    places = [known.index(label) for label in dataset.labels]
    return tuple(Sample(sample.path, places[sample.label], sample.tile) for sample in samples)


def _measure(subject: Subject, dataset: Dataset, samples: Sequence[Sample]) -> list[Column]:
    opened = {(bundle.name, path): one for bundle in subject.bundles for path, one in classifiers_of(bundle).items()}
    keys = {"/".join(key): key for key in opened}
    with Progress(len(samples), "measuring", unit="photo") as bar:
        answers = ask({name: opened[key] for name, key in keys.items()}, dataset, samples, bar.advance)
    bundles = {bundle.name: bundle for bundle in subject.bundles}
    return [
        Column(bundles[keys[name][0]], keys[name][1], found, figures(found), intervals(found))
        for name, found in answers.items()
    ]


def _headline(column: Column) -> dict[str, str]:
    shown = {"right at once": f"{column.figures['top-1']:.2f} %"}
    if column.answers.classes > 5:
        shown["among the first three"] = f"{column.figures['top-3']:.2f} %"
    return {
        **shown,
        "macro F1": f"{column.figures['F1'] / 100:.3f}",
        "calibration error": f"{column.figures['ECE']:.1f} %",
    }


def _add_figures(report: Report, columns: Sequence[Column]) -> None:
    rows = []
    for name in FIGURES:
        cells = []
        for column in columns:
            low, high = column.intervals[name]
            cells.append(f"{column.figures[name]:.2f} ({low:.1f} to {high:.1f})")
        rows.append([name, *cells])
    note = (
        "Points of 100, with 95 % intervals (bootstrap over the photos). Precision, recall and F1 are means over the "
        "classes; ECE is the expected calibration error in 15 bins."
    )
    report.table("Figures", ["", *(column.name for column in columns)], rows, note)
    reference = next((column for column in columns if column.bundle.manifest.files[0].precision == "fp32"), columns[0])
    rows = []
    for column in columns:
        close = closeness(reference.answers, column.answers)
        rows.append([column.name, close.worse, close.better, f"{100 * close.agreement:.2f} %", close.kl, close.largest])
    header = ["", "only it is wrong", "only it is right", "same class", "KL, nats", "logits"]
    note = (
        f"Each file against {reference.name} on the same photos; KL divergence of the probabilities, largest difference"
    )
    report.table("", header, rows, f"{note} of a logit.")


def _add_mistakes(
    report: Report, dataset: Dataset, samples: Sequence[Sample], column: Column, labels: Sequence[str]
) -> None:
    matrix = confusion(column.answers)
    report.picture("confusion", plots.confusion(matrix, labels), f"{column.name}.", title="What it takes for what")
    rows = [(label, *values) for label, values in zip(labels, per_class(column.answers), strict=True) if values[0]]
    report.table("", ["class", "photos", "precision", "recall", "F1"], rows)
    pairs = confused_pairs(matrix)
    if not pairs:
        report.text("", "No photo was mistaken for another class.")
        return
    report.table(
        "Most confused pairs",
        ["", "", "first taken for second", "second for first"],
        [(labels[pair.a], labels[pair.b], pair.a_as_b, pair.b_as_a) for pair in pairs],
    )
    chosen: list[int] = []
    named, truth = column.answers.named, column.answers.truth
    for pair in pairs:
        mixed = ((truth == pair.a) & (named == pair.b)) | ((truth == pair.b) & (named == pair.a))
        surest = np.flatnonzero(mixed)
        chosen += surest[np.argsort(-column.answers.confidence[surest], kind="stable")][:3].tolist()
    picture = _sheet(dataset, samples, column, labels, chosen[:SHOWN])
    report.picture("pairs", picture, "Of each pair the surest mistakes: what was said, and what it is.")


def _add_calibration(report: Report, columns: Sequence[Column]) -> None:
    for number, column in enumerate(columns):
        if column.path != columns[0].path:
            continue
        picture = plots.reliability(column.answers.confidence, column.answers.right)
        title = "Calibration" if number == 0 else ""
        report.picture(f"reliability-{column.name.split()[0]}", picture, f"{column.name}.", title=title)


def _add_embeddings(report: Report, subject: Subject, dataset: Dataset, samples: Sequence[Sample]) -> None:
    """t-SNE of what the last layer weighs, read out of the int8 file itself."""
    manifest = subject.bundle.manifest
    file = next((file for file in manifest.files if file.runtime == "litert"), None)
    chosen = [samples[i] for i in np.unique(np.linspace(0, len(samples) - 1, min(POINTS, len(samples))).astype(int))]
    if file is None or len(chosen) < 10:
        return
    fit = Fitting(manifest.input)
    squares = (fit(dataset.read(sample)) for sample in chosen)  # One at a time: a thousand would take 200 MB.
    content = subject.bundle.read(file)
    tensor = embedding_tensor(content)
    if tensor is None:
        report.text("Embeddings", "The file does not end in a dense layer, so there is no embedding to look at.")
        return
    vectors = embeddings(content, tensor, manifest.input, squares)
    points = neighbours(vectors)
    labels = np.array([sample.label for sample in chosen])
    caption = (
        f"t-SNE of the {vectors.shape[1]} numbers that the last layer weighs, of {len(chosen)} photos: near points "
        "look alike to the network. Distances between clusters mean nothing."
    )
    report.picture("embeddings", plots.scatter(points, labels, manifest.labels), caption, title="Embeddings")


def neighbours(vectors: np.ndarray, seed: int = 0) -> np.ndarray:
    """[N, D] -> [N, 2] by t-SNE (van der Maaten 2008), of the 50 principal components at most."""
    from sklearn.decomposition import PCA
    from sklearn.manifold import TSNE
    from threadpoolctl import threadpool_limits

    kept = min(50, *vectors.shape)
    # On one thread: the same picture each time, and none that waits for another in a busy loop.
    with threadpool_limits(1):
        reduced = PCA(kept, random_state=seed).fit_transform(vectors)
        return TSNE(perplexity=min(30, (len(vectors) - 1) / 3), init="pca", random_state=seed).fit_transform(reduced)


def _add_samples(
    report: Report, dataset: Dataset, samples: Sequence[Sample], column: Column, labels: Sequence[str]
) -> None:
    answers = column.answers
    wrong, right = np.flatnonzero(~answers.right), np.flatnonzero(answers.right)
    surest = wrong[np.argsort(-answers.confidence[wrong], kind="stable")][:SHOWN]
    spread = right[np.unique(np.linspace(0, len(right) - 1, SHOWN).astype(int))] if len(right) else right
    title = "Samples"
    for name, chosen, caption in (
        ("wrong", surest, f"The surest of {len(wrong)} mistakes."),
        ("right", spread, f"Some of the {len(right)} that are right."),
    ):
        if len(chosen):
            report.picture(name, _sheet(dataset, samples, column, labels, chosen.tolist()), caption, title=title)
            title = ""


def _sheet(
    dataset: Dataset, samples: Sequence[Sample], column: Column, labels: Sequence[str], chosen: Sequence[int]
) -> bytes:
    answers, captions = column.answers, []
    for index in chosen:
        said = f"{labels[answers.named[index]]} {100 * answers.confidence[index]:.0f} %"
        captions.append(said if answers.right[index] else f"{said}\nis {labels[answers.truth[index]]}")
    images = [dataset.read(samples[index]) for index in chosen]
    return plots.sheet(images, captions, [bool(answers.right[index]) for index in chosen])


def _predictions(dataset: Dataset, samples: Sequence[Sample], column: Column) -> bytes:
    """A line a photo: its name in the data, the true class, the class that was named, how sure."""
    labels = column.bundle.manifest.labels
    stream = io.StringIO()
    rows = csv.writer(stream, lineterminator="\n")
    rows.writerow(["photo", "true", "named", "confidence"])
    for index, sample in enumerate(samples):
        named = labels[column.answers.named[index]]
        rows.writerow([dataset.name(sample), labels[sample.label], named, f"{column.answers.confidence[index]:.6f}"])
    return stream.getvalue().encode()


def _told(subject: Subject, dataset: Dataset, split: str, columns: Sequence[Column]) -> dict[str, Any]:
    """report.json."""
    file = next((file for file in subject.bundle.manifest.files if file.runtime == "litert"), None)
    return {
        "model": subject.name,
        "dataset": {"name": dataset.root.resolve().name, "fingerprint": dataset.fingerprint, "split": split},
        "photos": len(columns[0].answers),
        "multiply_adds": multiply_adds(subject.bundle.read(file)) if file else None,
        "files": {
            column.name: {
                "figures": column.figures,
                "intervals_95": column.intervals,
                "confusion": confusion(column.answers).tolist(),
            }
            for column in columns
        },
    }
