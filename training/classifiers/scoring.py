"""What a classifier says of a split: the device's own classifier on the file that it runs, or the network in Keras."""

from __future__ import annotations

import keras
import numpy as np

from device.detection.classifier import Classifier, softmax
from device.inference.interpreter import open_interpreter
from device.inference.manifest import Bundle
from export.classification import Answers
from export.classifier_verification import ask
from export.datasets import Dataset
from training.classifiers.pipeline import Photos
from training.progress import progress


def ask_network(model: keras.Model, photos: Photos) -> Answers:
    """What the float network says of photos in memory."""
    logits = np.concatenate([np.asarray(model(pixels, training=False)) for pixels in photos.fitted_batches()])
    scores = logits.astype(np.float64)
    return Answers(photos.labels, scores, softmax(scores))


def ask_bundle(bundle: Bundle, dataset: Dataset, split: str) -> Answers:
    """What the device says with a bundle's first file, picture by picture."""
    samples = dataset.splits[split]
    with progress(len(samples), f"{split}, on the file", unit="photo") as bar:
        return ask({"file": Classifier(bundle, open_interpreter(bundle))}, dataset, samples, bar.advance)["file"]
