"""Pictures on their way into training: read once, kept small in memory, augmented anew in each epoch.

Everything random is drawn from (seed, epoch) alone: an epoch that is begun again gives the same batches.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import cv2
import numpy as np
import numpy.typing as npt

from device.datatypes import Image
from device.detection.classifier import Fitting
from device.errors import InputError
from device.inference.manifest import InputSpec
from export.datasets import Dataset
from training.classifiers.augmentation import Augmentation, augment, augment_batch
from training.progress import progress

Floats = npt.NDArray[np.float32]
Labels = npt.NDArray[np.int64]
Batch = tuple[Floats, Floats, Floats]
"""Inputs, targets [N, classes] and sample weights [N], all float32."""

MIXING_EPOCH = 1 << 30
"""Added to an epoch's number for draws that are not of one picture: they share no stream with its augmentation."""


class Source(Protocol):
    """Where an epoch's batches come from."""

    @property
    def steps(self) -> int:
        """Batches an epoch."""

    def epoch(self, number: int) -> Iterator[Batch]:
        """The batches of epoch `number`, from 0: the same each time."""


@dataclass(frozen=True)
class Frame:
    """How pictures are brought to the network's input, in the manifest's words."""

    size: int
    resize: str

    @property
    def fitting(self) -> Fitting:
        """The device's own."""
        return Fitting(InputSpec(width=self.size, height=self.size, resize=self.resize))  # type: ignore[arg-type]

    def reduced(self, image: Image) -> Image:
        """What augmentation starts from: all of the picture, its shorter side at most `size` (stretch: as fitted)."""
        height, width = image.shape[:2]
        shorter = min(height, width)
        if self.resize == "stretch":
            return image if max(height, width) <= self.size and height == width else self.fitting(image)
        if shorter <= self.size:
            return image
        scale = self.size / shorter
        return cv2.resize(
            image,
            (max(self.size, round(width * scale)), max(self.size, round(height * scale))),
            interpolation=cv2.INTER_AREA,
        ).astype(np.uint8, copy=False)


@dataclass(frozen=True, eq=False)
class Photos:
    """One split in memory: pictures of any shape, HxWx3 uint8, and their labels."""

    images: Sequence[Image]
    labels: Labels
    frame: Frame

    def __len__(self) -> int:
        return len(self.labels)

    def fitted(self, indices: Sequence[int] | npt.NDArray[np.int64]) -> npt.NDArray[np.uint8]:
        """[N, size, size, 3] uint8, exactly as the device would see them."""
        fit = self.frame.fitting
        return np.stack([fit(self.images[index]) for index in indices])

    def fitted_batches(self, batch: int = 64) -> Iterator[Floats]:
        """All pictures in order, fitted, as float32 pixels 0 to 255."""
        for start in range(0, len(self), batch):
            yield self.fitted(range(start, min(start + batch, len(self)))).astype(np.float32)


def load_photos(dataset: Dataset, split: str, frame: Frame, *, exact: bool) -> Photos:
    """Read a split into memory.

    Args:
        dataset: where they are.
        split: train, val or test.
        frame: of the network's input.
        exact: keep them fitted by the device's way (val, test); else as augmentation wants them (train).
    Raises:
        InputError: the split is empty, or a file has gone.
    """
    samples = dataset.splits[split]
    if not samples:
        raise InputError(f"{dataset.root} has no photos for {split}: too few to cut a {split} part from them")
    fit = frame.fitting
    images = []
    for sample in progress(samples, f"reading {split}", unit="photo"):
        image = dataset.read(sample)
        small = max(image.shape[:2]) <= frame.size
        images.append(image if small else fit(image).copy() if exact else frame.reduced(image))
    return Photos(images, np.array([sample.label for sample in samples], np.int64), frame)


