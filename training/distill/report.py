"""What came of a distillation, for people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from training.reporting import plots
from training.reporting.page import Report
from training.runs import Run

Curve = Sequence[Mapping[str, float]]
PARTS = {"classes": "KL divergence, classes", "boxes": "KL divergence, boxes"}
SMOOTHED_STEPS = 25


def write_report(run: Run, facts: Mapping[str, Any], curve: Curve, held_out: Curve) -> None:
    """Write report.json, curves.png and report.html into the run's folder.

    Args:
        facts: what went in and came out.
        curve: one row a step, with `step`, `classes`, `boxes`.
        held_out: the same on pictures that were not learnt from, now and then.
    """
    first, last = held_out[0], held_out[-1]
    report = Report(
        "Distillation of the detector",
        "The detector that rounds as its int8 file does, taught to say what the float detector says.",
    )
    report.headline({f"held-out loss, {part}": f"{first[part]:.4f} → {last[part]:.4f}" for part in PARTS})
    panels = {title: _lines(part, curve, held_out) for part, title in PARTS.items()}
    report.picture(
        "curves",
        plots.curves(panels, xlabel="step"),
        "Loss by step: each batch, their running mean, and the pictures that are not learnt from.",
        title="Learning curves",
    )
    report.table(
        "Held-out pictures",
        ["step", *PARTS.values()],
        [[row["step"], *(row[part] for part in PARTS)] for row in held_out],
    )
    report.facts("Pictures", {name: value for name, value in facts.items() if name != "settings"})
    report.run_facts(run)
    report.write(run, {**facts, "held_out": list(held_out), "curve": list(curve)})


def _lines(part: str, curve: Curve, held_out: Curve) -> dict[str, tuple[list[float], list[float]]]:
    steps, values = [row["step"] for row in curve], [row[part] for row in curve]
    width = min(SMOOTHED_STEPS, len(values))
    smooth = np.convolve(values, np.ones(width) / width, "valid")
    return {
        "batch": (steps, values),
        f"mean of {width}": ((np.arange(len(smooth)) + width / 2).tolist(), smooth.tolist()),
        "held out": ([row["step"] for row in held_out], [row[part] for row in held_out]),
    }
