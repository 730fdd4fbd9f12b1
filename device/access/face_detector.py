"""A picture in, faces with five landmarks out."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np

from device.access.alignment import TEMPLATES, FloatArray
from device.access.face_heads import FaceCandidates, face_heads
from device.access.near import NearSquare
from device.datatypes import Box, Face, Image
from device.errors import InputError
from device.inference.boxes import nms
from device.inference.letterbox import Letterbox, require_picture
from device.inference.manifest import Bundle
from device.inference.tensors import Interpreter

BEST_SIZE = (0.5, 0.95)
"""Longer side of a face over that of the network's input between which landmarks are exact. Of 4,438 pairs of photos of
LFW's training people MobileFaceNet matched 94.5 % at FMR 1e-4 where YuNet had seen the faces in 160x160 pixels, 96.9 %
in 320x320, 95.8 % in 640x640: it is at home at about 250 pixels."""
UPRIGHT_DEG = 8.0
"""Up to so much the line of the eyes may lean."""
MOST_FURTHER_DEG = 30.0
"""A face may have leant by so much more, or less, in the frame before than it seems to lean at first sight."""
MOST_LOOKS = 5
"""At one face."""
MOST_NEAR = 8
"""Only so many of the largest faces are looked at again."""
TILE_LEVELS = 2
"""A thorough search halves the side of its tiles so often."""
TILE_OVERLAP = 0.25


@dataclass(frozen=True, slots=True)
class _View:
    """The part of a picture that the network is shown, in pixels."""

    left: int
    top: int
    right: int
    bottom: int

    @property
    def side(self) -> int:
        return max(self.right - self.left, self.bottom - self.top)


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
        self.name = bundle.name
        self.template: FloatArray = TEMPLATES[manifest.output.decode]
        """Where `align` shall put this detector's landmarks: 5x2."""
        self.confidence = manifest.threshold("confidence") if confidence is None else confidence
        self.clear = manifest.threshold("clear") if "clear" in manifest.thresholds else self.confidence
        """Score from which on a face is seen clearly, as `quality.Limits.confidence` wants it."""
        self._overlap = manifest.threshold("iou")
        self._interpreter = interpreter
        self._side = max(manifest.input.width, manifest.input.height)
        self._letterbox = Letterbox(
            manifest.input.width, manifest.input.height, value=padding.value, center=padding.center
        )
        self._near = NearSquare(manifest.input.width, manifest.input.height)
        self._lock = threading.Lock()

    def detect(
        self,
        image: Image,
        *,
        confidence: float | None = None,
        thorough: bool = False,
        before: Sequence[Face] = (),
    ) -> list[Face]:
        """Find faces. Large, small and leaning ones are looked at again, from where landmarks are exact.

        Args:
            image: HxWx3 uint8, RGB.
            confidence: lowest score, this once.
            thorough: search parts of the picture, too, for faces that are too small in the whole: down to about a
                hundredth of its longer side. Takes some thirty times as long for a large photo.
            before: of a video, the faces of the frame before: one that leant there is looked at turned at once.
        Returns:
            The largest first. Boxes are clipped to the picture; landmarks may lie beyond its edge.
        Raises:
            ValueError: `image` is something else.
        """
        require_picture(image)
        lowest = self.confidence if confidence is None else confidence
        with self._lock:
            self.last_invoke_s = 0.0
            found = self._search(image, lowest, thorough)
            found.sort(key=lambda face: -_area(face.xyxy))
            if thorough:
                # Among thousands of small patches some look like a face: from near they don't.
                return [near for face in found if (near := self._nearer(image, face, lowest))]
            near_ones = [self._nearer(image, face, lowest, _lean(face, before)) or face for face in found[:MOST_NEAR]]
            return near_ones + found[MOST_NEAR:]

    def _search(self, image: Image, confidence: float, thorough: bool) -> list[Face]:
        """Faces of the whole picture and, if thorough, of its parts; those seen twice only once."""
        height, width = image.shape[:2]
        faces = self._look(image, _View(0, 0, width, height), confidence)
        if not thorough:
            return faces
        for view in _tiles(width, height, self._side):
            small = self._look(image, view, confidence)
            faces += [face for face in small if _longer(face.xyxy) < view.side / 2 and _whole(face.xyxy, view, image)]
        return _once(faces, self._overlap)

    def _nearer(self, image: Image, face: Face, confidence: float, lean_deg: float | None = None) -> Face | None:
        """The same face with exact landmarks: looked at again at the best size and, if it leans, upright.

        A face that leans by 30 degrees is found, but YuNet sets its landmarks as if it leant by ten: each look from
        where it seems upright brings it nearer to being so. `lean_deg` is where the first look is taken from, where
        that is known.
        """
        height, width = image.shape[:2]
        sized = BEST_SIZE[0] <= _longer(face.xyxy) / max(width, height) <= BEST_SIZE[1]
        level_deg = 0.0
        for _ in range(MOST_LOOKS):
            roll_deg = _roll_deg(face.landmarks)
            if sized and abs(roll_deg - level_deg) <= UPRIGHT_DEG:
                break
            known_deg, lean_deg = lean_deg, None
            roll_deg = roll_deg if known_deg is None else known_deg
            landmarks = self._look_level(image, face, roll_deg, confidence)
            if landmarks is None and known_deg is None:
                return face if sized else None
            if landmarks is None:
                continue
            face, sized, level_deg = replace(face, landmarks=landmarks), True, roll_deg
        return face

    def _look_level(self, image: Image, face: Face, roll_deg: float, confidence: float) -> FloatArray | None:
        """Landmarks of a face (5x2, pixels of the picture) seen at the best size with the picture turned by its roll;
        None where it is not found again."""
        matrix = self._near.matrix(face.xyxy, roll_deg)
        square = self._near.cut(image, matrix)
        found = self._run(square, confidence)
        height, width = square.shape[:2]
        x1, y1, x2, y2 = found.boxes.T
        # A box that lies beyond the square's edges is none of it.
        points = found.landmarks[(x2 > 0) & (y2 > 0) & (x1 < width) & (y1 < height) & (x2 > x1) & (y2 > y1)]
        if not len(points):
            return None
        inverse = cv2.invertAffineTransform(matrix)
        seen = (points @ inverse[:, :2].T + inverse[:, 2]).astype(np.float32)
        away = (seen.mean(axis=1) - face.landmarks.mean(axis=0)).tolist()
        distances = [math.hypot(x, y) for x, y in away]
        nearest = distances.index(min(distances))
        return seen[nearest] if distances[nearest] < _longer(face.xyxy) / 3 else None

    def _look(self, image: Image, view: _View, confidence: float) -> list[Face]:
        """Faces of one part of the picture, in pixels of the whole."""
        geometry = self._letterbox.put(image[view.top : view.bottom, view.left : view.right])
        found = self._run(self._letterbox.square, confidence)
        if not len(found.scores):
            return []
        boxes = geometry.to_frame(found.boxes) + np.array([view.left, view.top, view.left, view.top], np.float32)
        padding = np.array([geometry.left, geometry.top], np.float32)
        corner = np.array([view.left, view.top], np.float32)
        landmarks = (found.landmarks - padding) / np.float32(geometry.scale) + corner
        return [
            Face((x1, y1, x2, y2), score, points)
            for (x1, y1, x2, y2), score, points in zip(boxes.tolist(), found.scores.tolist(), landmarks, strict=True)
            if x2 > x1 and y2 > y1  # A box that lay in the padding alone is no face of the picture.
        ]

    def _run(self, square: Image, confidence: float) -> FaceCandidates:
        """What the network finds in its input."""
        self._interpreter.write(square)
        started = time.perf_counter()
        outputs = self._interpreter.invoke()
        self.last_invoke_s += time.perf_counter() - started
        # Nothing of `outputs` is kept: they are views into the interpreter, which would refuse its next run.
        return self._heads.decode(outputs, confidence, self._overlap)