@dataclass(frozen=True)
class Sampling:
    """How an epoch is made of the training part."""

    batch: int
    seed: int
    oversample: bool = False
    """Draw each class as often as the largest."""
    class_weights: bool = False
    """Weigh each class's loss by the inverse of its share."""

    def order(self, labels: Labels, epoch: int) -> npt.NDArray[np.int64]:
        """Indices in the order of an epoch; with `oversample` rare classes' photos come several times."""
        draw = np.random.Generator(np.random.Philox(key=(self.seed << 32) + MIXING_EPOCH + epoch))
        indices = np.arange(len(labels))
        if self.oversample:
            largest = int(np.bincount(labels).max())
            groups = [np.flatnonzero(labels == label) for label in np.unique(labels)]
            indices = np.concatenate([_repeated(group, largest, draw) for group in groups])
        return draw.permutation(indices)

    def steps(self, labels: Labels) -> int:
        """Batches an epoch."""
        counts = np.bincount(labels)
        total = int(counts.max()) * int((counts > 0).sum()) if self.oversample else len(labels)
        return math.ceil(total / self.batch)

    def weights(self, labels: Labels) -> Floats:
        """One weight a sample: with `class_weights` n / (classes * n of its class), as scikit-learn's "balanced"."""
        if not self.class_weights:
            return np.ones(len(labels), np.float32)
        counts = np.bincount(labels)
        return (len(labels) / ((counts > 0).sum() * counts[labels])).astype(np.float32)


def _repeated(group: npt.NDArray[np.int64], count: int, draw: np.random.Generator) -> npt.NDArray[np.int64]:
    """Each of `group` as often as goes, and a random choice for the rest."""
    whole, rest = divmod(count, len(group))
    return np.concatenate([np.tile(group, whole), draw.choice(group, rest, replace=False)])


@dataclass(frozen=True, eq=False)
class AugmentedPhotos:
    """A source of photos, augmented anew in each epoch."""

    photos: Photos
    targets: Floats
    techniques: Augmentation
    sampling: Sampling
    first_epoch: int = 0
    """Added to an epoch's number: stages that follow one another should not see the same pictures."""

    @property
    def steps(self) -> int:
        """Batches an epoch."""
        return self.sampling.steps(self.photos.labels)

    def epoch(self, number: int) -> Iterator[Batch]:
        """[N, size, size, 3] pixels 0 to 255, in batches of nearly one size."""
        labels = self.photos.labels
        weights = self.sampling.weights(labels)
        for indices in np.array_split(self.sampling.order(labels, number), self.steps):
            pixels, targets = augment_batch(
                [self.photos.images[index] for index in indices],
                self.targets[indices],
                self.techniques,
                size=self.photos.frame.size,
                seed=self.sampling.seed,
                epoch=self.first_epoch + number,
                indices=indices.tolist(),
            )
            yield pixels, targets, weights[indices]


@dataclass(frozen=True, eq=False)
class CachedFeatures:
    """A source of activations that were computed once for several variants of each photo; each epoch draws one."""

    features: npt.NDArray[Any]
    """[variants, N, …], float16 or float32."""
    labels: Labels
    targets: Floats
    sampling: Sampling

    @property
    def steps(self) -> int:
        """Batches an epoch."""
        return self.sampling.steps(self.labels)

    def epoch(self, number: int) -> Iterator[Batch]:
        """One variant of each photo, drawn anew, in batches of nearly one size."""
        key = (self.sampling.seed << 32) + MIXING_EPOCH + number
        variants = np.random.Generator(np.random.Philox(key=key, counter=1 << 64)).integers(
            0, len(self.features), len(self.labels)
        )
        weights = self.sampling.weights(self.labels)
        for indices in np.array_split(self.sampling.order(self.labels, number), self.steps):
            chosen = self.features[variants[indices], indices].astype(np.float32)
            yield chosen, self.targets[indices], weights[indices]


def variant_batches(
    photos: Photos, variant: int, techniques: Augmentation, seed: int, batch: int = 64
) -> Iterator[Floats]:
    """All photos in order: variant 0 as the device sees them, 1 mirrored (where mirroring is on), others augmented."""
    for start in range(0, len(photos), batch):
        indices = range(start, min(start + batch, len(photos)))
        if variant == 0 or (variant == 1 and techniques.flip):
            pixels = photos.fitted(indices)
            yield (pixels[:, :, ::-1] if variant else pixels).astype(np.float32)
            continue
        size = photos.frame.size
        yield np.stack(
            [
                augment(photos.images[index], techniques, size=size, seed=seed, epoch=variant, index=index)
                for index in indices
            ]
        ).astype(np.float32)


def one_hot(labels: Labels, classes: int) -> Floats:
    """[N] -> [N, classes]."""
    return np.eye(classes, dtype=np.float32)[labels]
