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
) -> dict[str, list[int]]:
    """Deal groups of samples out to splits.

    A class is dealt on its own, by the seed and its name: adding a class moves nothing of the others. Each split gets
    its share of each class to the nearest photo, and one at least where there are enough groups; the first split, which
    takes the rest, goes short before none. A group has the class of its first member.

    Args:
        members: groups of indices of samples that stay together.
        labels: the class of each sample.
        names: of the classes.
        fractions: of the splits; the first takes what the others leave.
    Returns:
        The sorted indices of each split.
    """
    first, *others = fractions
    total = sum(fractions.values())
    found: dict[str, list[int]] = {name: [] for name in fractions}
    for label, name in enumerate(names):
        own = [group for group in members if labels[group[0]] == label]
        count = sum(len(group) for group in own)
        order = np.random.default_rng((seed, zlib.crc32(name.encode()))).permutation(len(own))
        waiting = [own[index] for index in order]
        for split in others:
            quota = max(1, round(count * fractions[split] / total))
            taken = _take(waiting, quota, keep=1)
            found[split].extend(index for group in taken for index in group)
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
