"""A picture in, the likeliest labels out."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from device.datatypes import Image
from device.errors import InputError
from device.inference.letterbox import Letterbox, centre_crop, stretch
from device.inference.manifest import Bundle, InputSpec
from device.inference.tensors import Interpreter, Tensor, TensorInfo

TOP = 5
"""So many labels are told, best first."""

DECODERS = ("logits", "probabilities")
"""What a classifier's output may be; logits go through a softmax."""


@dataclass(frozen=True, slots=True)
class Classification:
    """One label and how sure the network is of it, 0 to 1."""

    label: str
    confidence: float


class Classifier:
    """Names what a picture shows. Several threads may call it; they take turns at the interpreter."""

    def __init__(self, bundle: Bundle, interpreter: Interpreter) -> None:
        """Raises InputError where the bundle is for another task, needs an unknown decoder, or doesn't fit its file."""
        manifest = bundle.manifest
        if manifest.task != "classify":
            raise InputError(
                f"{bundle.path} is a bundle of task {manifest.task!r}; naming needs one of task 'classify'"
            )
        if manifest.output.decode not in DECODERS:
            known = " and ".join(DECODERS)
            raise InputError(f"{bundle.path} needs the decoder {manifest.output.decode!r}; this version knows {known}")
        self.labels = manifest.labels
        self._info = _scores_info(bundle, interpreter)
        self._softmax = manifest.output.decode == "logits"
        self._interpreter = interpreter
        self._fit = Fitting(manifest.input)
        self._lock = threading.Lock()

    def classify(self, image: Image) -> list[Classification]:
        """Name what a picture shows.

        Args:
            image: HxWx3 uint8, RGB.
        Returns:
            The five likeliest labels (all, where there are fewer), best first.
        Raises:
            ValueError: `image` is something else.
        """
        probabilities = self.probabilities(image)
        best = np.argsort(-probabilities, kind="stable")[:TOP].tolist()
        return [Classification(self.labels[index], float(probabilities[index])) for index in best]

    def scores(self, image: Image) -> npt.NDArray[np.float64]:
        """The network's own number for each label, logits or probabilities; `image` as for `classify`."""
        with self._lock:
            self._interpreter.write(self._fit(image))
            output: Tensor = self._interpreter.invoke()[0]
            # A new array: the interpreter's own must not be held.
            return (output.reshape(-1).astype(np.float64) - self._info.zero_point) * self._info.scale

    def probabilities(self, image: Image) -> npt.NDArray[np.float64]:
        """One probability a label, in the order of `labels`; `image` as for `classify`."""
        return self.as_probabilities(self.scores(image))

    def as_probabilities(self, scores: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """What `scores` gave, of one picture [C] or several [N, C], as probabilities."""
        return softmax(scores) if self._softmax else scores


def softmax(logits: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Logits as probabilities, along the last axis."""
    weights = np.exp(logits - logits.max(axis=-1, keepdims=True))
    shares: npt.NDArray[np.float64] = weights / weights.sum(axis=-1, keepdims=True)
    return shares


class Fitting:
    """Brings pictures to the size a network takes, in the way its manifest says."""

    def __init__(self, spec: InputSpec) -> None:
        self._spec = spec
        padding = spec.letterbox
        self._letterbox = padding and Letterbox(spec.width, spec.height, value=padding.value, center=padding.center)

    def __call__(self, image: Image) -> Image:
        """A picture of the network's size (HxWx3 uint8). Raises ValueError unless `image` is HxWx3 uint8, not empty."""
        if self._letterbox:
            self._letterbox.put(image)
            return self._letterbox.square
        resize = centre_crop if self._spec.resize == "shorter-crop" else stretch
        return resize(image, self._spec.width, self._spec.height)


def as_row(path: str, ranked: Sequence[Classification]) -> dict[str, Any]:
    """The line that `sereno classify --json` prints for one picture."""
    top = [{"label": one.label, "confidence": round(one.confidence, 6)} for one in ranked]
    return {"path": path, **top[0], "top": top}


def _scores_info(bundle: Bundle, interpreter: Interpreter) -> TensorInfo:
    """The output that holds one score a label."""
    info = interpreter.outputs[0] if interpreter.outputs else TensorInfo((), np.dtype(np.float32))
    if int(np.prod(info.shape)) != len(bundle.manifest.labels) or not info.shape:
        raise InputError(
            f"{bundle.path} has {len(bundle.manifest.labels)} labels, and its model's output is {info.shape}; "
            "make it again with `make export`"
        )
    return info
