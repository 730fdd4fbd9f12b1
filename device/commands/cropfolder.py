"""Where `sereno capture` keeps a person's crops: DIR/NAME/NAME_0001.jpg and so on, with what was agreed to."""

from __future__ import annotations

import json
import os
import re
import unicodedata
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from device.access.alignment import FloatArray
from device.access.collector import Kept
from device.capture.pictures import SUFFIXES, read_picture
from device.commands.inputs import printable
from device.datatypes import Image
from device.drawing import encode
from device.errors import ConfigError, InputError
from device.jsontext import parsed

RECORD = "capture.json"
LARGEST_PX = 512
"""Larger crops are shrunk to this side: no net for faces looks at more."""
CELL_PX = 96
COLUMNS = 10
SHEET_MOST = 300
"""A contact sheet shows the last so many crops."""


def check_name(name: str) -> str:
    """The name as a folder can have it, composed (NFC). Raises ConfigError for one that cannot be a folder's."""
    name = unicodedata.normalize("NFC", name).strip()
    if not re.fullmatch(r"[\w][\w .'-]{0,62}[\w.]|\w", name) or name.endswith("."):
        raise ConfigError(
            f"{name!r} cannot be a person's name here: letters, digits, spaces and - ' . _ are allowed, 64 at most, "
            "and it begins and ends with a letter or digit"
        )
    return name


class CropFolder:
    """One person's crops. Nothing that is there is ever overwritten; each file appears whole or not at all."""

    def __init__(self, dataset: Path, name: str) -> None:
        """Look at what is there.

        Raises:
            InputError: `dataset` is a person's folder itself or no folder, or what is there cannot be read.
        """
        self.path = dataset / name
        self.sheet = dataset / f"{name}.contact-sheet.jpg"
        self._name = name
        self._stem = name.replace(" ", "_")
        if (dataset / RECORD).exists():
            owner = _read_record(dataset / RECORD).get("name")
            raise InputError(
                f"{printable(dataset)} holds the crops of one person ({owner}); name the folder above it, which gets "
                "a folder for each person"
            )
        there = (self.path / RECORD).exists()
        self._record: dict[str, Any] = _read_record(self.path / RECORD) if there else {"name": name}
        if self._record.get("name") != name:
            raise InputError(
                f"{printable(self.path)} holds the crops of another person ({self._record.get('name')}): {name}'s must "
                "go elsewhere"
            )

    @property
    def crops(self) -> list[Path]:
        """Every picture of the person that is there, by name."""
        return pictures_in(self.path)

    def agree(self, text: str, source: str) -> None:
        """Make the folder, and write down what was agreed to, when, and for which source. Raises InputError."""
        entry = {"text": text, "at": datetime.now(UTC).isoformat(timespec="seconds"), "source": source}
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise self._cannot_write(self.path, error) from None
        self._record.setdefault("consents", []).append(entry)
        self._write_record()

    def add(self, kept: Kept) -> Path:
        """Keep a crop under the next free number. Raises InputError where it cannot be written."""
        crop, landmarks = kept.crop, kept.landmarks
        if crop.shape[0] > LARGEST_PX:
            landmarks = landmarks * (LARGEST_PX / crop.shape[0])
            crop = np.asarray(cv2.resize(crop, (LARGEST_PX, LARGEST_PX), interpolation=cv2.INTER_AREA), np.uint8)
        path = self.path / f"{self._stem}_{self._next_number():04d}.jpg"
        try:
            _write(path, encode(crop, quality=95), replace=False)
        except OSError as error:
            raise self._cannot_write(path, error) from None
        self._record.setdefault("landmarks", {})[path.name] = [
            [round(float(value), 1) for value in point] for point in landmarks
        ]
        self._write_record()
        return path

    def landmarks(self, path: Path) -> FloatArray | None:
        """Where the face of one of the crops has its landmarks (5x2, pixels); None where that was not written down."""
        known = np.array(self._record.get("landmarks", {}).get(path.name, []), np.float32)
        return known if known.shape == (5, 2) else None

    def write_sheet(self) -> None:
        """A contact sheet of the crops beside the person's folder, in their order. Raises InputError."""
        crops = self.crops[-SHEET_MOST:]
        cells = [_cell(path) for path in crops]
        if not cells:
            return
        cells += [np.full((CELL_PX, CELL_PX, 3), 255, np.uint8)] * (-len(cells) % COLUMNS)
        rows = [np.hstack(cells[start : start + COLUMNS]) for start in range(0, len(cells), COLUMNS)]
        try:
            _write(self.sheet, encode(np.vstack(rows), quality=88))
        except OSError as error:
            raise InputError(f"{printable(self.sheet)} cannot be written: {error.strerror}") from None

    def _write_record(self) -> None:
        try:
            _write(self.path / RECORD, json.dumps(self._record, ensure_ascii=False).encode())
        except OSError as error:
            raise self._cannot_write(self.path / RECORD, error) from None

    def _cannot_write(self, path: Path, error: OSError) -> InputError:
        return InputError(
            f"{printable(path)} cannot be written: {error.strerror}; name another --out (what was kept so far is whole)"
        )

    def _next_number(self) -> int:
        numbers = [re.fullmatch(rf"{re.escape(self._stem)}_(\d+)", path.stem) for path in self.crops]
        return max((int(match[1]) for match in numbers if match), default=0) + 1


def people_in(dataset: Path, but: str) -> dict[str, list[Path]]:
    """The pictures of everybody else in a dataset, by the names of their folders."""
    if not dataset.is_dir():
        return {}
    folders = sorted(path for path in dataset.iterdir() if path.is_dir() and not path.name.startswith("."))
    return {folder.name: pictures_in(folder) for folder in folders if folder.name != but}


def pictures_in(folder: Path) -> list[Path]:
    """The pictures in a folder by name; none where it is not there."""
    if not folder.is_dir():
        return []
    return sorted(path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES and path.name[0] != ".")


def _read_record(record: Path) -> dict[str, Any]:
    """What is written down of a person's crops. Raises InputError where it is damaged."""
    try:
        content = parsed(record.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{printable(record)} cannot be read ({error}): move it away to begin anew") from None
    if not isinstance(content, dict):
        raise InputError(f"{printable(record)} is none of a capture: move it away to begin anew")
    return content


def _cell(path: Path) -> Image:
    """One crop of a contact sheet; a grey one where it cannot be read."""
    try:
        image = read_picture(path)
    except InputError:
        return np.full((CELL_PX, CELL_PX, 3), 128, np.uint8)
    return np.asarray(cv2.resize(image, (CELL_PX, CELL_PX), interpolation=cv2.INTER_AREA), np.uint8)


def _write(path: Path, content: bytes, *, replace: bool = True) -> None:
    """Write a file whole. Raises OSError, also where it is there already and must not be replaced."""
    part = path.with_name(f".{path.name}.part")
    try:
        with part.open("wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        if replace:
            part.replace(path)
        else:
            os.link(part, path)
    finally:
        part.unlink(missing_ok=True)
