"""A picture in, faces with five landmarks out."""

from __future__ import annotations

import threading
import time

import numpy as np

from device.access.alignment import TEMPLATES, FloatArray
from device.access.face_heads import FaceCandidates, face_heads
from device.datatypes import Face, Image
from device.errors import InputError
from device.inference.letterbox import Geometry, Letterbox
from device.inference.manifest import Bundle
from device.inference.tensors import Interpreter


class FaceDetector:
    """Finds faces with one bundle. Several threads may call it; they take turns at the interpreter."""

    last_invoke_s = 0.0
    """Seconds the network alone took, the last time."""

    def __init__(self, bundle: Bundle, interpreter: Interpreter, confidence: float | None = None) -> None:
        """Put the parts together.

        Args:
            bundle: of task `face-detect`.
            interpreter: of that bundle.
            confidence: lowest score of a face, 0 to 1; None takes the bundle's own.
        Raises:
            InputError: the bundle is for another task, needs an unknown decoder, or doesn't fit its model file.
        """
        manifest = bundle.manifest
        if manifest.task != "face-detect":
            raise InputError(
                f"{bundle.path} is a bundle of task {manifest.task!r}; finding faces needs one of task 'face-detect'"
            )
        padding = manifest.input.letterbox
        if padding is None:
            raise InputError(f"{bundle.path} has no input.letterbox; faces cannot be mapped back without")
        self._heads = face_heads(manifest, interpreter.outputs)
        self.template: FloatArray = TEMPLATES[manifest.output.decode]
        """Where `align` shall put this detector's landmarks: 5x2."""
        self.confidence = manifest.threshold("confidence") if confidence is None else confidence
        self._overlap = manifest.threshold("iou")
        self._interpreter = interpreter
        self._letterbox = Letterbox(
            manifest.input.width, manifest.input.height, value=padding.value, center=padding.center
        )
        self._lock = threading.Lock()

    def detect(self, image: Image, *, confidence: float | None = None) -> list[Face]:
        """Find faces.

        Args:
            image: HxWx3 uint8, RGB.
            confidence: lowest score, this once.
        Returns:
            The largest first. Boxes are clipped to the picture; landmarks may lie beyond its edge.
        Raises:
            ValueError: `image` is something else.
        """
        lowest = self.confidence if confidence is None else confidence
        with self._lock:
            geometry = self._letterbox.put(image)
            self._interpreter.write(self._letterbox.square)
            started = time.perf_counter()
            outputs = self._interpreter.invoke()
            self.last_invoke_s = time.perf_counter() - started
            found = self._heads.decode(outputs, lowest, self._overlap)
            del outputs  # Views into the interpreter, which would refuse its next run.
        return _faces(found, geometry)


def _faces(found: FaceCandidates, geometry: Geometry) -> list[Face]:
    """Map back to the picture, and order by size."""
    boxes = geometry.to_frame(found.boxes)
    corner = np.array([geometry.left, geometry.top], np.float32)
    landmarks = (found.landmarks - corner) / np.float32(geometry.scale)
    faces = [
        Face((x1, y1, x2, y2), score, points)
        for (x1, y1, x2, y2), score, points in zip(boxes.tolist(), found.scores.tolist(), landmarks, strict=True)
        if x2 > x1 and y2 > y1  # A box that lay in the padding alone is no face of the picture.
    ]
    return sorted(faces, key=_area, reverse=True)


def _area(face: Face) -> float:
    x1, y1, x2, y2 = face.xyxy
    return (x2 - x1) * (y2 - y1)
