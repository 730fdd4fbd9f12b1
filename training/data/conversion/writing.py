"""Annotated photos become a folder with images/, labels/ and data.yaml, or nothing at all."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import yaml

from device.errors import ConfigError, InputError
from export.datasets.boxes import SMALLEST
from export.datasets.inspection import Inspection, inspect_files
from export.datasets.samples import SPLITS
from export.datasets.yolo import split_pictures
from training.data.conversion.annotated import Annotated, AnnotatedPhoto

Row = tuple[int, float, float, float, float]


@dataclass(frozen=True)
class Converted:
    """What was written: boxes of each class by split, and photos by split."""

    out: Path
    names: tuple[str, ...]
    boxes: Mapping[str, Sequence[int]]
    photos: Mapping[str, int]


def write_yolo(
    annotated: Annotated,
    out: Path,
    *,
    seed: int = 0,
    fractions: tuple[float, float, float] = (0.7, 0.15, 0.15),
    link: bool = False,
) -> Converted:
    """Write the whole set to a new folder: all of it, or nothing.

    Boxes are clipped to the picture, and told. Where no split was given one is made by the seed; near-duplicates stay
    together. Photos are copied, or with `link` linked to where they are.

    Raises:
        ConfigError: `out` is there already.
        InputError: no photo is left, or the disk refuses.
    """
    if out.exists():
        raise ConfigError(f"{out} is there already, and nothing is overwritten: name a new folder")
    photos, rows = _rows(annotated)
    if not photos:
        reasons = "; ".join(annotated.remarks.lines()) or "no annotation names a photo"
        raise InputError(f"nothing is left to convert in {annotated.root}: {reasons}")
    splits = _splits(photos, rows, len(annotated.names), fractions, seed, annotated)
    scratch = out.with_name(f".{out.name}.partial")
    try:
        shutil.rmtree(scratch, ignore_errors=True)
        scratch.mkdir(parents=True)
        for name, photo, split, lines in zip(_file_names(photos, splits), photos, splits, rows, strict=True):
            _write_one(scratch, name, photo.path, split, lines, link)
        _write_yaml(scratch, annotated.names, sorted(set(splits), key=SPLITS.index))
        scratch.rename(out)
    except OSError as error:
        shutil.rmtree(scratch, ignore_errors=True)
        raise InputError(f"{out} cannot be written: {error.strerror or error}") from None
    boxes = {split: [0] * len(annotated.names) for split in SPLITS if split in splits}
    for split, lines in zip(splits, rows, strict=True):
        for row in lines:
            boxes[split][row[0]] += 1
    return Converted(out, annotated.names, boxes, {split: splits.count(split) for split in boxes})


def _rows(annotated: Annotated) -> tuple[list[AnnotatedPhoto], list[list[Row]]]:
    """The photos that can be read, and their lines."""
    photos, rows = [], []
    for look, photo in zip(inspect_files([photo.path for photo in annotated.photos]), annotated.photos, strict=True):
        if look.fault:
            annotated.remarks.tell("a photo that cannot be read, left out", look.fault)
            continue
        photos.append(photo)
        rows.append(_lines(annotated, photo, look))
    return photos, rows


def _lines(annotated: Annotated, photo: AnnotatedPhoto, look: Inspection) -> list[Row]:
    name, remarks = photo.path.name, annotated.remarks
    size = np.array((look.width, look.height), np.float64)
    if photo.size is not None and tuple(photo.size) != (look.width, look.height):
        if tuple(photo.size) == (look.height, look.width):
            remarks.tell("a photo turned by its EXIF, whose boxes are taken as on the turned one: look at some", name)
        else:
            remarks.tell("a photo of another size than its annotation says, boxes scaled along", name)
            size = np.array(photo.size, np.float64)
    lines = []
    for box in photo.boxes:
        whole = np.array(box.xyxy, np.float64).reshape(2, 2) / size
        low, high = whole.clip(0, 1)
        if not np.isfinite(whole).all() or (high - low < SMALLEST).any():
            remarks.tell("a box without area in the picture, left out", name)
            continue
        if np.abs(whole - (low, high)).max() * size.max() > 0.5:
            remarks.tell("a box that reached outside the picture, clipped", name)
        lines.append((annotated.names.index(box.name), *((low + high) / 2), *(high - low)))
    return lines


def _splits(
    photos: Sequence[AnnotatedPhoto],
    rows: Sequence[Sequence[Row]],
    classes: int,
    fractions: tuple[float, float, float],
    seed: int,
    annotated: Annotated,
) -> list[str]:
    """The split of each photo: as given, or by the seed where none is given."""
    if all(photo.split is None for photo in photos):
        shown = [{row[0] for row in lines} for lines in rows]
        shares = dict(zip(SPLITS, fractions, strict=True))
        found = [""] * len(photos)
        for split, indices in split_pictures([photo.path for photo in photos], shown, classes, shares, seed).items():
            for index in indices:
                found[index] = split
        return found
    for photo in photos:
        if photo.split is None:
            annotated.remarks.tell("a photo in no split, put into train", photo.path.name)
    return [photo.split or "train" for photo in photos]


def _file_names(photos: Sequence[AnnotatedPhoto], splits: Sequence[str]) -> list[str]:
    """Each photo's name, with its folder before where another of the same split has the same, whatever its ending."""
    used: set[tuple[str, str]] = set()
    names = []
    for photo, split in zip(photos, splits, strict=True):
        name, parents = photo.path.name, list(photo.path.parts[:-1])
        while (split, Path(name).stem.lower()) in used:
            name = f"{parents.pop().strip('/') or 'x'}-{name}" if parents else f"x{name}"
        used.add((split, Path(name).stem.lower()))
        names.append(name)
    return names


def _write_one(folder: Path, name: str, photo: Path, split: str, lines: Sequence[Row], link: bool) -> None:
    image, label = folder / "images" / split / name, folder / "labels" / split / f"{Path(name).stem}.txt"
    image.parent.mkdir(parents=True, exist_ok=True)
    label.parent.mkdir(parents=True, exist_ok=True)
    if link:
        image.symlink_to(photo.resolve())
    else:
        shutil.copyfile(photo, image)
    label.write_text("".join(f"{row[0]} {' '.join(f'{value:.6f}' for value in row[1:])}\n" for row in lines))


def _write_yaml(folder: Path, names: Sequence[str], splits: Sequence[str]) -> None:
    content: dict[str, object] = {split: f"images/{split}" for split in splits}
    content["names"] = dict(enumerate(names))
    text = yaml.safe_dump(content, allow_unicode=True, sort_keys=False)
    (folder / "data.yaml").write_text(text, encoding="utf-8")
