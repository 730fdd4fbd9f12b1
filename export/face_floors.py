"""Floors of face embedders: what a file must reach to be written, from tests/floors.json."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from device.errors import InputError
from export import ROOT
from export.bundle import Precision
from export.face_verification import Closeness, FaceFigures

FLOORS = ROOT / "tests" / "floors.json"


def shortfalls(
    reference: FaceFigures,
    candidate: FaceFigures,
    close: Closeness,
    precision: Precision,
    entry: str | None,
    path: Path = FLOORS,
) -> list[str]:
    """Each way in which a file falls short, as a sentence; empty where it is good.

    Args:
        reference: the float file's figures on the same photos.
        entry: of the table: absolute floors of one product; None holds the file to its closeness only.
        path: the table.
    Raises:
        InputError: the table has no such entry.
    """
    table = _read(path)
    found = _far(close, _entry(table, precision, path))
    return found if entry is None else found + _poor(reference, candidate, _entry(table, entry, path))


def _far(close: Closeness, floor: Mapping[str, Any]) -> list[str]:
    found = []
    if not close.mean >= floor["mean_cosine"]:
        found.append(
            f"its embeddings' mean cosine to the float ones is {close.mean:.4f}, {floor['mean_cosine']} is wanted"
        )
    if not close.least >= floor["least_cosine"]:
        found.append(
            f"an embedding's cosine to the float one is {close.least:.4f}, {floor['least_cosine']} at least is wanted"
        )
    return found


def _poor(reference: FaceFigures, candidate: FaceFigures, floor: Mapping[str, Any]) -> list[str]:
    """In points: absolute figures, and what was lost to the float file."""
    mine, official = candidate.rows(), reference.rows()
    found = []
    for name, least in floor["least"].items():
        if not mine.get(name, float("nan")) >= least:
            found.append(f"its {name} is {mine.get(name, float('nan')):.2f} %, {least} is the floor")
    for name, most in floor["most"].items():
        if not mine.get(name, float("nan")) <= most:
            found.append(f"its {name} is {mine.get(name, float('nan')):.2f} %, {most} is the most allowed")
    for name, allowed in floor["lost"].items():
        lost = official.get(name, float("nan")) - mine.get(name, float("nan"))
        if not lost <= allowed + 1e-9:
            found.append(f"it loses {lost:.2f} points of {name} to the float file, {allowed} are allowed")
    return found


def _read(path: Path) -> Mapping[str, Any]:
    try:
        table: Mapping[str, Any] = json.loads(path.read_text(encoding="utf-8"))["embed"]
    except (OSError, ValueError, KeyError) as error:
        raise InputError(f"{path} must hold the floors that face embedders are held to: {error}") from None
    return table


def _entry(table: Mapping[str, Any], name: str, path: Path) -> Mapping[str, Any]:
    if name not in table:
        raise InputError(f"{path} has no floor embed.{name}")
    entry: Mapping[str, Any] = table[name]
    return entry
