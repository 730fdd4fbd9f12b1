"""What came of a run, for people: report.json, curves.png and report.html."""

from __future__ import annotations

import base64
import html
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from training.runs import Run

Curve = Sequence[Mapping[str, float]]


def write_report(folder: Run, facts: Mapping[str, Any], curve: Curve, held_out: Curve) -> None:
    """Write the three files into the run's folder.

    Args:
        facts: what went in and came out, for report.json and the page's table.
        curve: one row a step, with `step`, `classes`, `boxes`.
        held_out: the same on pictures that were not learnt from, now and then.
    """
    first, last = held_out[0], held_out[-1]
    folder.write_json("report.json", {**facts, "held_out": list(held_out), "curve": list(curve)})
    picture = _curves(curve, held_out)
    (folder.path / "curves.png").write_bytes(picture)
    rows = {
        **{key: value for key, value in facts.items() if not isinstance(value, dict)},
        "held-out loss, classes": f"{first['classes']:.4f} → {last['classes']:.4f}",
        "held-out loss, boxes": f"{first['boxes']:.4f} → {last['boxes']:.4f}",
    }
    table = "".join(f"<tr><th>{html.escape(str(k))}<td>{html.escape(str(v))}" for k, v in rows.items())
    page = (
        "<!doctype html><meta charset=utf-8><title>Distillation of the detector</title>"
        "<style>body{font:16px system-ui;margin:2rem auto;max-width:60rem}th{text-align:left;padding-right:1rem}"
        "td{font-family:monospace;overflow-wrap:anywhere}img{width:100%}</style>"
        f"<h1>Distillation of the detector</h1><table>{table}</table>"
        f"<img alt='Loss by step' src='data:image/png;base64,{base64.b64encode(picture).decode()}'>"
    )
    (folder.path / "report.html").write_text(page, encoding="utf-8")


def _curves(curve: Curve, held_out: Curve) -> bytes:
    """Loss by step as a PNG: each part's own picture, the learnt batches smoothed, the held-out pictures as dots."""
    import io

    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(1, 2, figsize=(10, 4), layout="constrained")
    for axis, part in zip(axes, ("classes", "boxes"), strict=True):
        values = np.array([row[part] for row in curve])
        axis.plot([row["step"] for row in curve], values, alpha=0.25, label="batch")
        width = min(25, len(values))
        smooth = np.convolve(values, np.ones(width) / width, "valid")
        axis.plot(np.arange(len(smooth)) + width / 2, smooth, label=f"mean of {width}")
        axis.plot([row["step"] for row in held_out], [row[part] for row in held_out], "ko-", label="held out")
        axis.set(title=f"KL divergence, {part}", xlabel="step", ylim=(0, None))
        axis.legend()
    stream = io.BytesIO()
    figure.savefig(stream, format="png", dpi=90)
    pyplot.close(figure)
    return stream.getvalue()