def _tiles(width: int, height: int, smallest: int) -> Iterator[_View]:
    """Overlapping squares that cover the picture, of half its longer side and so on, none below `smallest` pixels."""
    for level in range(1, TILE_LEVELS + 1):
        side = math.ceil(max(width, height) / 2**level * (1 + TILE_OVERLAP))
        if side < smallest:
            return
        for top in _starts(height, side):
            for left in _starts(width, side):
                yield _View(left, top, min(width, left + side), min(height, top + side))


def _starts(length: int, side: int) -> Sequence[int]:
    """Where tiles of `side` begin along `length`, evenly spread, overlapping by a quarter at least."""
    if side >= length:
        return [0]
    count = math.ceil((length - side) / (side * (1 - TILE_OVERLAP))) + 1
    return [round(index * (length - side) / (count - 1)) for index in range(count)]


def _whole(box: Box, view: _View, image: Image) -> bool:
    """Whether a face lies clear of the tile's edges, or the edge is the picture's own."""
    height, width = image.shape[:2]
    x1, y1, x2, y2 = box
    room = 0.01 * view.side
    return (
        (x1 > view.left + room or view.left == 0)
        and (y1 > view.top + room or view.top == 0)
        and (x2 < view.right - room or view.right == width)
        and (y2 < view.bottom - room or view.bottom == height)
    )


def _once(faces: list[Face], overlap: float) -> list[Face]:
    """Of faces that overlap, the surest."""
    boxes = np.array([face.xyxy for face in faces], np.float32).reshape(-1, 4)
    scores = np.array([face.confidence for face in faces], np.float32)
    kept = nms(boxes, scores, np.zeros(len(faces), np.intp), overlap, len(faces))
    return [faces[index] for index in kept]


def _roll_deg(landmarks: FloatArray) -> float:
    """How far the line of the eyes leans, clockwise."""
    x, y = (landmarks[1] - landmarks[0]).tolist()
    return math.degrees(math.atan2(y, x))


def _lean(face: Face, before: Sequence[Face]) -> float | None:
    """How far a face leant in the frame before; None where it was not there, or seems to lean otherwise now."""
    there = [_roll_deg(other.landmarks) for other in before if _within(face.xyxy, other.xyxy)]
    seems_deg = _roll_deg(face.landmarks)
    return there[0] if len(there) == 1 and abs(there[0] - seems_deg) <= MOST_FURTHER_DEG else None


def _within(box: Box, other: Box) -> bool:
    """Whether the middle of one box lies in the other."""
    return other[0] < (box[0] + box[2]) / 2 < other[2] and other[1] < (box[1] + box[3]) / 2 < other[3]


def _longer(box: Box) -> float:
    return max(box[2] - box[0], box[3] - box[1])


def _area(box: Box) -> float:
    return (box[2] - box[0]) * (box[3] - box[1])
