"""Plots of training and evaluation, as PNG bytes: each function says what to draw, none keeps state.

Colours are Okabe and Ito's, which the colour-blind can tell apart (jfly.uni-koeln.de/color).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import matplotlib
import numpy as np
from matplotlib.patheffects import withStroke
from numpy.typing import ArrayLike

from training.reporting.canvas import INK, PALETTE, canvas, colour, percent, png, scale_axis
from training.reporting.sheet import sheet

__all__ = ["bars", "confusion", "curves", "lines", "reliability", "scatter", "sheet", "tradeoff"]

Scale = Literal["linear", "log", "deviate"]
Series = Mapping[str, "Sequence[float] | tuple[ArrayLike, ArrayLike]"]
COLUMNS = 3
LEGEND_LINES = 7
"""With more lines a legend moves below its panel, so that it hides none."""
WRITTEN_CLASSES = 60
"""Above that many classes the squares of a confusion matrix are too small for numbers."""


def curves(
    history: Mapping[str, Series],
    *,
    xlabel: str = "epoch",
    marks: Mapping[str, float] | None = None,
    log: Sequence[str] = (),
) -> bytes:
    """Learning curves, a panel for each key.

    Args:
        history: {panel: {line: values}}; values count from 1, or are a tuple (x, y). None and NaN leave a gap.
        marks: {text: x} of vertical lines in every panel, such as where fine-tuning begins.
        log: panels with a logarithmic y axis.
    """
    columns = min(COLUMNS, max(1, len(history)))
    rows = math.ceil(len(history) / columns)
    many = max((len(lines_) for lines_ in history.values()), default=0) > LEGEND_LINES
    width = {1: 7.5, 2: 10.5}.get(columns, 12.5)
    figure = canvas(width, rows * (4.6 if many else 3.5))
    for number, (panel, series) in enumerate(history.items()):
        axis = figure.add_subplot(rows, columns, number + 1)
        for index, (name, values) in enumerate(series.items()):
            x, y = _points(values)
            style = "o-" if len(y) < 2 else "-"
            axis.plot(x, y, style, color=colour(index, len(series)), label=name, linewidth=1.7, markersize=5)
        for text, at in (marks or {}).items():
            axis.axvline(at, color=INK, linewidth=0.9, linestyle=":")
            axis.annotate(text, (at, 1.0), xycoords=("data", "axes fraction"), fontsize=8, rotation=90, va="top")
        if panel in log:
            axis.set_yscale("log")
        axis.set(title=panel, xlabel=xlabel)
        if xlabel == "epoch":
            axis.xaxis.get_major_locator().set_params(integer=True)
        if many:
            axis.legend(loc="upper center", bbox_to_anchor=(0.5, -0.16), ncols=4 if columns == 1 else 2, fontsize=8)
        elif len(series) > 1:
            axis.legend(loc="best")
    return png(figure)


def confusion(matrix: ArrayLike, labels: Sequence[str], *, title: str = "") -> bytes:
    """A confusion matrix: colour is the share of the true class, the numbers are counts.

    Args:
        matrix: CxC counts, row = true class, column = predicted class; also (C+1)x(C+1) with "background" among the
            labels, as detectors have it.
    """
    counts = np.asarray(matrix)
    classes = len(labels)
    side = min(22.0, max(4.8, 1.9 + 0.44 * classes))
    figure = canvas(side + 0.6, side)
    axis = figure.add_subplot()
    share = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    right = np.eye(classes, dtype=bool)
    # The square root shows single mistakes beside a diagonal near 1.
    for colours, hidden in (("Blues", ~right), ("Oranges", right)):
        shown = np.ma.masked_where(hidden | (counts == 0), np.sqrt(share))
        axis.imshow(shown, cmap=matplotlib.colormaps[colours], vmin=-0.05, vmax=1.15, aspect="equal")
    small = 10 if classes <= 8 else 8.5 if classes <= 26 else 7
    if classes <= WRITTEN_CLASSES:
        for row, column in zip(*np.nonzero(counts), strict=True):
            dark = share[row, column] > 0.45
            text = f"{counts[row, column]:g}"
            if classes <= 8:
                text += f"\n{100 * share[row, column]:.1f} %"
            axis.text(
                column, row, text, ha="center", va="center", fontsize=small, color="white" if dark else INK,
            )  # fmt: skip
    ticks = [f"{name} ({int(count)})" for name, count in zip(labels, counts.sum(1), strict=True)]
    axis.set_yticks(range(classes), ticks, fontsize=max(small, 8))
    long = max(len(name) for name in labels) > 7 or classes > 8
    axis.set_xticks(range(classes), labels, fontsize=max(small, 8), rotation=55 if long else 0)
    if long:
        for tick in axis.get_xticklabels():
            tick.set(ha="right", rotation_mode="anchor")
    axis.set_xticks(np.arange(classes + 1) - 0.5, minor=True)
    axis.set_yticks(np.arange(classes + 1) - 0.5, minor=True)
    axis.grid(which="major", visible=False)
    axis.grid(which="minor", color="#e3e6e6", linewidth=0.7)
    axis.tick_params(which="both", length=0)
    axis.set(xlabel="predicted", ylabel="true (number of pictures)", title=title)
    return png(figure)


def reliability(confidence: ArrayLike, correct: ArrayLike, *, bins: int = 15) -> bytes:
    """How often the model is right when it says it is so sure; below it, how often it is that sure.

    Args:
        confidence: N probabilities of the predicted class.
        correct: N of 0 and 1.
    """
    sure, right = np.asarray(confidence, float), np.asarray(correct, float)
    edges = np.linspace(0, 1, bins + 1)
    place = np.clip(np.digitize(sure, edges) - 1, 0, bins - 1)
    number = np.bincount(place, minlength=bins)
    with np.errstate(invalid="ignore"):
        accuracy = np.bincount(place, right, bins) / number
        mean = np.bincount(place, sure, bins) / number
    error = float(np.nansum(number * np.abs(accuracy - mean)) / max(1, number.sum()))
    figure = canvas(6.4, 6.2)
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    above.plot([0, 1], [0, 1], color=INK, linestyle="--", linewidth=1, label="perfectly calibrated")
    above.bar(edges[:-1], np.nan_to_num(accuracy), 1 / bins, align="edge", color=PALETTE[0], edgecolor="white")
    above.plot(mean, accuracy, "o", color=PALETTE[1], markersize=5, label="mean confidence of the bin")
    above.set(ylabel="share that is right", xlim=(0, 1), ylim=(0, 1.02), title=f"ECE {100 * error:.1f} %")
    above.legend(loc="upper left")
    below.bar(edges[:-1], number, 1 / bins, align="edge", color=PALETTE[7], edgecolor="white")
    below.set(xlabel="confidence", ylabel="pictures")
    return png(figure)


def scatter(points: ArrayLike, labels: ArrayLike, names: Sequence[str], *, title: str = "") -> bytes:
    """Points of the plane by class, such as t-SNE's; a class's name stands at its median.

    Args:
        points: Nx2.
        labels: N class numbers.
    """
    halo = [withStroke(linewidth=3, foreground="white")]
    place, label = np.asarray(points, float), np.asarray(labels, int)
    figure = canvas(9.5, 8 if len(names) > 10 else 7)
    axis = figure.add_subplot()
    size = float(np.clip(9000 / max(1, len(place)), 8, 40))
    for number, name in enumerate(names):
        own = place[label == number]
        if len(own):
            axis.scatter(
                *own.T, s=size, color=colour(number, len(names)), marker="os^Dv"[number // len(PALETTE) % 5], alpha=0.8,
                linewidths=0.3, edgecolors="white", label=name,
            )  # fmt: skip
            axis.annotate(
                name, np.median(own, axis=0), ha="center", va="center", fontsize=9, fontweight="bold",
                color=colour(number, len(names)), path_effects=halo,
            )  # fmt: skip
    axis.set(xticks=[], yticks=[], title=title)
    figure.legend(
        loc="outside right upper" if len(names) <= 40 else "outside lower center", fontsize=8.5, markerscale=1.4
    )
    return png(figure)


def lines(
    series: Mapping[str, tuple[ArrayLike, ArrayLike]],
    *,
    xlabel: str,
    ylabel: str,
    title: str = "",
    scales: tuple[Scale, Scale] = ("linear", "linear"),
    limits: tuple[tuple[float, float] | None, tuple[float, float] | None] = (None, None),
    bands: Mapping[str, tuple[ArrayLike, ArrayLike]] | None = None,
    marks: Mapping[str, tuple[float, float]] | None = None,
    diagonal: bool = False,
) -> bytes:
    """Curves over a common axis: precision-recall, ROC, DET.

    Args:
        series: {name: (x, y)}.
        scales: of x and y; "deviate" is the normal deviate of DET plots (Martin et al. 1997), for shares in 0..1.
        limits: (low, high) of x and y.
        bands: {name: (low, high)} intervals of y, on the x of the series of that name.
        marks: {text: (x, y)} points to name, such as thresholds.
        diagonal: draw x = y (chance for ROC, EER for DET).
    """
    figure = canvas(8.5, 6)
    axis = figure.add_subplot()
    for number, (name, (x, y)) in enumerate(series.items()):
        axis.plot(x, y, color=colour(number, len(series)), label=name, linewidth=1.8)
        if bands and name in bands:
            axis.fill_between(
                np.asarray(x), *map(np.asarray, bands[name]), color=colour(number, len(series)), alpha=0.18
            )
    if diagonal:
        shares = np.concatenate([[0.0], np.geomspace(1e-6, 1, 200)])
        axis.plot(shares, shares, color=INK, linewidth=0.9, linestyle=":")
    for axis_name, scale, limit in zip("xy", scales, limits, strict=True):
        scale_axis(axis, axis_name, scale, limit)
    for text, (x, y) in (marks or {}).items():
        axis.plot([x], [y], "o", color=INK, markersize=5)
        axis.annotate(text, (x, y), xytext=(7, 5), textcoords="offset points", fontsize=9)
    axis.set(xlabel=xlabel, ylabel=ylabel, title=title)
    if len(series) > LEGEND_LINES:
        figure.legend(loc="outside right upper", fontsize=8.5)
    else:
        axis.legend(loc="best")
    return png(figure)


def bars(
    values: Mapping[str, float] | Mapping[str, Mapping[str, float]],
    *,
    xlabel: str,
    title: str = "",
    intervals: Mapping[str, tuple[float, float]] | None = None,
    shares: bool = False,
    limits: tuple[float, float] | None = None,
) -> bytes:
    """Horizontal bars with their values written beside them, in the order given.

    Args:
        values: {name: value}, or {series: {name: value}} for groups.
        intervals: {name: (low, high)}, drawn as whiskers (one series only).
        shares: values are 0..1 and are written in per cent.
    """
    grouped: Any = {"": values} if not any(isinstance(value, Mapping) for value in values.values()) else values
    names = list(dict.fromkeys(name for group in grouped.values() for name in group))
    thick = 0.8 / len(grouped)
    figure = canvas(9, max(2.2, 0.9 + len(names) * max(0.3, 0.24 * len(grouped))))
    axis = figure.add_subplot()
    for number, (series, group) in enumerate(grouped.items()):
        own = [name for name in names if name in group]
        at = np.array([names.index(name) for name in own]) + (number - (len(grouped) - 1) / 2) * thick
        width = np.array([group[name] for name in own], float)
        axis.barh(at, width, thick * 0.92, color=colour(number, len(grouped)), label=series)
        for place, name, value in zip(at, own, width, strict=True):
            low, high = (intervals or {}).get(name, (value, value))
            if intervals and name in intervals:
                axis.plot([low, high], [place, place], color=INK, linewidth=1.4)
            text = percent(value) if shares else f"{value:.4g}"
            axis.annotate(
                text, (max(value, high), place), xytext=(5, 0), textcoords="offset points", va="center", fontsize=8.5
            )
    axis.set_yticks(range(len(names)), names)
    axis.invert_yaxis()
    axis.margins(x=0.12, y=0.02)
    axis.grid(axis="y", visible=False)
    axis.set(xlabel=xlabel, title=title)
    if limits:
        axis.set_xlim(limits)
    if shares:
        axis.xaxis.set_major_formatter(lambda value, _: f"{100 * value:.4g} %" if value <= 1 else "")
    if len(grouped) > 1:
        figure.legend(loc="outside upper right", ncols=len(grouped))
    return png(figure)


def tradeoff(
    points: Mapping[str, tuple[float, float]],
    *,
    xlabel: str,
    ylabel: str,
    title: str = "",
    scales: tuple[Scale, Scale] = ("linear", "linear"),
    intervals: Mapping[str, tuple[float, float]] | None = None,
) -> bytes:
    """Named points, such as accuracy against size of several models; `intervals` are {name: (low, high)} of y."""
    figure = canvas(8.5, 5.6)
    axis = figure.add_subplot()
    for number, (name, (x, y)) in enumerate(points.items()):
        if intervals and name in intervals:
            axis.plot([x, x], intervals[name], color=colour(number, len(points)), linewidth=1.6, alpha=0.6)
        axis.plot([x], [y], "o", color=colour(number, len(points)), markersize=8, label=name)
    for axis_name, scale in zip("xy", scales, strict=True):
        scale_axis(axis, axis_name, scale, None)
    axis.margins(0.12)
    axis.set(xlabel=xlabel, ylabel=ylabel, title=title)
    figure.legend(loc="outside right upper", fontsize=9)
    return png(figure)


def _points(values: Any) -> tuple[np.ndarray, np.ndarray]:
    if isinstance(values, tuple):
        return np.asarray(values[0], float), np.asarray(values[1], float)
    y = np.array([math.nan if value is None else value for value in values], float)
    return np.arange(1, len(y) + 1), y
