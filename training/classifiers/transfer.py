"""Transfer learning: the last layer on frozen features, then the last layers of the backbone at a lower rate.

What is frozen gives the same activations in each epoch, so they are computed once: for several variants of each photo
(as it is, mirrored, augmented), of which each epoch draws one. The first stage learns from cached embeddings, the
second from cached activations at the boundary of what is fine-tuned, where these fit into memory; elsewhere, and where
all of the backbone is fine-tuned, photos are augmented anew in each epoch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import keras
import numpy as np
import tensorflow as tf

from training.classifiers.augmentation import Augmentation
from training.classifiers.fitting import Plan, Stages, Validation
from training.classifiers.pipeline import (
    AugmentedPhotos,
    CachedFeatures,
    Floats,
    Photos,
    Sampling,
    one_hot,
    variant_batches,
)
from training.interruption import Interruption
from training.progress import progress

FEATURES, FINE_TUNING = "features", "fine-tuning"


@dataclass(frozen=True)
class Method:
    """How a backbone is adapted."""

    features: Plan
    fine_tuning: Plan
    layers: int
    """How many of the last layers are fine-tuned; 0: none, -1: all."""
    variants: int
    """Variants of each photo that cached activations hold."""
    cache_bytes: int
    """Most that cached activations may take."""
    techniques: Augmentation
    sampling: Sampling
    fine_tuning_batch: int
    norms: bool = False
    """Whether BatchNorm is fine-tuned, too: its scales, shifts and statistics."""


@dataclass(frozen=True)
class Boundary:
    """Where the network is cut: everything up to `tensor` is frozen, and everything after it needs nothing else."""

    layer: str
    tensor: keras.KerasTensor


def train_transfer(model: keras.Model, train: Photos, val: Photos, method: Method, stages: Stages) -> None:
    """Both stages; the model is left with its best weights.

    Args:
        model: of `build_classifier`.
    Raises:
        InputError, Stopped: see `Stages.fit`.
    """
    say = stages.run.log.info
    targets = one_hot(train.labels, model.output_shape[1])
    embedding = model.get_layer("embedding").output
    boundary = find_boundary(model, method.layers) if method.layers > 0 else None
    if boundary and _cache_size(boundary, train, method.variants) > method.cache_bytes:
        say("activations at %s are too large to be kept: fine-tuning on the photos themselves", boundary.layer)
        boundary = None
    if method.techniques.mixup or method.techniques.cutmix:
        say("mixup and cutmix blend photos, which cached activations cannot: they act where photos are augmented anew")
    caching = Cache(model, boundary, [embedding], train, val, method, stages.interruption)
    if method.features.epochs and not stages.is_done(FEATURES):
        features, val_features = caching.embeddings()
        stages.fit(
            FEATURES,
            keras.Model(embedding, model.output, name="classifier"),
            method.features,
            CachedFeatures(features, train.labels, targets, method.sampling),
            Validation(lambda: [val_features], val.labels),
        )
    if method.layers == 0:
        return
    freeze(model, method.layers, norms=method.norms)
    sampling = replace(method.sampling, batch=method.fine_tuning_batch)
    if boundary:
        kept, val_kept = caching.activations()
        tail = keras.Model(boundary.tensor, model.output, name="tail")
        source = CachedFeatures(kept, train.labels, targets, sampling)
        stages.fit(FINE_TUNING, tail, method.fine_tuning, source, Validation(lambda: _pieces(val_kept), val.labels))
        return
    photos = AugmentedPhotos(train, targets, method.techniques, sampling, first_epoch=method.variants)
    stages.fit(FINE_TUNING, model, method.fine_tuning, photos, Validation(val.fitted_batches, val.labels))


class Cache:
    """Activations of the frozen part, computed when they are first asked for."""

    def __init__(
        self,
        model: keras.Model,
        boundary: Boundary | None,
        outputs: list[keras.KerasTensor],
        train: Photos,
        val: Photos,
        method: Method,
        interruption: Interruption,
    ) -> None:
        self._interruption = interruption
        self._outputs = [boundary.tensor, *outputs] if boundary else outputs
        self._answer = _graph(keras.Model(model.input, self._outputs))
        self._train, self._val, self._method = train, val, method
        self._kept: list[tuple[np.ndarray, np.ndarray]] | None = None

    def embeddings(self) -> tuple[np.ndarray, np.ndarray]:
        """[variants, N, C] of train, [N, C] of val, float32. Only before anything of the backbone has learnt."""
        return self._computed()[-1]

    def activations(self) -> tuple[np.ndarray, np.ndarray]:
        """[variants, N, H, W, C] float16 of train, and [N, H, W, C] of val, at the boundary."""
        return self._computed()[0]

    def _computed(self) -> list[tuple[np.ndarray, np.ndarray]]:
        if self._kept is None:
            method = self._method
            train = [
                self._pass(
                    variant_batches(self._train, variant, method.techniques, method.sampling.seed),
                    f"variant {variant + 1} of {method.variants}",
                )
                for variant in range(method.variants)
            ]
            val = self._pass(self._val.fitted_batches(), "val")
            self._kept = [
                (np.stack([arrays[index] for arrays in train]), val[index]) for index in range(len(self._outputs))
            ]
        return self._kept

    def _pass(self, batches: Iterator[Floats], name: str) -> list[np.ndarray]:
        """One pass of the frozen part over photos: an array for each output."""
        parts = []
        for pixels in progress(batches, f"frozen features, {name}", unit="batch"):
            parts.append([_small(output.numpy()) for output in self._answer(tf.constant(pixels))])
            self._interruption.check()
        return [np.concatenate(arrays) for arrays in zip(*parts, strict=True)]


def _graph(model: keras.Model) -> Callable[[tf.Tensor], list[tf.Tensor]]:
    """The forward pass for batches of any length; a list also of a single output."""

    @tf.function(input_signature=[tf.TensorSpec(model.input_shape, tf.float32)], autograph=False)
    def answer(pixels: tf.Tensor) -> list[tf.Tensor]:
        return tf.nest.flatten(model(pixels, training=False))

    return answer


def _small(values: np.ndarray) -> np.ndarray:
    """Maps are kept as float16 (11 bits of precision, int8 has 8), embeddings as they are."""
    return values.astype(np.float16) if values.ndim > 2 else values


def _pieces(values: np.ndarray, size: int = 256) -> Iterator[Floats]:
    for start in range(0, len(values), size):
        yield values[start : start + size].astype(np.float32)


def freeze(model: keras.Model, layers: int, *, norms: bool = False) -> None:
    """Let only the last `layers` of the backbone (all: -1), and the classifier, learn.

    BatchNorm does with `norms` alone: on a few hundred photos its statistics would be worse than ImageNet's.
    """
    backbone = _backbone(model)
    first = 0 if layers < 0 else max(len(backbone) - layers, 0)
    for index, layer in enumerate(backbone):
        fixed = (isinstance(layer, keras.layers.BatchNormalization) and not norms) or layer.name == "normalise"
        layer.trainable = index >= first and not fixed


def find_boundary(model: keras.Model, layers: int) -> Boundary | None:
    """The last place before the last `layers` of the backbone where one tensor carries all that follows.

    None where that is the picture itself.
    """
    backbone = _backbone(model)
    first = len(backbone) - layers
    place = {layer.name: index for index, layer in enumerate(backbone)}
    reach = [0] * len(backbone)
    for index, layer in enumerate(model.layers):
        for tensor in _inputs(layer):
            source = place.get(tensor._keras_history.operation.name)
            if source is not None:
                reach[source] = max(reach[source], index)
    for index in range(min(first, len(backbone)) - 1, 0, -1):
        if all(reach[earlier] <= index for earlier in range(index)):
            return Boundary(backbone[index].name, backbone[index].output)
    return None


def _backbone(model: keras.Model) -> list[keras.Layer]:
    """Its layers in order, without the embedding and what follows."""
    names = [layer.name for layer in model.layers]
    return model.layers[: names.index("embedding")]


def _inputs(layer: keras.Layer) -> list[keras.KerasTensor]:
    if isinstance(layer, keras.layers.InputLayer):
        return []
    return layer.input if isinstance(layer.input, list) else [layer.input]


def _cache_size(boundary: Boundary, train: Photos, variants: int) -> int:
    return 2 * variants * len(train) * int(np.prod(boundary.tensor.shape[1:]))
