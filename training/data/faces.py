"""A look over faces in a folder for each identity, for an embedder."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from device.errors import InputError
from export.datasets.folders import Layout, find_layout, photos, split_folders, subfolders
from export.datasets.inspection import inspect_files
from export.datasets.samples import SPLITS
from training.data.classes import passed_over
from training.data.findings import Finding, Findings, counted
from training.data.pictures import duplicates, named, tiny, unreadable

TINY_FACE = 60
"""Pixels of a crop's shorter side below which enlarging it to 112 x 112 shows mostly interpolation."""


def check_faces(root: Path, *, allow_duplicates: bool = False) -> Findings:
    """Look over face crops. Raises InputError where there is nothing to look at."""
    tops = (split_folders(root).values() or [root]) if root.is_dir() else []
    if tops and not any(photos(person) for top in tops for person in subfolders(top)):
        raise InputError(
            f"{root} holds no people: put the photos of each one into a folder of their own, such as {root}/ana and "
            f"{root}/luis, two photos or more of each"
        )
    layout = find_layout(root)
    given = {sample.path: (split, sample.label) for split, samples in layout.samples.items() for sample in samples}
    looks = inspect_files(sorted(given))
    pictures = [named(look, root, given[look.path][0], layout.labels[given[look.path][1]]) for look in looks]
    if all(look.fault for look in looks):
        raise InputError(f"{root} holds no photo that can be read: {looks[0].fault}")
    found = [
        *_identities(layout, root),
        *unreadable(pictures),
        *tiny(pictures, TINY_FACE),
        *duplicates(pictures, allow_across=allow_duplicates),
        *passed_over(root),
    ]
    counts = _per_identity(layout)
    rows = [
        (split, f"{len(table):,}", f"{sum(table.values()):,}", f"{min(table.values())} to {max(table.values())}")
        for split, table in counts.items()
        if table
    ]
    return Findings(root, "faces", tuple(found), ("split", "identities", "photos", "photos each"), tuple(rows))


def _per_identity(layout: Layout) -> dict[str, dict[str, int]]:
    """How many photos each identity has, in each split that is there."""
    counts: dict[str, dict[str, int]] = {}
    for split in SPLITS:
        for sample in layout.samples.get(split, ()):
            table = counts.setdefault(split, {})
            table[layout.labels[sample.label]] = table.get(layout.labels[sample.label], 0) + 1
    return counts


def _identities(layout: Layout, root: Path) -> Iterator[Finding]:
    counts = _per_identity(layout)
    yield from _straddling(counts)
    several = [name for name, count in counts.get("train", {}).items() if count > 1]
    if len(several) < 2:
        yield Finding(
            "too few identities",
            len(several),
            f"{root} has {counted(len(several), 'identity', 'identities')} "
            "with two photos or more to learn from: two at least, "
            "better a hundred",
            error=True,
        )
    single = [name for name, count in counts.get("train", {}).items() if count == 1]
    if single:
        yield Finding(
            "identities with one photo",
            len(single),
            f"{counted(len(single), 'identity has', 'identities have')} "
            f"a single photo, as {single[0]}: nothing is learnt of what stays the same",
            tuple(single),
        )


def _straddling(counts: Mapping[str, Mapping[str, int]]) -> Iterator[Finding]:
    """Identities in more than one split: who was trained on is recognised too easily."""
    homes: dict[str, list[str]] = {}
    for split, table in counts.items():
        for name in table:
            homes.setdefault(name, []).append(split)
    both = sorted(name for name, splits in homes.items() if len(splits) > 1)
    if both:
        yield Finding(
            "identities across splits",
            len(both),
            f"{counted(len(both), 'identity is', 'identities are')} "
            f"in more than one split, as {both[0]} in {' and '.join(homes[both[0]])}: "
            "each person belongs to one of them",
            tuple(both),
            error=True,
        )
