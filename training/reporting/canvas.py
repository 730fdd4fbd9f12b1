"""What all plots have in common: size, type, colours, axes, and the PNG they become."""

from __future__ import annotations

import io
from statistics import NormalDist
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

DPI = 110
INK = "#1d2329"
PALETTE = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#7a4fa3", "#8c949b")
MANY = (
    "#4363d8", "#f58231", "#3cb44b", "#e6194b", "#911eb4", "#008080", "#f032e6", "#9a6324",
    "#42b4e6", "#808000", "#800000", "#000075", "#e6a700", "#d9819b", "#7fb800", "#6a5acd",
    "#a9a9a9", "#2e8b57", "#ff7256", "#4b3621", "#c71585", "#5f9ea0", "#b8860b", "#333333",
)  # fmt: skip
"""Where eight are too few: after Trubetskoy's twenty (sashamaps.net), less the pale ones."""
GOOD, BAD = "#009e73", "#d62839"
STYLE: dict[str, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 10,
    "axes.titlesize": 11,
    "axes.titleweight": "bold",
    "axes.edgecolor": "#9aa3a8",
    "axes.labelcolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#e3e6e6",
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "legend.frameon": True,
    "legend.framealpha": 0.85,
    "legend.edgecolor": "none",
    "legend.fontsize": 9,
    "figure.facecolor": "white",
}
DEVIATES = (1e-5, 1e-4, 1e-3, 5e-3, 0.01, 0.02, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 0.9, 0.95, 0.99, 0.999)
_NORMAL = NormalDist()


def canvas(width: float, height: float) -> Figure:
    """An empty figure of so many inches, in the reports' style, that keeps its texts inside."""
    matplotlib.rcParams.update(STYLE)
    figure = Figure(figsize=(width, height), dpi=DPI, layout="constrained")
    figure.get_layout_engine().set(w_pad=0.12, h_pad=0.12)
    FigureCanvasAgg(figure)
    return figure


def png(figure: Figure) -> bytes:
    """The figure's bytes: the same for the same figure, as they hold neither date nor version."""
    stream = io.BytesIO()
    figure.savefig(stream, format="png", metadata={"Software": None})
    return stream.getvalue()


def colour(number: int, of: int) -> str:
    """The colour of a line among so many; above 24 they come again."""
    colours = PALETTE if of <= len(PALETTE) else MANY
    return colours[number % len(colours)]


def percent(value: float) -> str:
    """`97.3 %`, with more digits where it needs them: `99.95 %`, `0.02 %`."""
    share = 100 * value
    digits = 2 if (0 < share < 1 or 99.5 < share < 100) else 1
    return f"{share:.{digits}f} %"


def scale_axis(axis: Axes, name: str, scale: str, limits: tuple[float, float] | None) -> None:
    """Make x or y linear, logarithmic, or by the normal deviate of a share."""
    setter = getattr(axis, f"set_{name}scale")
    if scale == "deviate":
        setter("function", functions=(_deviate, _share))
        low, high = limits or (1e-4, 0.5)
        getattr(axis, f"set_{name}lim")(low, high)
        along = getattr(axis, f"{name}axis")
        along.set_major_locator(FixedLocator([tick for tick in DEVIATES if low <= tick <= high]))
        along.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:g} %"))
        along.set_minor_locator(NullLocator())
        return
    setter(scale)
    if limits:
        getattr(axis, f"set_{name}lim")(*limits)


def _deviate(share: Any) -> np.ndarray:
    inside = np.clip(np.asarray(share, float), 1e-7, 1 - 1e-7)
    return np.vectorize(_NORMAL.inv_cdf, otypes=[float])(inside)


def _share(deviate: Any) -> np.ndarray:
    return np.vectorize(_NORMAL.cdf, otypes=[float])(np.asarray(deviate, float))
