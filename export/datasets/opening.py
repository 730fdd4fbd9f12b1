"""A folder of photos becomes a dataset: which layout it has, and the splits that it lacks."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import blake2b
from pathlib import Path

import numpy as np

from device.errors import InputError
from export.datasets.duplicates import SIMILAR, groups, near_pairs
from export.datasets.folders import Layout, find_layout
from export.datasets.inspection import inspect_files
from export.datasets.samples import SPLITS, Dataset, Sample
from export.datasets.sheets import Sheets
from export.datasets.splits import split_groups


def open_dataset(
    root: Path | str, *, seed: int = 0, fractions: tuple[float, float, float] = (0.7, 0.15, 0.15)
) -> Dataset:
    """Open labelled photos in one of three layouts.

    * `train/CLASS/photos`, and the same for `val` (or `valid`, `validation`) and `test`. What is missing of the two is
      cut from train, with its share in `fractions`;
    * `CLASS/photos`: split by `fractions` (train, val, test);
    * `train/CLASS.jpg`, `test/CLASS.jpg`: sheets of 32x32 tiles, 100 a row, as of CIFAR-10.

    Splits made here are stratified, the same for the same seed, and near-duplicates never straddle them. Files that
    cannot be read are left out, and listed in `left_out`.

    Raises:
        InputError: the folder is not there, holds no photos that can be read, or has another layout.
    """
    root = Path(root)
    layout = find_layout(root)
    left_out: dict[Path, str] = {}
    given = {split: _readable(samples, left_out) for split, samples in layout.samples.items()}
    if not any(given.values()):
        raise InputError(f"{root} holds no photo that can be read: {next(iter(left_out.values()))}")
    shares = dict(zip(SPLITS, fractions, strict=True))
    missing = tuple(split for split in SPLITS[1:] if not layout.samples.get(split))
    if missing:
        kept = sum(shares[split] for split in missing)
        given |= _cut(given["train"], layout, {"train": 1 - kept} | {split: shares[split] for split in missing}, seed)
    return Dataset(
        root,
        layout.labels,
        {split: given[split] for split in SPLITS},
        ("train", *missing) if len(missing) == 2 else missing,
        left_out,
    )


def _readable(samples: tuple[Sample, ...], left_out: dict[Path, str]) -> tuple[Sample, ...]:
    files = sorted({sample.path for sample in samples})
    faults = {found.path: found.fault for found in inspect_files(files) if found.fault}
    left_out |= faults
    return tuple(sample for sample in samples if sample.path not in faults)


def _cut(
    samples: tuple[Sample, ...], layout: Layout, shares: Mapping[str, float], seed: int
) -> dict[str, tuple[Sample, ...]]:
    parts = split_groups(same_pictures(samples), [sample.label for sample in samples], layout.labels, shares, seed=seed)
    return {split: tuple(samples[index] for index in indices) for split, indices in parts.items()}


def same_pictures(samples: tuple[Sample, ...]) -> list[list[int]]:
    """Indices of samples in groups that show the same picture: near-duplicate files, equal tiles of sheets."""
    if any(sample.tile is not None for sample in samples):
        sheets, seen, pairs = Sheets(), {}, []
        for index, sample in enumerate(samples):
            content = sheets.tile(sample.path, sample.tile or 0)
            pairs.append((seen.setdefault(blake2b(content).digest(), index), index))
        return groups(len(samples), pairs)
    looks = inspect_files([sample.path for sample in samples])
    thumbnails = np.stack([look.thumbnail for look in looks if look.thumbnail is not None])
    return groups(len(samples), [(a, b) for a, b, _ in near_pairs(thumbnails, SIMILAR)])
