"""One YOLO label file: `class x y width height` a line, as parts of the picture's sides, or a polygon's corners."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

TOLERANCE = 0.01
"""How far outside 0 to 1 a value may be before it counts as wrong; ultralytics allows as much."""

SMALLEST = 1e-4
"""Boxes narrower or lower than this part of the picture cover no pixel of a photo of 10,000."""


@dataclass(frozen=True)
class BoxFile:
    """What a label file says: the sound lines as a table, the others by what is wrong with them."""

    table: npt.NDArray[np.float64]
    """[N, 5]: class, middle x, middle y, width, height; 0 to 1."""
    faults: tuple[tuple[int, str], ...] = ()
    """Line numbers, from 1, and the end of a sentence."""
    polygons: int = 0
    """How many lines were outlines, of which the enclosing box was taken."""


def read_boxes(path: Path, classes: int | None = None) -> BoxFile:
    """Read a label file. One that is not there has no boxes: the picture shows nothing.

    Args:
        path: the text file; UTF-8, a byte-order mark is passed over.
        classes: how many there are; a class outside is a fault. None: any class will do.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        text = ""
    except (OSError, UnicodeDecodeError) as error:
        return BoxFile(np.zeros((0, 5)), ((0, f"cannot be read as text ({type(error).__name__})"),))
    rows, faults, polygons = [], [], 0
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        try:
            row, outline = _row(line.split(), classes)
            rows.append(row)
            polygons += outline
        except ValueError as error:
            faults.append((number, str(error)))
    return BoxFile(np.array(rows, np.float64).reshape(len(rows), 5), tuple(faults), polygons)


def _row(words: list[str], classes: int | None) -> tuple[list[float], bool]:
    """One line. Raises ValueError with the end of a sentence."""
    try:
        values = [float(word) for word in words]
    except ValueError:
        raise ValueError(f"is malformed: `{' '.join(words)[:60]}` is not `class x y width height`") from None
    outline = len(values) >= 7 and len(values) % 2 == 1
    if len(values) != 5 and not outline:
        raise ValueError(f"is malformed: it has {len(values)} values, where `class x y width height` has 5")
    if not np.isfinite(values).all():
        raise ValueError("is malformed: a value is no finite number")
    if values[0] < 0 or values[0] % 1 or (classes is not None and values[0] >= classes):
        most = f"; there are 0 to {classes - 1}" if classes is not None else ""
        raise ValueError(f"has class {values[0]:g}, which there is not{most}")
    _check_place(values[1:])
    if not outline:
        _check_edges(values)
        return values, False
    corners = np.array(values[1:]).reshape(-1, 2)
    low, high = corners.min(0), corners.max(0)
    row = [values[0], *((low + high) / 2), *(high - low)]
    _check_edges(row)
    return row, True


def _check_place(values: list[float]) -> None:
    if max(values) > 2:
        raise ValueError(f"has a box in pixels ({max(values):g}), where parts of the picture from 0 to 1 are wanted")
    if min(values) < -TOLERANCE or max(values) > 1 + TOLERANCE:
        worst = max(values, key=lambda value: abs(value - 0.5))
        raise ValueError(f"has a box outside the picture ({worst:g} is not within 0 to 1)")


def _check_edges(row: list[float]) -> None:
    _, x, y, width, height = row
    if width < SMALLEST or height < SMALLEST:
        raise ValueError(f"has a box without area ({width:g} x {height:g})")
    low, high = min(x - width / 2, y - height / 2), max(x + width / 2, y + height / 2)
    if low < -TOLERANCE or high > 1 + TOLERANCE:
        raise ValueError(f"has a box outside the picture (from {low:.3g} to {high:.3g})")
