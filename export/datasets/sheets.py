"""Sheets of tiles: CIFAR-10 as one large picture a class, 32x32 tiles, 100 a row, row-major, without gaps."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from device.capture.pictures import measure_picture, read_picture
from device.datatypes import Image
from device.errors import InputError

TILE = 32
A_ROW = 100


def tiles_in(path: Path) -> int:
    """How many tiles a sheet has, by its header alone.

    Raises:
        InputError: its size is not that of a sheet.
    """
    try:
        width, height = measure_picture(path.read_bytes(), str(path))
    except OSError as error:
        raise InputError(f"the sheet {path} cannot be read: {error.strerror}") from None
    if width != TILE * A_ROW or height % TILE:
        raise InputError(
            f"{path} is {width} x {height} pixels, which is no sheet of {A_ROW} tiles of {TILE} x {TILE} a row; "
            "single photos go into a folder for each class"
        )
    return height // TILE * A_ROW


class Sheets:
    """Decoded sheets, kept: the whole of CIFAR-10 takes 170 MB."""

    def __init__(self) -> None:
        self._pictures: dict[Path, Image] = {}

    def tile(self, path: Path, index: int) -> Image:
        """32x32x3 uint8 RGB, a copy."""
        picture = self._pictures.get(path)
        if picture is None:
            picture = self._pictures[path] = read_picture(path)
        top, left = index // A_ROW * TILE, index % A_ROW * TILE
        return np.ascontiguousarray(picture[top : top + TILE, left : left + TILE])

    def forget(self) -> None:
        """Give the memory back."""
        self._pictures.clear()
