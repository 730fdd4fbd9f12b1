"""Several models of one kind side by side: what their files get right, and what they cost."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from device.errors import ConfigError, InputError
from device.inference.interpreter import choose_file, open_interpreter
from device.inference.manifest import Bundle, ModelFile
from device.inference.tensors import Interpreter
from training.evaluation.graph import multiply_adds
from training.evaluation.subjects import Subject
from training.reporting import plots
from training.reporting.page import Report
from training.runs import Run

WARM = 3
"""Runs that are not counted: the first ones touch memory for the first time."""
COUNTED = 0.25
"""Share of the measurements, the fastest, whose mean is the time told."""


@dataclass(frozen=True)
class Kind:
    """What is told of one task: names of its figures in manifests, and which of several entries of one name counts."""

    title: str
    score: str
    second: str
    words: tuple[str, str]
    """What the table calls these two."""
    chosen: Mapping[str, str]

    @property
    def header(self) -> tuple[str, ...]:
        """Of the table."""
        costs = ("MB", "ms", "M mult-adds", "input", "measured on")
        return ("model", self.words[0], "95 %", self.words[1], "int8 − float", *costs)


KINDS = {
    "classify": Kind("Classifiers compared", "top-1", "F1", ("top-1, %", "macro F1, %"), {}),
    "detect": Kind("Detectors compared", "mAP50-95", "mAP50", ("mAP50-95", "mAP50"), {"view": "as it is"}),
    "embed": Kind(
        "Face embedders compared",
        "TAR at FMR 1e-3",
        "EER",
        ("TAR at FMR 1e-3, %", "EER, % (less is better)"),
        {"labels": "as published"},
    ),
}
"""By task; all figures are per cent or points."""


@dataclass(frozen=True)
class Row:
    """One model: figures in points as its export measured them, size in bytes, time in milliseconds.

    `score` and `second` are those of its `Kind`; `interval` is None where the export did not measure one.
    """

    name: str
    score: float
    interval: tuple[float, float] | None
    second: float
    difference: float
    bytes: int
    milliseconds: float
    multiply_adds: int
    side: int
    data: str

    def cells(self) -> tuple[Any, ...]:
        """In the order of `Kind.header`."""
        return (
            self.name,
            f"{self.score:.2f}",
            f"{self.interval[0]:.1f} to {self.interval[1]:.1f}" if self.interval else "–",
            f"{self.second:.2f}",
            f"{self.difference:+.2f}",
            f"{self.bytes / 1e6:.2f}",
            f"{self.milliseconds:.2f}",
            f"{self.multiply_adds / 1e6:.0f}",
            f"{self.side} px",
            self.data,
        )


def compare_models(subjects: Sequence[Subject], out: Path, rounds: int) -> str:
    """Measure the time of each LiteRT file in turns, and write report.html and report.json into `out`.

    Returns:
        The table, as text.
    Raises:
        ConfigError: they are of several tasks, or of one that is not compared here, or there are two of one name.
        InputError: a bundle has no figures of its export.
    """
    kind = _kind(subjects)
    names = _names(subjects)
    files = [choose_file(subject.bundle, "litert") for subject in subjects]
    times = interleaved_ms([open_interpreter(subject.bundle, runtime="litert") for subject in subjects], rounds)
    rows = [
        _row(kind, name, subject.bundle, file, fastest(taken))
        for name, subject, file, taken in zip(names, subjects, files, times, strict=True)
    ]
    run = Run(out, {"family": "compare", "models": [str(subject.bundle.path) for subject in subjects]}, resume=False)
    told = {"task": subjects[0].task, "score": kind.score, "second": kind.second, "rounds": rounds}
    _report(kind, rows, subjects, rounds).write(run, {**told, "models": [row.__dict__ for row in rows]})
    return _text(kind, rows)


def _kind(subjects: Sequence[Subject]) -> Kind:
    first = subjects[0]
    for subject in subjects:
        if subject.task not in KINDS:
            raise ConfigError(
                f"{subject.name} is a bundle of task {subject.task!r}; those of {', '.join(KINDS)} can be compared"
            )
        if subject.task != first.task:
            raise ConfigError(
                f"{subject.name} is a bundle of task {subject.task!r} and {first.name} one of {first.task!r}: only "
                "models of one task can be compared"
            )
    return KINDS[first.task]


def fastest(times: Sequence[float]) -> float:
    """The mean of the fastest quarter: what else the machine does only ever adds time."""
    return float(np.mean(sorted(times)[: max(1, round(COUNTED * len(times)))]))


def interleaved_ms(interpreters: Sequence[Interpreter], rounds: int) -> list[list[float]]:
    """Milliseconds of writing a picture and invoking, in turns: what the machine does besides hits all alike."""
    rng = np.random.default_rng(0)
    squares = [rng.integers(0, 256, one.input.shape[1:], dtype=np.uint8) for one in interpreters]
    taken: list[list[float]] = [[] for _ in interpreters]
    for number in range(WARM + rounds):
        for interpreter, square, times in zip(interpreters, squares, taken, strict=True):
            begun = time.perf_counter()
            interpreter.write(square)
            interpreter.invoke()
            if number >= WARM:
                times.append(1000 * (time.perf_counter() - begun))
    return taken


def _names(subjects: Sequence[Subject]) -> list[str]:
    """The bundles' names, with the folder before those that occur twice."""
    names = [subject.name for subject in subjects]
    if len(set(names)) < len(names):
        names = [f"{subject.bundle.path.parent.parent.name}/{subject.name}" for subject in subjects]
    if len(set(names)) < len(names):
        raise ConfigError("the same model is named twice")
    return names


