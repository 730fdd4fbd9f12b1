"""Splits by a seed: each class in the same proportions, and what belongs together on one side."""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence

import numpy as np


def split_groups(
    members: Sequence[Sequence[int]],
    labels: Sequence[int],
    names: Sequence[str],
    fractions: Mapping[str, float],
    *,
    seed: int,
    least: int = 1,
) -> dict[str, list[int]]:
    """Deal groups of samples out to splits.

    A class is dealt on its own, by the seed and its name: adding a class moves nothing of the others. Each split gets
    its share of each class to the nearest photo, and `least` at least where there are enough groups; the first split
    takes the rest, and of each class one group at least. A group has the class of its first member.

    With `least` 0 what rounding leaves of one class is made up by the next, so that many small classes do not all give
    a photo to each split: the shares of the whole are kept, and those of a class within one photo.

    Args:
        members: groups of indices of samples that stay together.
        labels: the class of each sample.
        names: of the classes.
        fractions: of the splits; the first takes what the others leave, and one of 0 stays empty.
        seed: of the order in which groups are dealt.
        least: photos of each class in each split.
    Returns:
        The sorted indices of each split.
    """
    first, *others = fractions
    total = sum(fractions.values())
    found: dict[str, list[int]] = {name: [] for name in fractions}
    owed = dict.fromkeys(others, 0.0)
    for label, name in enumerate(names):
        own = [group for group in members if labels[group[0]] == label]
        count = sum(len(group) for group in own)
        order = np.random.default_rng((seed, zlib.crc32(name.encode()))).permutation(len(own))
        waiting = [own[index] for index in order]
        for split in others:
            share = count * fractions[split] / total
            owed[split] += share
            quota = max(least, round(share)) if least else round(owed[split])
            taken = _take(waiting, quota if share else 0, keep=1)
            found[split].extend(index for group in taken for index in group)
            owed[split] -= sum(len(group) for group in taken)
        found[first].extend(index for group in waiting for index in group)
    return {split: sorted(indices) for split, indices in found.items()}


def _take(waiting: list[Sequence[int]], quota: int, keep: int) -> list[Sequence[int]]:
    """Remove groups of up to `quota` samples from those waiting, in their order, but leave `keep` groups."""
    taken: list[Sequence[int]] = []
    for group in list(waiting):
        if len(waiting) <= keep or quota <= 0:
            break
        if len(group) <= quota:
            waiting.remove(group)
            taken.append(group)
            quota -= len(group)
    return taken
