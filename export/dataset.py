"""Labelled pictures in YOLO's layout, and the four views that one judges by."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from device.datatypes import Image
from device.errors import InputError
from export.calibration import calibration_files, read_picture
from export.metrics import Truth

GREY = 114


@dataclass(frozen=True)
class Labelled:
    """A picture (HxWx3 uint8 RGB) and what is in it."""

    image: Image
    truth: Truth


@dataclass(frozen=True)
class View:
    """One way to show the same picture."""

    name: str
    mirrored: bool
    scale: float

    def of(self, picture: Labelled) -> Labelled:
        """The picture seen this way. `scale` below 1 puts it into a larger grey frame, so that all in it is smaller."""
        image, boxes = picture.image, picture.truth.xyxy.copy()
        height, width = image.shape[:2]
        if self.mirrored:
            image = np.ascontiguousarray(image[:, ::-1])
            boxes[:, [0, 2]] = width - boxes[:, [2, 0]]
        if self.scale < 1:
            wide, high = round(width / self.scale), round(height / self.scale)
            left, top = (wide - width) // 2, (high - height) // 2
            image = cv2.copyMakeBorder(
                image,
                top,
                high - height - top,
                left,
                wide - width - left,
                cv2.BORDER_CONSTANT,
                value=(GREY, GREY, GREY),
            )
            boxes += (left, top, left, top)
        return Labelled(image, Truth(boxes, picture.truth.class_ids))


VIEWS = (
    View("as it is", False, 1.0),
    View("at 0.95", False, 0.95),
    View("mirrored", True, 1.0),
    View("mirrored, at 0.95", True, 0.95),
)
"""64 pictures make a noisy figure: a detector is judged by the mean over these four."""


def labelled_pictures(folder: Path, split: str = "val") -> list[Labelled]:
    """All pictures of `folder/images/SPLIT`, with labels of `folder/labels/SPLIT`; without a label file they are empty

    Raises:
        InputError: there are none, or a label file is malformed.
    """
    images = folder / "images" / split
    files = sorted(path for path in images.glob("*") if path.suffix.lower() in (".jpg", ".jpeg", ".png"))
    if not files:
        raise InputError(
            f"no labelled pictures at {images}: an export is measured before it is written. Put some there, with YOLO "
            f"labels in labels/{split} beside, or set SERENO_DATA to a folder that holds coco/images/{split}"
        )
    return [_labelled(file, folder / "labels" / split / f"{file.stem}.txt") for file in files]


def _labelled(file: Path, labels: Path) -> Labelled:
    image = read_picture(file)
    height, width = image.shape[:2]
    rows = [line.split() for line in labels.read_text().splitlines() if line.strip()] if labels.exists() else []
    try:
        table = np.array(rows, np.float64).reshape(len(rows), 5)
    except ValueError as error:
        raise InputError(f"{labels} is malformed: each line must be `class x y width height` ({error})") from error
    middle, half = table[:, 1:3] * (width, height), table[:, 3:5] * (width, height) / 2
    return Labelled(image, Truth(np.concatenate([middle - half, middle + half], 1), table[:, 0].astype(np.int64)))


def fingerprint(files: Sequence[Path]) -> str:
    """sha256 over the files' names and contents, in order."""
    digest = hashlib.sha256()
    for file in files:
        digest.update(file.name.encode())
        digest.update(file.read_bytes())
    return digest.hexdigest()


@dataclass(frozen=True)
class Material:
    """The pictures of an export: those that the ranges of int8 come from, and those that it is measured on.

    `dataset` and `split` name the latter in manifest and card; `floors` is the entry of the table of floors.
    """

    calibration: Sequence[Path]
    held_out: Sequence[Labelled]
    dataset: str
    split: str = "val"
    floors: str = "detect"
    multi_label: bool = False
    """Whether every class of a box counts, as in Ultralytics' validation, or its best one only."""
    provenance: Mapping[str, Any] = field(default_factory=dict)
    """What the manifest says beyond what the export knows by itself."""

    @property
    def counted(self) -> str:
        """Which classes of a box count, in words."""
        return "each box with all its classes" if self.multi_label else "each box with its best class"

    @property
    def objects(self) -> int:
        """How many are labelled in the pictures that it is measured on."""
        return sum(len(picture.truth.class_ids) for picture in self.held_out)


def coco(data: Path, *, calibrate: bool = True) -> Material:
    """What detectors of COCO's classes are exported with: `data/coco/images/{train,val}` and `coco/labels/val`.

    Raises:
        InputError: the pictures are missing; those of `train` only where `calibrate`.
    """
    return Material(calibration_files(data) if calibrate else (), labelled_pictures(data / "coco"), "COCO val2017")
