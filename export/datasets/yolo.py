"""Pictures with boxes in YOLO's layouts: with data.yaml, with folders for the splits, or with neither."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np

from device.capture.pictures import SUFFIXES
from device.errors import InputError
from export.datasets.boxes import read_boxes
from export.datasets.datayaml import DataYaml, find_yaml
from export.datasets.duplicates import SIMILAR, groups, near_pairs
from export.datasets.inspection import inspect_files
from export.datasets.samples import SPLITS
from export.datasets.splits import split_groups

Pair = tuple[Path, Path]
"""A picture, and its label file, which need not be there: then nothing is in the picture."""

_FOLDERS = {"train": ("train",), "val": ("val", "valid", "validation"), "test": ("test",)}


@dataclass(frozen=True)
class Detection:
    """Pictures with boxes of the classes `names`, in splits; `test` only where there is one."""

    root: Path
    names: tuple[str, ...]
    splits: Mapping[str, tuple[Pair, ...]]
    made: tuple[str, ...] = ()
    """The splits that were not given, but made here by the seed."""
    left_out: Mapping[Path, str] = field(default_factory=dict)
    """Pictures that cannot be read, each with the sentence that says why; they are in no split."""
    named: bool = True
    """Whether the data set tells its classes' names; else they are the numbers."""

    @cached_property
    def fingerprint(self) -> str:
        """sha256 over names (relative to the root) and contents of all pictures and label files, and the classes."""
        pairs = sorted(pair for split in self.splits.values() for pair in split)
        digest = hashlib.sha256("\0".join(self.names).encode())
        for inspection, (_, label) in zip(inspect_files([image for image, _ in pairs]), pairs, strict=True):
            digest.update(_relative(inspection.path, self.root).encode() + b"\0")
            digest.update(bytes.fromhex(inspection.digest))
            digest.update(hashlib.sha256(label.read_bytes() if label.is_file() else b"").digest())
        return digest.hexdigest()

    def counts(self) -> dict[str, list[int]]:
        """How many boxes each split has of each class, in the order of `names`; faulty lines are not counted."""
        tables = {}
        for split, pairs in self.splits.items():
            found = Counter(int(c) for _, label in pairs for c in read_boxes(label, len(self.names)).table[:, 0])
            tables[split] = [found[index] for index in range(len(self.names))]
        return tables


def open_detection(
    root: Path | str,
    *,
    names: Sequence[str] = (),
    seed: int = 0,
    fractions: tuple[float, float, float] = (0.7, 0.15, 0.15),
) -> Detection:
    """Open pictures with YOLO labels, in one of these layouts.

    * with `data.yaml` (or the YAML file itself as `root`), its paths resolved as ultralytics does;
    * `images/train`, `images/val` and perhaps `images/test`, with `labels/…` beside; or `train/images`, `train/labels`;
    * `images` and `labels` alone: split by the seed, and near-duplicates stay together.

    Where there is train and no val, val is cut from train. A given test stays; none is made then. The classes' names
    are `names`, else those of data.yaml, else the lines of classes.txt, else the numbers in the labels.

    Raises:
        InputError: there is no such folder, no picture in it, or data.yaml is wrong.
    """
    root = Path(root)
    if not root.exists():
        raise InputError(f"there is no folder {root}; a detector's dataset has data.yaml, or images and labels")
    yaml = find_yaml(root)
    base = root if root.is_dir() else root.parent
    given = {split: _pairs(files) for split, files in _pictures(base, yaml).items()}
    if not any(given.values()):
        raise InputError(
            f"{base} holds no pictures with labels: photos belong into images/, and for each a .txt of the same name "
            "into labels/"
        )
    left_out = {
        look.path: look.fault
        for look in inspect_files([image for pairs in given.values() for image, _ in pairs])
        if look.fault
    }
    splits = {split: tuple(pair for pair in pairs if pair[0] not in left_out) for split, pairs in given.items()}
    if not any(splits.values()):
        raise InputError(f"{base} holds no picture that can be read: {next(iter(left_out.values()))}")
    found, named = _names(base, yaml, names, splits)
    splits, made = _complete(splits, len(found), fractions, seed)
    return Detection(base, found, splits, made, left_out, named)


def label_path(image: Path) -> Path:
    """Where a picture's labels are: the last folder `images` becomes `labels`, as in ultralytics; else beside it."""
    parts = list(image.parts)
    for index in range(len(parts) - 2, -1, -1):
        if parts[index] == "images":
            parts[index] = "labels"
            break
    return Path(*parts).with_suffix(".txt")