def _row(kind: Kind, name: str, bundle: Bundle, file: ModelFile, milliseconds: float) -> Row:
    wanted = {"file": file.path, **kind.chosen}
    entries = [entry for entry in bundle.manifest.metrics if all(entry.get(key) == wanted[key] for key in wanted)]
    told = {entry.get("metric"): entry for entry in entries}
    if not {kind.score, kind.second} <= told.keys():
        raise InputError(
            f"{bundle.path} does not say {kind.score} and {kind.second} of {file.path}: make it again with "
            "`make export`, on more photos if these were too few"
        )
    score = told[kind.score]
    span = score.get("quantized_95")
    return Row(
        name=name,
        score=score["quantized"],
        interval=(span[0], span[1]) if span else None,
        second=told[kind.second]["quantized"],
        difference=score["quantized"] - score["float"],
        bytes=file.bytes,
        milliseconds=milliseconds,
        multiply_adds=multiply_adds(bundle.read(file)),
        side=bundle.manifest.input.width,
        data=f"{score['dataset']}, {score['split']}, {score.get('images', score.get('photos'))} photos",
    )


def _report(kind: Kind, rows: Sequence[Row], subjects: Sequence[Subject], rounds: int) -> Report:
    report = Report(kind.title, f"{len(rows)} files on one thread of this machine.")
    note = (
        f"Times: mean of the fastest quarter of {rounds} rounds, the models in turns, picture into the input and "
        "invoke; the rest is what else the machine did. Figures, in per cent, as each export measured them on its "
        "held-out photos; multiply-adds stand for energy, which nobody measured here."
    )
    header = kind.header
    # In two parts: all columns in one would be cut at the page's edge.
    for title, columns, words in (("Figures", (0, 1, 2, 3, 4, 9), ""), ("What they cost", (0, 5, 6, 7, 8), note)):
        cells = [[row.cells()[column] for column in columns] for row in rows]
        report.table(title, [header[column] for column in columns], cells, words)
    fingerprints = {str(subject.bundle.manifest.provenance.get("dataset")) for subject in subjects}
    if len(fingerprints | {row.data for row in rows}) > 2:
        report.text("", "Careful: not all were measured on the same photos, so their accuracies cannot be compared.")
    spans = {row.name: row.interval for row in rows if row.interval}
    ylabel = f"{kind.words[0]}, with 95 % interval" if spans else kind.words[0]
    for key, xlabel, value in (
        ("latency", "milliseconds a picture, one thread", lambda row: row.milliseconds),
        ("size", "size of the file, MB", lambda row: row.bytes / 1e6),
        ("work", "million multiply-adds a picture", lambda row: row.multiply_adds / 1e6),
    ):
        points = {row.name: (value(row), row.score) for row in rows}
        picture = plots.tradeoff(points, xlabel=xlabel, ylabel=ylabel, intervals=spans)
        report.picture(key, picture, f"Accuracy over {key}: the upper left is best.", title="Pictures")
    return report


def _text(kind: Kind, rows: Sequence[Row]) -> str:
    table = [kind.header, *(row.cells() for row in rows)]
    widths = [max(len(str(line[i])) for line in table) for i in range(len(kind.header))]
    return "\n".join("  ".join(str(cell).ljust(w) for cell, w in zip(line, widths, strict=True)) for line in table)
