"""Which photos a run learns from, which ones it chooses by, and which ones it only reports on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from export.labelled import LabelledPhoto, LabelledSet


@dataclass(frozen=True)
class Roles:
    """Photos by what they are for.

    `choose` picks the epoch whose weights are kept; without any, the last averaged weights are. `report` is looked at
    once, at the end, and its learning curve chooses nothing.
    """

    learn: Sequence[LabelledPhoto]
    choose: Sequence[LabelledPhoto]
    report: Sequence[LabelledPhoto]
    split: str
    """The name of what is reported on."""


def roles(dataset: LabelledSet, hold: float, seed: int) -> Roles:
    """Share a dataset out.

    With splits train, val and test, val chooses and test reports. With train and val only, val is the only held-out
    part and must not choose: then a share `hold` of train, cut by the seed, does, or none.
    """
    train, val, test = (dataset.splits.get(split, ()) for split in ("train", "val", "test"))
    if test:
        return Roles(train, val, test, "test")
    order = np.random.default_rng(seed).permutation(len(train))
    cut = round(len(train) * hold)
    held, kept = sorted(order[:cut]), sorted(order[cut:])
    return Roles([train[i] for i in kept], [train[i] for i in held], val, "val")
