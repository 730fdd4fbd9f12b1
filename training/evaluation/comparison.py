"""Several classifiers side by side: what their int8 files get right, and what they cost."""

from __future__ import annotations

import time
from collections.abc import Sequence
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

HEADER = ("model", "top-1, %", "95 %", "macro F1, %", "int8 − float", "MB", "ms", "M mult-adds", "input", "measured on")
WARM = 3
"""Runs that are not counted: the first ones touch memory for the first time."""


@dataclass(frozen=True)
class Row:
    """One model: figures in points as its export measured them, size in bytes, median time in milliseconds."""

    name: str
    top1: float
    interval: tuple[float, float]
    f1: float
    difference: float
    bytes: int
    milliseconds: float
    multiply_adds: int
    side: int
    data: str

    def cells(self) -> tuple[Any, ...]:
        """In the order of HEADER."""
        return (
            self.name,
            f"{self.top1:.2f}",
            f"{self.interval[0]:.1f} to {self.interval[1]:.1f}",
            f"{self.f1:.2f}",
            f"{self.difference:+.2f}",
            f"{self.bytes / 1e6:.2f}",
            f"{self.milliseconds:.2f}",
            f"{self.multiply_adds / 1e6:.0f}",
            f"{self.side} px",
            self.data,
        )


def compare_classifiers(subjects: Sequence[Subject], out: Path, rounds: int) -> str:
    """Measure the time of each int8 file in turns, and write report.html and report.json into `out`.

    Returns:
        The table, as text.
    Raises:
        ConfigError: one of them is no classifier, or there are two of one name.
        InputError: a bundle has no figures of its export.
    """
    for subject in subjects:
        if subject.task != "classify":
            raise ConfigError(f"{subject.name} is a bundle of task {subject.task!r}; classifiers are compared here")
    names = _names(subjects)
    files = [choose_file(subject.bundle, "litert") for subject in subjects]
    times = interleaved_ms([open_interpreter(subject.bundle, runtime="litert") for subject in subjects], rounds)
    rows = [
        _row(name, subject.bundle, file, float(np.median(taken)))
        for name, subject, file, taken in zip(names, subjects, files, times, strict=True)
    ]
    run = Run(out, {"family": "compare", "models": [str(subject.bundle.path) for subject in subjects]}, resume=False)
    _report(rows, subjects, rounds).write(run, {"models": [row.__dict__ for row in rows], "rounds": rounds})
    return _text(rows)


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


def _row(name: str, bundle: Bundle, file: ModelFile, milliseconds: float) -> Row:
    told = {entry.get("metric"): entry for entry in bundle.manifest.metrics if entry.get("file") == file.path}
    if not {"top-1", "F1"} <= told.keys():
        raise InputError(f"{bundle.path} does not say what its export measured; make it again with `make export`")
    top1 = told["top-1"]
    return Row(
        name=name,
        top1=top1["quantized"],
        interval=tuple(top1["quantized_95"]),
        f1=told["F1"]["quantized"],
        difference=top1["quantized"] - top1["float"],
        bytes=file.bytes,
        milliseconds=milliseconds,
        multiply_adds=multiply_adds(bundle.read(file)),
        side=bundle.manifest.input.width,
        data=f"{top1['dataset']}, {top1['split']}, {top1['images']} photos",
    )


def _report(rows: Sequence[Row], subjects: Sequence[Subject], rounds: int) -> Report:
    report = Report("Classifiers compared", f"{len(rows)} int8 files on one thread of this machine.")
    note = (
        f"Times: median of {rounds} rounds, the models in turns, picture into the input and invoke. Figures as each "
        "export measured them on its test photos; multiply-adds stand for energy, which nobody measured here."
    )
    # In two parts: all columns in one would be cut at the page's edge.
    for title, columns, words in (("Figures", (0, 1, 2, 3, 4, 9), ""), ("What they cost", (0, 5, 6, 7, 8), note)):
        cells = [[row.cells()[column] for column in columns] for row in rows]
        report.table(title, [HEADER[column] for column in columns], cells, words)
    fingerprints = {str(subject.bundle.manifest.provenance.get("dataset")) for subject in subjects}
    if len(fingerprints | {row.data for row in rows}) > 2:
        report.text("", "Careful: not all were measured on the same photos, so their accuracies cannot be compared.")
    spans = {row.name: row.interval for row in rows}
    for key, xlabel, value in (
        ("latency", "milliseconds a picture, one thread", lambda row: row.milliseconds),
        ("size", "size of the int8 file, MB", lambda row: row.bytes / 1e6),
        ("work", "million multiply-adds a picture", lambda row: row.multiply_adds / 1e6),
    ):
        points = {row.name: (value(row), row.top1) for row in rows}
        picture = plots.tradeoff(points, xlabel=xlabel, ylabel="top-1, %, with 95 % interval", intervals=spans)
        report.picture(key, picture, f"Accuracy over {key}: the upper left is best.", title="Pictures")
    return report


def _text(rows: Sequence[Row]) -> str:
    table = [HEADER, *(row.cells() for row in rows)]
    widths = [max(len(str(line[i])) for line in table) for i in range(len(HEADER))]
    return "\n".join("  ".join(str(cell).ljust(w) for cell, w in zip(line, widths, strict=True)) for line in table)
