"""The report of a classifier's training: how it learnt, what it gets right, and what it takes for what."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from export.classification import Answers, confusion, figures, intervals
from export.datasets import Dataset, Sample
from training.data.findings import Findings
from training.reporting import plots
from training.reporting.page import Report
from training.runs import Run

SAMPLES = 12

SMALL_PICTURES = (
    "The pictures are smaller than the input and are enlarged to it. A network that has learnt ImageNet looks for "
    "structures of some 10 to 100 pixels and halves its maps five times: of 32 pixels fed as they are, one position is "
    "left in the last map. Fed with numbers from 0 to 255 where it expects them about 0, most of its ReLU6 are at an "
    "end of their range besides. Frozen MobileNetV2 and a dense layer, learnt from 6,000 pictures of CIFAR-10, name "
    "26.2 % of others rightly with both mistakes (a course reports 28.6 %), 52.3 % at 32 pixels with the right "
    "normalisation, and 34.9 % enlarged to 96 pixels with the wrong one. Here pictures are enlarged to {size} pixels, "
    "and the normalisation is a part of the network, so that nobody can forget it or do it twice."
)


@dataclass(frozen=True, eq=False)
class Outcome:
    """What there is to tell of a finished run."""

    network: str
    dataset: Dataset
    findings: Findings
    history: Mapping[str, Sequence[Mapping[str, float]]]
    starts: Mapping[str, Mapping[str, float]]
    """Of later stages, the figures on val before their first epoch."""
    seconds: float
    val: Answers
    """Of the float network."""
    test: Answers | None
    """Of the bundle's file, on the device's classifier; None without a bundle."""
    bundle: Mapping[str, Any]
    """Name, bytes and sha256 of the file; empty without a bundle."""


def write_report(run: Run, outcome: Outcome) -> None:
    """report.html, report.json and the plots, into the run's folder."""
    answers = outcome.test or outcome.val
    name = run.config.get("backbone") or run.config["network"]
    report = Report(f"{name} on {outcome.dataset.root.name}", _summary(run, outcome))
    report.headline(_headline(outcome))
    _learning(report, run, outcome)
    _answers(report, outcome, answers)
    if max(map(max, _shapes(outcome))) < run.config["size"] // 2 and "backbone" in run.config:
        report.text("Small pictures", SMALL_PICTURES.format(size=run.config["size"]))
    _data(report, outcome)
    report.run_facts(run)
    report.write(run, figures_of(run, outcome))


def figures_of(run: Run, outcome: Outcome) -> dict[str, Any]:
    """report.json."""
    return {
        "family": run.config["family"],
        "network": outcome.network,
        "seed": run.config["seed"],
        "dataset": {
            "name": outcome.dataset.root.name,
            "fingerprint": outcome.dataset.fingerprint,
            "labels": list(outcome.dataset.labels),
            "counts": outcome.dataset.counts(),
        },
        "training_seconds": outcome.seconds,
        "epochs": {stage: len(rows) for stage, rows in outcome.history.items()},
        "history": outcome.history,
        "val_float": figures(outcome.val),
        "test_quantized": outcome.test and figures(outcome.test),
        "test_quantized_intervals": outcome.test and intervals(outcome.test),
        "bundle": outcome.bundle or None,
    }


def _summary(run: Run, outcome: Outcome) -> str:
    counts = {split: sum(numbers) for split, numbers in outcome.dataset.counts().items()}
    return (
        f"{outcome.network} at {run.config['size']} pixels, {len(outcome.dataset.labels)} classes, "
        f"{counts['train']:,} photos to learn from, {counts['val']:,} to choose by, {counts['test']:,} for figures; "
        f"seed {run.config['seed']}."
    )


def _headline(outcome: Outcome) -> dict[str, str]:
    found = figures(outcome.test or outcome.val)
    where = "test, int8 file" if outcome.test else "val, float network"
    shown = {f"right at once ({where})": f"{found['top-1']:.2f} %"}
    if len(outcome.dataset.labels) > 5:
        shown["among the first three"] = f"{found['top-3']:.2f} %"
    shown["macro F1"] = f"{found['F1'] / 100:.3f}"
    if outcome.bundle:
        shown["file"] = f"{outcome.bundle['bytes'] / 1e6:.2f} MB"
    shown["training"] = f"{outcome.seconds / 60:.1f} min"
    return shown


