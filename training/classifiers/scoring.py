"""What a classifier says of a split: the device's own classifier on the file that it runs, or the network in Keras."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import numpy.typing as npt

from device.detection.classifier import Classifier
from device.inference.interpreter import open_interpreter
from device.inference.manifest import Bundle
from export.datasets import Dataset, Sample
from training.classifiers.pipeline import Photos
from training.progress import progress

TOP = 3


@dataclass(frozen=True, eq=False)
class Answers:
    """The classes named for each picture of a split, best first."""

    samples: tuple[Sample, ...]
    truth: npt.NDArray[np.int64]
    ranked: npt.NDArray[np.int64]
    """[N, up to 5] class ids."""
    confidence: npt.NDArray[np.float64]
    """Of the best class, 0 to 1."""

    def figures(self) -> dict[str, float]:
        """Top-1 and top-3 accuracy and macro F1, 0 to 1."""
        from sklearn.metrics import f1_score

        right = self.ranked == self.truth[:, None]
        return {
            "pictures": len(self.truth),
            "top1": float(right[:, 0].mean()),
            "top3": float(right[:, :TOP].any(1).mean()),
            "macro_f1": float(f1_score(self.truth, self.ranked[:, 0], average="macro", zero_division=0)),
        }

    def matrix(self, classes: int) -> npt.NDArray[np.int64]:
        """Confusion: row = true class, column = named class."""
        table = np.zeros((classes, classes), np.int64)
        np.add.at(table, (self.truth, self.ranked[:, 0]), 1)
        return table


def ask_network(model: keras.Model, photos: Photos, samples: tuple[Sample, ...]) -> Answers:
    """What the float network says of photos in memory."""
    logits = np.concatenate([np.asarray(model(pixels, training=False)) for pixels in photos.fitted_batches()])
    shares = np.exp(logits.astype(np.float64) - logits.max(1, keepdims=True))
    shares /= shares.sum(1, keepdims=True)
    ranked = np.argsort(-shares, axis=1, kind="stable")[:, :5]
    return Answers(samples, photos.labels, ranked, shares.max(1))


def ask_bundle(bundle: Bundle, dataset: Dataset, split: str) -> Answers:
    """What the device says with a bundle's file, picture by picture."""
    classifier = Classifier(bundle, open_interpreter(bundle))
    places = {label: index for index, label in enumerate(classifier.labels)}
    samples = dataset.splits[split]
    answers: list[Any] = [
        classifier.classify(dataset.read(sample)) for sample in progress(samples, f"{split}, on the file", unit="photo")
    ]
    return Answers(
        samples,
        np.array([sample.label for sample in samples], np.int64),
        np.array([[places[answer.label] for answer in ranked] for ranked in answers], np.int64),
        np.array([ranked[0].confidence for ranked in answers]),
    )
