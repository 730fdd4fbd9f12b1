"""A picture in, detections out."""

from __future__ import annotations

import threading
import time

import numpy as np

from device.datatypes import Detection, Image
from device.errors import InputError
from device.inference.boxes import nms
from device.inference.heads import Candidates, YoloV8Heads
from device.inference.letterbox import Geometry, Letterbox
from device.inference.manifest import Bundle
from device.inference.tensors import Interpreter

MAX_DETECTIONS = 300
"""At most so many boxes a picture."""

MAX_CANDIDATES = 30_000
"""Only the best so many are compared with each other: it bounds the time that a very low threshold can take."""

DECODER = "yolov8-heads"


class Detector:
    """Finds objects with one bundle. Several threads may call it; they take turns at the interpreter."""

    last_invoke_s = 0.0
    """Seconds the network alone took, the last time."""

    def __init__(self, bundle: Bundle, interpreter: Interpreter, confidence: float | None = None) -> None:
        """Put the parts together.

        Args:
            bundle: of task `detect`.
            interpreter: of that bundle.
            confidence: lowest score of a detection, 0 to 1; None takes the bundle's own.
        Raises:
            InputError: the bundle is for another task, needs an unknown decoder, or doesn't fit its model file.
        """
        manifest = bundle.manifest
        if manifest.task != "detect":
            raise InputError(
                f"{bundle.path} is a bundle of task {manifest.task!r}; finding objects needs one of task 'detect'"
            )
        if manifest.output.decode != DECODER:
            raise InputError(
                f"{bundle.path} needs the decoder {manifest.output.decode!r}; this version knows {DECODER!r}"
            )
        padding = manifest.input.letterbox
        if padding is None:
            raise InputError(f"{bundle.path} has no input.letterbox; a detector's boxes cannot be mapped back without")
        self.confidence = manifest.threshold("confidence") if confidence is None else confidence
        self.labels = manifest.labels
        self._iou = manifest.threshold("iou")
        self._interpreter = interpreter
        self._decoder = YoloV8Heads(manifest, interpreter.outputs)
        self._letterbox = Letterbox(
            manifest.input.width, manifest.input.height, value=padding.value, center=padding.center
        )
        self._lock = threading.Lock()

    def detect(self, image: Image, *, confidence: float | None = None, multi_label: bool = False) -> list[Detection]:
        """Find objects.

        Args:
            image: HxWx3 uint8, RGB.
            confidence: lowest score, this once.
            multi_label: report every class of a box that reaches the threshold, not its best one only.
        Returns:
            At most 300, best first; boxes in pixels of the image, clipped to it.
        Raises:
            ValueError: `image` is something else.
        """
        lowest = self.confidence if confidence is None else confidence
        with self._lock:
            geometry = self._letterbox.put(image)
            self._interpreter.write(self._letterbox.square)
            started = time.perf_counter()
            heads = self._interpreter.invoke()
            self.last_invoke_s = time.perf_counter() - started
            found = self._decoder.decode(heads, lowest, multi_label=multi_label)
            del heads  # Views into the interpreter, which would refuse its next run.
        return self._select(found, geometry)

    def _select(self, found: Candidates, geometry: Geometry) -> list[Detection]:
        """Suppress duplicates and map the rest back to the picture."""
        if len(found.scores) > MAX_CANDIDATES:
            best = np.argpartition(-found.scores, MAX_CANDIDATES)[:MAX_CANDIDATES]
            found = Candidates(found.boxes[best], found.scores[best], found.class_ids[best])
        kept = nms(found.boxes, found.scores, found.class_ids, self._iou, MAX_DETECTIONS)
        boxes = geometry.to_frame(found.boxes[kept]).tolist()
        scores, class_ids = found.scores[kept].tolist(), found.class_ids[kept].tolist()
        return [
            Detection((x1, y1, x2, y2), score, class_id, self.labels[class_id])
            for (x1, y1, x2, y2), score, class_id in zip(boxes, scores, class_ids, strict=True)
            if x2 > x1 and y2 > y1  # A box that lay in the padding alone is no object of the picture.
        ]