def _pictures(base: Path, yaml: DataYaml | None) -> dict[str, list[Path]]:
    if yaml is not None and yaml.splits:
        return {split: [file for place in places for file in _listed(place)] for split, places in yaml.splits.items()}
    found: dict[str, list[Path]] = {}
    for split, names in _FOLDERS.items():
        folders = [folder for name in names for folder in (base / "images" / name, base / name / "images")]
        folder = next((folder for folder in folders if folder.is_dir()), None)
        if folder:
            found[split] = _listed(folder)
    if found:
        if "train" not in found:
            raise InputError(f"{base} has {' and '.join(found)} but no train: put photos into images/train")
        return found
    if not (base / "images").is_dir():
        raise InputError(
            f"{base} is no dataset for a detector: it has neither data.yaml nor a folder images (with labels beside)"
        )
    return {"all": _listed(base / "images")}


def _listed(place: Path) -> list[Path]:
    """Pictures in a folder and those below, or those that a text file lists, one a line."""
    if place.is_dir():
        files = [path for path in place.rglob("*") if not any(part.startswith(".") for part in path.parts[-2:])]
    elif place.is_file():
        lines = place.read_text(encoding="utf-8-sig").splitlines()
        files = [
            place.parent / line.strip().removeprefix("./") if line.startswith("./") else Path(line.strip())
            for line in lines
            if line.strip()
        ]
    else:
        raise InputError(f"{place}, which data.yaml names, is not there")
    return sorted(path for path in files if path.suffix.lower() in SUFFIXES)


def _pairs(files: Sequence[Path]) -> tuple[Pair, ...]:
    return tuple((file, label_path(file)) for file in files)


def _names(
    base: Path, yaml: DataYaml | None, names: Sequence[str], splits: Mapping[str, Sequence[Pair]]
) -> tuple[tuple[str, ...], bool]:
    if names or (yaml is not None and yaml.names):
        return tuple(names or (yaml.names if yaml else ())), True
    lists = (base / "classes.txt", base / "labels" / "classes.txt", base / "obj.names")
    for path in lists:
        if path.is_file():
            return tuple(line.strip() for line in path.read_text("utf-8-sig").splitlines() if line.strip()), True
    found = (read_boxes(label).table[:, 0] for pairs in splits.values() for _, label in pairs)
    most = max((int(table.max()) for table in found if len(table)), default=-1)
    if most < 0:
        raise InputError(f"{base} has no label file with a box: each picture's belongs into labels/, as NAME.txt")
    return tuple(str(index) for index in range(most + 1)), False


def _complete(
    splits: dict[str, tuple[Pair, ...]], classes: int, fractions: tuple[float, float, float], seed: int
) -> tuple[dict[str, tuple[Pair, ...]], tuple[str, ...]]:
    """Make the splits that are missing."""
    shares = dict(zip(SPLITS, fractions, strict=True))
    if "all" in splits:
        return _cut(splits["all"], classes, shares, seed), SPLITS
    if splits.get("val"):
        return splits, ()
    cut = _cut(splits["train"], classes, {"train": 1 - shares["val"], "val": shares["val"]}, seed)
    return {split: (splits | cut)[split] for split in SPLITS if split in splits or split in cut}, ("val",)


def _cut(pairs: Sequence[Pair], classes: int, shares: Mapping[str, float], seed: int) -> dict[str, tuple[Pair, ...]]:
    shown = [set(read_boxes(label, classes).table[:, 0].astype(int).tolist()) for _, label in pairs]
    parts = split_pictures([image for image, _ in pairs], shown, classes, shares, seed)
    return {split: tuple(pairs[index] for index in indices) for split, indices in parts.items()}


def split_pictures(
    images: Sequence[Path], shown: Sequence[set[int]], classes: int, shares: Mapping[str, float], seed: int
) -> dict[str, list[int]]:
    """Split by the rarest class in each picture, so that it is on all sides; pictures of nothing are one more class.

    Args:
        images: files that can be read; near-duplicates stay together.
        shown: the classes in each.
        shares: of the splits; the first takes the rest.
    Returns:
        The sorted indices of each split.
    """
    total = Counter(label for labels in shown for label in labels)
    strata = [min(labels, key=lambda label: (total[label], label)) if labels else classes for labels in shown]
    looks = inspect_files(images)
    thumbnails = np.stack([look.thumbnail for look in looks if look.thumbnail is not None])
    together = groups(len(images), [(a, b) for a, b, _ in near_pairs(thumbnails, SIMILAR)])
    names = [str(index) for index in range(classes + 1)]
    return split_groups(together, strata, names, shares, seed=seed, least=0)


def _relative(path: Path, root: Path) -> str:
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else path.name
