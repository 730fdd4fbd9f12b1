"""What a dataset of classes is: samples with labels in three splits."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from device.capture.pictures import read_picture
from device.datatypes import Image
from export.datasets.inspection import inspect_files
from export.datasets.sheets import Sheets

SPLITS = ("train", "val", "test")


@dataclass(frozen=True, order=True)
class Sample:
    """One labelled picture: a file, or one tile of a sheet (row-major, from 0)."""

    path: Path
    label: int
    tile: int | None = None

    @property
    def key(self) -> str:
        """Unique text: the path, and `#tile` for a tile of a sheet."""
        return str(self.path) if self.tile is None else f"{self.path}#{self.tile}"


@dataclass(frozen=True)
class Dataset:
    """Samples of `labels` in the splits train, val and test; the same every time it is opened with the same seed."""

    root: Path
    labels: tuple[str, ...]
    splits: Mapping[str, tuple[Sample, ...]]
    made: tuple[str, ...] = ()
    """The splits that were not given as folders, but made here by the seed."""
    left_out: Mapping[Path, str] = field(default_factory=dict)
    """Files that cannot be read, each with the sentence that says why; they are in no split."""
    _sheets: Sheets = field(default_factory=Sheets, repr=False, compare=False)

    def read(self, sample: Sample) -> Image:
        """HxWx3 uint8 RGB, as the device reads it. Raises InputError where the file has gone or changed."""
        if sample.tile is not None:
            return self._sheets.tile(sample.path, sample.tile)
        return read_picture(sample.path)

    def name(self, sample: Sample) -> str:
        """`sample.key` relative to the root: the same on every machine."""
        return sample.key.removeprefix(f"{self.root}/")

    def counts(self) -> dict[str, list[int]]:
        """How many samples each split has of each class, in the order of `labels`."""
        tables = {split: [0] * len(self.labels) for split in self.splits}
        for split, samples in self.splits.items():
            for sample in samples:
                tables[split][sample.label] += 1
        return tables

    @cached_property
    def fingerprint(self) -> str:
        """sha256 over the names (relative to the root) and contents of all files that are in a split."""
        files = sorted({sample.path for samples in self.splits.values() for sample in samples})
        digest = hashlib.sha256()
        for inspection in inspect_files(files):
            digest.update(inspection.path.relative_to(self.root).as_posix().encode() + b"\0")
            digest.update(bytes.fromhex(inspection.digest))
        return digest.hexdigest()
