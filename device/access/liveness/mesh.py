"""MediaPipe's face mesh: 468 points of one face, in space.

Kartynnik et al. 2019, arXiv:1907.06724. Only the points where the face's outline meets the ears are used: they say
which way it looks. (Lids were tried for a blink: this network draws them open, whether they are or not.)
"""

from __future__ import annotations

import math
import threading

import cv2
import numpy as np
import numpy.typing as npt

from device.access.alignment import FloatArray
from device.datatypes import Face, Image
from device.errors import InputError
from device.inference.manifest import Bundle
from device.inference.tensors import Interpreter

POINTS = 468
ROOM = 1.5
"""Side of the crop over that of the face: MediaPipe's own."""
PRESENT = 0.5
"""Probability from which on there is a face at all."""

RIGHT_CHEEK, LEFT_CHEEK = 234, 454
"""Where the face's outline meets the ears; the person's right comes first."""


class FaceMesh:
    """The network. Several threads may call it; they take turns."""

    def __init__(self, bundle: Bundle, interpreter: Interpreter) -> None:
        """Put the parts together.

        Args:
            bundle: of task `liveness` and decoder `face-mesh`.
            interpreter: of that bundle.
        Raises:
            InputError: it is another bundle.
        """
        manifest = bundle.manifest
        if manifest.task != "liveness" or manifest.output.decode != "face-mesh":
            raise InputError(
                f"{bundle.path} is a bundle of task {manifest.task!r} and decoder {manifest.output.decode!r}; "
                "following heads needs task 'liveness' and decoder 'face-mesh'"
            )
        sizes = tuple(math.prod(output.shape) for output in interpreter.outputs)
        if sizes != (POINTS * 3, 1):
            raise InputError(f"{bundle.path} gives {sizes} numbers; a face mesh gives {(POINTS * 3, 1)}")
        self.name = bundle.name
        self._size = manifest.input.width
        self._interpreter = interpreter
        self._lock = threading.Lock()

    def yaw(self, image: Image, face: Face) -> float | None:
        """Where a face looks, in degrees to the right of the picture.

        From the depth of both sides of the face: a flat picture that is turned keeps what it shows.

        Args:
            image: HxWx3 uint8 RGB: the whole picture.
            face: where it is in it.
        Returns:
            None where the network sees no face there.
        """
        points = self.points(image, face)
        if points is None:
            return None
        x, _, z = (points[LEFT_CHEEK] - points[RIGHT_CHEEK]).tolist()
        return math.degrees(math.atan2(z, max(x, 1e-6)))

    def points(self, image: Image, face: Face) -> FloatArray | None:
        """468x3 float32: pixels of the network's upright crop, depth in the same unit, nearer is less; or None."""
        square = cv2.warpAffine(
            image, self._crop(face), (self._size, self._size), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
        )
        with self._lock:
            self._interpreter.write(np.asarray(square, np.uint8))
            raw, flag = self._interpreter.invoke()
            points = raw.reshape(POINTS, 3).astype(np.float32)
            logit = float(flag.reshape(-1)[0])
            del raw, flag
        return points if 1 / (1 + math.exp(-max(min(logit, 50.0), -50.0))) > PRESENT else None

    def _crop(self, face: Face) -> npt.NDArray[np.float64]:
        """From the picture to the crop: the eyes level, the face in the middle."""
        x1, y1, x2, y2 = face.xyxy
        (right_x, right_y), (left_x, left_y) = face.landmarks[0].tolist(), face.landmarks[1].tolist()
        roll_deg = math.degrees(math.atan2(left_y - right_y, left_x - right_x))
        scale = self._size / (max(x2 - x1, y2 - y1) * ROOM)
        middle = (x1 + x2) / 2, (y1 + y2) / 2
        matrix = cv2.getRotationMatrix2D(middle, roll_deg, scale)
        matrix[:, 2] += self._size / 2 - np.array(middle)
        return np.asarray(matrix, np.float64)
