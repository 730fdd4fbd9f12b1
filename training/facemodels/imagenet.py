"""The naive way: what a network that knows a thousand kinds of things makes of a face."""

from __future__ import annotations

import contextlib

import cv2
import keras
import numpy as np
import tensorflow as tf

from export.face_scores import Array
from training.classifiers.backbones import BACKBONES, build_classifier
from training.facemodels.models import IMAGENET, FaceModel, Faces

BATCH = 32


def one_thread() -> None:
    """Let TensorFlow take one thread, where it has not begun with more."""
    with contextlib.suppress(RuntimeError):
        tf.config.threading.set_intra_op_parallelism_threads(1)
        tf.config.threading.set_inter_op_parallelism_threads(1)


class ImageNetModel(FaceModel):
    """MobileNetV2 as it learnt ImageNet: the mean over its last map."""

    name = IMAGENET
    about = "fp32, Keras, 224 px"

    def __init__(self) -> None:
        """Build it. Raises InputError where the weights cannot be had."""
        one_thread()
        backbone = BACKBONES["mobilenetv2"]
        self._side = backbone.size
        whole = build_classifier("mobilenetv2", self._side, 2)
        self._model = keras.Model(whole.input, whole.get_layer("embedding").output)
        self._answer = tf.function(
            lambda pixels: self._model(pixels, training=False), reduce_retracing=True, autograph=False
        )
        self.key = f"{backbone.file} {self._side}"

    def embed(self, faces: Faces) -> Array:
        """See `FaceModel.embed`."""
        parts = [self._part(faces[start : start + BATCH]) for start in range(0, len(faces), BATCH)]
        return np.concatenate(parts).astype(np.float64)

    def _part(self, faces: Faces) -> Array:
        large = np.stack([cv2.resize(face, (self._side, self._side)) for face in faces]).astype(np.float32)
        return np.asarray(self._answer(tf.constant(large)))

    @property
    def bytes(self) -> int:
        """Of the weights, less the last layer."""
        return 4 * int(self._model.count_params())
