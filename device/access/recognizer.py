"""An aligned face in, an embedding out; and how alike two embeddings are."""

from __future__ import annotations

import threading
import time

import numpy as np
import numpy.typing as npt

from device.access.alignment import SIDE
from device.datatypes import Image
from device.errors import InputError
from device.inference.manifest import Bundle
from device.inference.tensors import Interpreter

DECODER = "embedding"

Embedding = npt.NDArray[np.float32]
"""1-d, unit length: the dot product of two is their cosine similarity."""


class Recognizer:
    """Embeds faces with one bundle. Several threads may call it; they take turns at the interpreter."""

    last_invoke_s = 0.0
    """Seconds the network alone took, the last time."""

    def __init__(self, bundle: Bundle, interpreter: Interpreter) -> None:
        """Raises InputError where the bundle is for another task, needs an unknown decoder, or doesn't fit its file."""
        manifest = bundle.manifest
        if manifest.task != "embed":
            raise InputError(
                f"{bundle.path} is a bundle of task {manifest.task!r}; comparing faces needs one of task 'embed'"
            )
        if manifest.output.decode != DECODER:
            raise InputError(
                f"{bundle.path} needs the decoder {manifest.output.decode!r}; this version knows {DECODER!r}"
            )
        if (manifest.input.width, manifest.input.height) != (SIDE, SIDE):
            raise InputError(
                f"{bundle.path} takes {manifest.input.width}x{manifest.input.height} pixels; "
                f"faces are aligned to {SIDE}x{SIDE}"
            )
        shapes = [info.shape for info in interpreter.outputs]
        if len(shapes) != 1 or len(shapes[0]) != 2 or shapes[0][0] != 1:
            raise InputError(f"{bundle.path} has outputs {shapes}; an embedder has one of shape (1, n)")
        self.name = bundle.name
        self.size = shapes[0][1]
        """Numbers in an embedding."""
        self.model_sha256 = manifest.files[0].sha256
        """What templates are bound to. Of a bundle with several files the first counts: they are one export."""
        self._bundle = bundle
        self._interpreter = interpreter
        self._lock = threading.Lock()

    def embed(self, face: Image, *, mirrored: bool = False) -> Embedding:
        """What the network makes of a face.

        Args:
            face: 112x112x3 uint8, RGB, from `alignment.align`.
            mirrored: look at its mirror image, too, and take the mean of both: twice the time, a little more certain.
        Returns:
            `size` float32, unit length.
        Raises:
            ValueError: `face` is something else.
            InputError: the network answers with nothing but zeros, so its file is not what the manifest says.
        """
        if face.shape != (SIDE, SIDE, 3) or face.dtype != np.uint8:
            raise ValueError(f"an aligned face is {SIDE}x{SIDE}x3 uint8; this is {face.shape} {face.dtype}")
        with self._lock:
            embedding = self._embed(face)
            if mirrored:
                embedding = self._unit(embedding + self._embed(face[:, ::-1]))
        return embedding

    def threshold(self, target_fmr: float) -> float:
        """The lowest cosine similarity at which two faces count as one person's.

        Args:
            target_fmr: the rate of false matches that is borne: 1e-2 … 1e-5, whatever the bundle was measured for.
        Raises:
            InputError: the bundle has no threshold for it.
        """
        key = f"fmr_{target_fmr:.0e}".replace("e-0", "e-")
        try:
            return self._bundle.manifest.threshold(key)
        except ValueError:
            has = ", ".join(sorted(self._bundle.manifest.thresholds)) or "none"
            raise InputError(
                f"{self._bundle.path} has no usable threshold {key!r} (it has {has}); "
                "use a bundle whose export measured it"
            ) from None

    @property
    def thresholds(self) -> tuple[tuple[float, float], ...]:
        """What the bundle measured: (FMR, cosine similarity), the highest FMR first. Empty where it has none."""
        known = self._bundle.manifest.thresholds
        rates = sorted((float(key.removeprefix("fmr_")) for key in known if key.startswith("fmr_1e-")), reverse=True)
        return tuple((rate, self.threshold(rate)) for rate in rates)

    def _embed(self, face: Image) -> Embedding:
        self._interpreter.write(np.ascontiguousarray(face))
        started = time.perf_counter()
        [output] = self._interpreter.invoke()
        self.last_invoke_s = time.perf_counter() - started
        [info] = self._interpreter.outputs
        numbers = output[0].astype(np.float32)
        del output  # A view into the interpreter, which would refuse its next run.
        return self._unit((numbers - np.float32(info.zero_point)) * np.float32(info.scale))

    def _unit(self, vector: Embedding) -> Embedding:
        length = float(np.linalg.norm(vector))
        if not np.isfinite(length) or length < 1e-6:
            raise InputError(
                f"the model {self._bundle.path} answers {length:g} instead of an embedding; export it again"
            )
        return vector / np.float32(length)


def similarity(first: Embedding, second: Embedding) -> float:
    """Cosine similarity of two embeddings, -1 to 1."""
    return float(np.clip(np.dot(first, second), -1, 1))
