"""Whose photos a comparison takes: known people, strangers, and people who are neither."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from device.errors import ConfigError, InputError
from export.datasets.folders import photos, subfolders
from export.face_crops import Photo, find_photos
from export.face_identities import chosen_aside, plain_name

SHARE_ASIDE = 4
"""One of so many people is set aside where no others are given."""


@dataclass(frozen=True)
class Photos:
    """Photos of the three groups; nobody is in two."""

    known: tuple[Photo, ...]
    unknown: tuple[Photo, ...]
    aside: tuple[Photo, ...]

    @property
    def known_names(self) -> frozenset[str]:
        """People who may be enrolled."""
        return frozenset(photo.person for photo in self.known)

    def counts(self) -> dict[str, str]:
        """For the report."""
        return {
            name: f"{len(part):,} photos of {len({photo.person for photo in part}):,} people"
            for name, part in (("known", self.known), ("unknown", self.unknown), ("set aside", self.aside))
        }


def gather(known: Path, unknown: Path, aside: Path | None, enrol: int, seed: int, trained: Sequence[Any]) -> Photos:
    """Find the photos of each group.

    Args:
        known: a folder for each person.
        unknown: the same, or photos of one stranger each; the folder `known` again parts its people by their photos:
            those with more than are enrolled are known, the others are not.
        aside: people of neither; None sets a quarter of the known people and of the strangers aside.
        enrol: photos that an enrolment takes; known people with no more are left out.
        seed: chooses who is set aside.
        trained: what the models tell of their training. Of `aside` only those are taken whom none was trained on,
            should it be the folder that it was trained with.
    Raises:
        InputError: nobody is left in a group, or somebody is in two.
        ConfigError: models were trained with other people set aside each.
    """
    found = find_photos(known)
    counts = Counter(photo.person for photo in found)
    enough = {person for person, count in counts.items() if count > enrol}
    if known.resolve() == unknown.resolve():
        strangers = [photo for photo in found if photo.person not in enough]
    else:
        strangers = _strangers(unknown)
    if not enough or not strangers:
        raise InputError(f"{known} has {len(enough)} people with more than {enrol} photos, {unknown} has "
                         f"{len(strangers)} photos of strangers; both are needed")  # fmt: skip
    if aside is not None:
        mine = tuple(photo for photo in found if photo.person in enough)
        parts = Photos(mine, tuple(strangers), _aside(aside, trained))
    else:
        others = _quarter(sorted(enough), seed) | _quarter(sorted({photo.person for photo in strangers}), seed)
        parts = Photos(
            known=tuple(photo for photo in found if photo.person in enough - others),
            unknown=tuple(photo for photo in strangers if photo.person not in others),
            aside=tuple(photo for photo in dict.fromkeys((*found, *strangers)) if photo.person in others),
        )
    _refuse_in_two(parts)
    return parts


def _strangers(folder: Path) -> list[Photo]:
    """A folder for each, or photos of one each where there are no folders."""
    if folder.is_dir() and not any(photos(person) for person in subfolders(folder)):
        return [Photo(path, path.stem) for path in photos(folder)]
    return find_photos(folder)


def _quarter(people: Sequence[str], seed: int) -> set[str]:
    chosen = np.random.default_rng(seed).permutation(len(people))[: len(people) // SHARE_ASIDE]
    return {people[index] for index in chosen}


def _aside(folder: Path, trained: Sequence[Any]) -> tuple[Photo, ...]:
    found = find_photos(folder)
    told = {
        (int(one["set_aside"]), int(one["seed"])) for one in trained if isinstance(one, dict) and "set_aside" in one
    }
    if len(told) > 1:
        raise ConfigError("--aside: the models were trained with other people set aside each; compare them one by one")
    if told:
        [(count, seed)] = told
        untrained = chosen_aside(sorted({photo.person for photo in found}), count, seed)
        found = [photo for photo in found if photo.person in untrained]
    return tuple(found)


def _refuse_in_two(parts: Photos) -> None:
    groups = {"known": parts.known, "unknown": parts.unknown, "set aside": parts.aside}
    seen: dict[str, str] = {}
    for group, members in groups.items():
        for name in sorted({photo.person for photo in members}):
            before = seen.setdefault(plain_name(name), group)
            if before != group:
                raise InputError(f"{name} is {before} and {group}: take their photos out of one of the two folders")