def _learning(report: Report, run: Run, outcome: Outcome) -> None:
    """Curves over all stages."""
    rows = [row for stage in outcome.history.values() for row in stage]
    marks, done = {}, 0
    for stage, stage_rows in outcome.history.items():
        if done:
            marks[stage] = done + 0.5
        done += len(stage_rows)
    panels = {
        "loss": {"train": [row["loss"] for row in rows], "val": [row["val_loss"] for row in rows]},
        "accuracy, %": {
            "train": [100 * row["accuracy"] for row in rows],
            "val": [100 * row["val_accuracy"] for row in rows],
        },
        "learning rate": {"rate": [row["rate"] for row in rows]},
    }
    caption = (
        "Training figures are of augmented pictures, dropout on, as the network learns; val is measured after an epoch."
    )
    report.picture("curves", plots.curves(panels, marks=marks, log=["learning rate"]), caption, title="Learning")
    best = {}
    for stage, stage_rows in outcome.history.items():
        start = [{"epoch": 0, **outcome.starts[stage]}] if stage in outcome.starts else []
        chosen = _best(run, [*start, *stage_rows])
        best[f"{stage}: best epoch"] = (
            f"{chosen['epoch']:.0f} of {len(stage_rows)}, val accuracy {_percent(chosen['val_accuracy'])}"
        )
    report.facts("", best)


def _best(run: Run, rows: Sequence[Mapping[str, float]]) -> Mapping[str, float]:
    if run.config["monitor"] == "accuracy":
        return max(rows, key=lambda row: row["val_accuracy"] - 1e-3 * row["val_loss"])
    return min(rows, key=lambda row: row["val_loss"])


def _answers(report: Report, outcome: Outcome, answers: Answers) -> None:
    """Confusion and samples."""
    labels = outcome.dataset.labels
    where = "test, int8 file on the device's classifier" if outcome.test else "val, float network"
    plot = plots.confusion(confusion(answers), labels)
    report.picture("confusion", plot, f"Measured on {where}.", title="What it takes for what")
    samples = outcome.dataset.splits["test" if outcome.test else "val"]
    wrong, right = np.flatnonzero(~answers.right), np.flatnonzero(answers.right)
    surest = wrong[np.argsort(-answers.confidence[wrong], kind="stable")][:SAMPLES]
    spread = right[np.linspace(0, len(right) - 1, min(SAMPLES, len(right))).astype(int)] if len(right) else right
    for name, chosen, caption in (
        ("wrong", surest, f"Mistakes: the surest of {len(wrong)}."),
        ("right", spread, f"Some of the {len(right)} that are right."),
    ):
        if len(chosen):
            report.picture(name, _sheet(outcome.dataset, samples, answers, chosen), caption, title="Samples")


def _sheet(dataset: Dataset, samples: Sequence[Sample], answers: Answers, chosen: Sequence[int]) -> bytes:
    captions = []
    for index in chosen:
        said = f"{dataset.labels[answers.named[index]]} {100 * answers.confidence[index]:.0f} %"
        captions.append(said if answers.right[index] else f"{said}\nis {dataset.labels[answers.truth[index]]}")
    pictures = [dataset.read(samples[index]) for index in chosen]
    return plots.sheet(pictures, captions, [bool(answers.right[index]) for index in chosen])


def _data(report: Report, outcome: Outcome) -> None:
    findings = outcome.findings
    report.table("Dataset", findings.header, findings.rows)
    if findings.found:
        report.table("", ("", "count", "what"), [row[:3] for row in findings.report_rows()])
    facts = {**findings.facts, "fingerprint": outcome.dataset.fingerprint}
    report.facts("", facts)


def _shapes(outcome: Outcome) -> list[tuple[int, int]]:
    """Height and width of some pictures."""
    samples = outcome.dataset.splits["val"]
    return [outcome.dataset.read(sample).shape[:2] for sample in samples[:: max(len(samples) // 8, 1)]]


def _percent(share: float) -> str:
    return f"{100 * share:.2f} %"
