"""Pictures of how well faces are told apart."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from export.face_scores import Pairs, det_curve
from training.reporting.plots import lines


def det_picture(curves: Mapping[str, Pairs], worst: float = 0.5) -> bytes | None:
    """DET curves as PNG: FMR in decades, FNMR likewise; None where no curve has an error of both kinds.

    Args:
        curves: by name.
        worst: the highest FNMR that is shown.
    """
    series = {name: det_curve(pairs) for name, pairs in curves.items()}
    shown = {name: (fmr[fnmr > 0], fnmr[fnmr > 0]) for name, (fmr, fnmr) in series.items() if (fnmr > 0).any()}
    if not shown:
        return None
    lowest = 10 ** np.floor(np.log10(min(1 / len(pairs.different) for pairs in curves.values())))
    least = min(float(fnmr.min()) for _, fnmr in shown.values())
    return lines(
        shown,
        xlabel="false match rate",
        ylabel="false non-match rate",
        scales=("log", "log"),
        limits=((float(lowest), 0.3), (min(0.003, least / 2), worst)),
        diagonal=True,
    )
