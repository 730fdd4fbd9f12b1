"""Photos with boxes for training and measuring a detector: a dataset whose labels were read and found sound."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt

from device.capture.pictures import read_picture
from device.errors import InputError
from export.dataset import Labelled
from export.datasets.boxes import read_boxes
from export.datasets.yolo import Detection, Pair, open_detection
from export.metrics import Truth


@dataclass(frozen=True)
class LabelledPhoto:
    """A file, its objects' classes [N] int, and their boxes [N, 4] float: middle and size, 0 to 1."""

    path: Path
    class_ids: npt.NDArray[np.int64]
    boxes: npt.NDArray[np.float64]

    def read(self) -> Labelled:
        """The photo as the device reads it, its boxes in pixels. Raises InputError."""
        image = read_picture(self.path)
        height, width = image.shape[:2]
        middle, half = self.boxes[:, :2] * (width, height), self.boxes[:, 2:] * (width, height) / 2
        return Labelled(image, Truth(np.concatenate([middle - half, middle + half], 1), self.class_ids))


@dataclass(frozen=True)
class LabelledSet:
    """Labelled photos in splits; the same every time it is opened with the same seed."""

    root: Path
    labels: tuple[str, ...]
    splits: Mapping[str, tuple[LabelledPhoto, ...]]
    warnings: tuple[str, ...]
    """What a person should know before the training: a sentence each."""
    _source: Detection

    @property
    def name(self) -> str:
        """The folder's."""
        return self.root.resolve().name

    @cached_property
    def fingerprint(self) -> str:
        """sha256 over names and contents of all photos and label files, and the classes."""
        return self._source.fingerprint


def open_labelled(root: Path, *, names: Sequence[str] | None = None, seed: int = 0) -> LabelledSet:
    """Open photos with YOLO labels (see `export.datasets.yolo.open_detection`), and read all labels.

    Raises:
        InputError: there are none, or a label is wrong: a class that there is not, a box outside its photo, a line that
            is none. Nothing is passed over in silence.
    """
    source = open_detection(root, names=names or (), seed=seed)
    splits = {split: tuple(_photo(pair, source) for pair in pairs) for split, pairs in source.splits.items()}
    if not any(len(photo.class_ids) for photo in splits["train"]):
        raise InputError(f"no photo to learn from in {source.root} has an object: labels/ must hold a .txt for each")
    return LabelledSet(source.root, source.names, splits, tuple(_warnings(source)), source)


def _photo(pair: Pair, source: Detection) -> LabelledPhoto:
    path, labels = pair
    found = read_boxes(labels, len(source.names))
    for number, fault in found.faults:
        raise InputError(f"{labels}, line {number}, {fault}; `python -m training data check` lists all such lines")
    return LabelledPhoto(path, found.table[:, 0].astype(np.int64), found.table[:, 1:])


def _warnings(source: Detection) -> list[str]:
    sentences = []
    bare = [image for pairs in source.splits.values() for image, labels in pairs if not labels.is_file()]
    if bare:
        total = sum(len(pairs) for pairs in source.splits.values())
        sentences.append(
            f"{len(bare)} of {total} photos have no label file ({bare[0].name} is the first): they are taken as photos "
            "of nothing"
        )
    if source.left_out:
        first, why = next(iter(source.left_out.items()))
        sentences.append(f"{len(source.left_out)} photos cannot be read and are left out: {first.name}: {why}")
    if not source.named:
        sentences.append(
            f"the classes have no names but {', '.join(source.names)}: give them by --names or a data.yaml"
        )
    return sentences
