"""What can be wrong with pictures whatever they are for: unreadable, tiny, or the same one twice."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from export.datasets.duplicates import groups, near_pairs
from export.datasets.inspection import Inspection
from training.data.findings import Finding, Removal, counted, share

TINY = 32
"""Pixels of the shorter side below which nothing is to be learnt from a photo; 32 is what CIFAR-10 has."""

_PRECEDENCE = {"test": 0, "val": 1, "train": 2}
"""Of two copies, the one that measures stays: a test that shrinks can no longer be compared with itself."""


@dataclass(frozen=True)
class Picture:
    """A picture, where it stands and what it is said to show."""

    look: Inspection
    name: str
    """Relative to the dataset's root."""
    split: str
    label: str


def unreadable(pictures: Sequence[Picture]) -> Iterator[Finding]:
    """Those that cannot be read, which are left out of training."""
    broken = [picture for picture in pictures if picture.look.fault]
    if broken:
        first = broken[0]
        yield Finding(
            "unreadable",
            len(broken),
            f"{share(len(broken), len(pictures))} photos cannot be read and are left out: {_reason(first)}",
            tuple(_reason(picture) for picture in broken),
            removals=tuple(Removal(picture.look.path, _reason(picture)) for picture in broken),
        )


def _reason(picture: Picture) -> str:
    return picture.look.fault.replace(str(picture.look.path), picture.name)


def tiny(pictures: Sequence[Picture], least: int = TINY) -> Iterator[Finding]:
    """Those smaller than `least` pixels at their shorter side."""
    sizes = {picture.name: (picture.look.width, picture.look.height) for picture in pictures if not picture.look.fault}
    small = sorted((name for name, size in sizes.items() if min(size) < least), key=lambda name: min(sizes[name]))
    if small:
        by_name = {picture.name: picture.look.path for picture in pictures}
        texts = {name: f"{name} is {sizes[name][0]} x {sizes[name][1]} pixels" for name in small}
        yield Finding(
            "tiny",
            len(small),
            f"{share(len(small), len(pictures))} photos are smaller than {least} pixels at their shorter side, as "
            f"{small[0]}: too small to learn from",
            tuple(texts.values()),
            removals=tuple(Removal(by_name[name], texts[name]) for name in small),
        )


def duplicates(pictures: Sequence[Picture], *, allow_across: bool = False) -> Iterator[Finding]:
    """The same photo more than once: across splits, under several labels, or beside itself."""
    whole = [picture for picture in pictures if picture.look.thumbnail is not None]
    if not whole:
        return
    pairs = near_pairs(np.stack([picture.look.thumbnail for picture in whole]))
    alike = [[whole[index] for index in group] for group in groups(len(whole), [pair[:2] for pair in pairs])]
    alike = [sorted(group, key=_standing) for group in alike if len(group) > 1]
    across = [group for group in alike if len({picture.split for picture in group}) > 1]
    if across:
        yield _across(across, allow_across)
    torn = [group for group in alike if len({picture.label for picture in group}) > 1]
    if torn:
        yield _torn(torn)
    beside = [
        group
        for group in alike
        if len({picture.split for picture in group}) == len({picture.label for picture in group}) == 1
    ]
    if beside:
        copies = sum(len(group) - 1 for group in beside)
        yield Finding(
            "duplicates",
            copies,
            f"{counted(copies, 'photo is', 'photos are')} "
            f"in the same folder a second time, as {_names(beside[0])}: such "
            "a photo counts twice",
            tuple(_names(group) for group in beside),
            removals=tuple(
                Removal(picture.look.path, f"the same photo as {group[0].name}")
                for group in beside
                for picture in group[1:]
            ),
        )


def _standing(picture: Picture) -> tuple[int, int, str]:
    """Which copy is kept: the one that measures, then the largest, then the first by name."""
    return _PRECEDENCE.get(picture.split, 3), -picture.look.width * picture.look.height, picture.name


def _across(found: list[list[Picture]], allowed: bool) -> Finding:
    kept = [(group[0], picture) for group in found for picture in group[1:] if picture.split != group[0].split]
    advice = (
        "figures on them say nothing about new photos"
        if allowed
        else "what is measured would be too good: move one away (`python -m training data check --fix quarantine` "
        "lists which), or say --allow-duplicates"
    )
    return Finding(
        "duplicates across splits",
        len(found),
        f"{counted(len(found), 'photo is', 'photos are')} in more than one split, as {_names(found[0])}; {advice}",
        tuple(_names(group) for group in found),
        error=not allowed,
        removals=tuple(
            Removal(picture.look.path, f"the same photo as {keeper.name}, which is for {keeper.split}")
            for keeper, picture in kept
        ),
    )


def _torn(found: list[list[Picture]]) -> Finding:
    return Finding(
        "same photo, two labels",
        len(found),
        f"{counted(len(found), 'photo has', 'photos have')} "
        f"more than one label, as {_names(found[0])}: one of them is wrong",
        tuple(_names(group) for group in found),
        removals=tuple(
            Removal(
                picture.look.path, f"the same photo is also {_others(group, picture)}: keep the right one", sure=False
            )
            for group in found
            for picture in group
        ),
    )


def _others(group: list[Picture], picture: Picture) -> str:
    return ", ".join(other.name for other in group if other is not picture)


def _names(group: list[Picture]) -> str:
    kind = "" if len({picture.look.digest for picture in group}) == 1 else " (alike, not byte for byte)"
    return " = ".join(picture.name for picture in group[:4]) + kind


def named(look: Inspection, root: Path, split: str, label: str) -> Picture:
    """A picture with its name relative to the root, where it is below."""
    path = look.path
    return Picture(look, path.relative_to(root).as_posix() if path.is_relative_to(root) else str(path), split, label)
