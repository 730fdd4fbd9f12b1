"""Who is trained on, who is set aside to choose by, and who only reports."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from device.errors import InputError
from export.datasets.folders import split_folders
from export.face_crops import Photo, find_photos

FEWEST = 8
"""People, below which nothing can be set aside."""


@dataclass(frozen=True)
class Faces:
    """The photos of a dataset by what they are for. `pairs`: LFW's list for the photos of `test`, if there is one."""

    train: tuple[Photo, ...]
    aside: tuple[Photo, ...]
    test: tuple[Photo, ...]
    pairs: Path | None


def open_faces(root: Path, set_aside: int, seed: int) -> Faces:
    """Find the people in a folder and set some aside; no person is in two parts.

    Args:
        root: a folder for each person; or train/ and test/ with such folders, and perhaps pairs.txt for test.
        set_aside: people of train, by seed, that are never trained on: thresholds and models are chosen by them.
    Raises:
        InputError: too few people, or someone is in train and in test.
    """
    folders = split_folders(root)
    found = find_photos(folders.get("train", root))
    test = find_photos(folders["test"]) if "test" in folders else []
    people = sorted({photo.person for photo in found})
    _refuse_straddling(people, sorted({photo.person for photo in test}))
    if len(people) < FEWEST:
        raise InputError(
            f"{folders.get('train', root)} holds {len(people)} people; {FEWEST} at least are needed to learn to tell "
            "them apart, two photos each"
        )
    aside = chosen_aside(people, set_aside, seed)
    pairs = root / "pairs.txt"
    return Faces(
        train=tuple(photo for photo in found if photo.person not in aside),
        aside=tuple(photo for photo in found if photo.person in aside),
        test=tuple(test),
        pairs=pairs if test and pairs.is_file() else None,
    )


def chosen_aside(people: Sequence[str], count: int, seed: int) -> frozenset[str]:
    """So many people by seed, a quarter of all at most."""
    ordered = sorted(people)
    order = np.random.default_rng(seed).permutation(len(ordered))
    return frozenset(ordered[index] for index in order[: min(count, len(ordered) // 4)])


def plain_name(name: str) -> str:
    """A name as others may write it: without accents, case, and signs between its parts."""
    letters = unicodedata.normalize("NFKD", name).casefold()
    return "".join(letter for letter in letters if letter.isalnum())


def _refuse_straddling(train: Sequence[str], test: Sequence[str]) -> None:
    known = {plain_name(name): name for name in train}
    both = [f"{known[plain_name(name)]} ({name})" for name in test if plain_name(name) in known]
    if both:
        raise InputError(
            f"{len(both)} people are in train and in test, beginning with {both[0]}: a test on people whom the network "
            "was trained on says nothing about others; remove their folder from one of the two"
        )
