"""Tiles of sheets that are in more than one of the splits that were given."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from hashlib import blake2b

import numpy as np
import numpy.typing as npt

from export.datasets import Dataset, Sample
from export.datasets.duplicates import near_across
from export.datasets.samples import SPLITS
from export.datasets.sheets import Sheets
from training.data.findings import Finding, counted, share


def repeated_tiles(dataset: Dataset, *, allow_across: bool = False) -> Iterator[Finding]:
    """Tiles that are equal to the last bit are an error; those that only look the same are told.

    A benchmark is measured as it is: that some of CIFAR-10's test photos are in its training set, in another tone or
    cut, is known (Barz and Denzler, "Do We Train on Test Data?", 2020) and concerns everybody's figures alike.
    """
    given = [split for split in ("val", "test") if split not in dataset.made]
    training = [sample for split in SPLITS if split not in given for sample in dataset.splits[split]]
    sheets = Sheets()
    pictures = _pictures(sheets, training)
    homes = {_key(picture): index for index, picture in enumerate(pictures)}
    for split in given:
        own = _pictures(sheets, dataset.splits[split])
        names = [dataset.name(sample) for sample in dataset.splits[split]]
        equal = {index: homes[key] for index, key in enumerate(map(_key, own)) if key in homes}
        if equal:
            pairs = tuple(f"{dataset.name(training[there])} = {names[index]}" for index, there in equal.items())
            yield Finding(
                "duplicates across splits",
                len(pairs),
                f"{counted(len(pairs), 'tile is', 'tiles are')} in train and {split}, as {pairs[0]}; what is measured "
                "would be too good: say --allow-duplicates to train all the same",
                pairs,
                error=not allow_across,
            )
        near = [pair for pair in near_across(own, pictures) if pair[0] not in equal]
        if near:
            pairs = tuple(f"{dataset.name(training[there])} ~ {names[index]}" for index, there, _ in near)
            yield Finding(
                "near-duplicates across splits",
                len(pairs),
                f"{share(len(pairs), len(own))} tiles of {split} look like one of train, as {pairs[0]}: figures are "
                "better by as much at most",
                pairs,
            )


def _key(picture: npt.NDArray[np.uint8]) -> bytes:
    return blake2b(picture).digest()


def _pictures(sheets: Sheets, samples: Sequence[Sample]) -> npt.NDArray[np.uint8]:
    return np.stack([sheets.tile(sample.path, sample.tile or 0) for sample in samples])
