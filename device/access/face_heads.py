"""From the raw outputs of a face detector to boxes, confidences and five landmarks each: decoders by name."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from device.errors import InputError
from device.inference.boxes import FloatArray, iou, nms
from device.inference.manifest import Manifest
from device.inference.tensors import Tensor, TensorInfo


@dataclass(frozen=True, slots=True)
class FaceCandidates:
    """Nx4 float32 x1 y1 x2 y2 and Nx5x2 float32 landmarks, in pixels of the network's input; N confidences."""

    boxes: FloatArray
    landmarks: FloatArray
    scores: FloatArray


class FaceHeads(Protocol):
    """Reads the outputs of one network."""

    def decode(self, outputs: Sequence[Tensor], confidence: float, overlap: float) -> FaceCandidates:
        """Faces of at least `confidence` (0 to 1), best first, of which no two overlap by an IoU above `overlap`.

        Nothing of the answer points into `outputs`.
        """


def face_heads(manifest: Manifest, outputs: Sequence[TensorInfo]) -> FaceHeads:
    """The decoder that the manifest names. Raises InputError where it is unknown or doesn't fit the outputs."""
    known: dict[str, Callable[[Manifest, Sequence[TensorInfo]], FaceHeads]] = {
        "yunet": YuNetHeads,
        "blazeface": BlazeFaceHeads,
    }
    make = known.get(manifest.output.decode)
    if make is None:
        raise InputError(
            f"the model {manifest.name} needs the decoder {manifest.output.decode!r}; "
            f"for faces this version knows {' and '.join(known)}"
        )
    return make(manifest, outputs)


class YuNetHeads:
    """YuNet (Wu et al. 2023, doi 10.1007/s11633-023-1423-y): for each stride class, objectness, box and landmarks.

    A cell's score is the geometric mean of class and objectness. Its box says how far the middle lies from the cell's
    corner, and the logarithm of the size, in cells; its landmarks are distances from the corner, in cells. As in
    OpenCV's `face_detect.cpp`.
    """

    def __init__(self, manifest: Manifest, outputs: Sequence[TensorInfo]) -> None:
        """`outputs`: classes of all strides, objectnesses, boxes, landmarks. Raises InputError for anything else."""
        strides = manifest.output.strides
        cells = [(manifest.input.height // s, manifest.input.width // s) for s in strides]
        expected = [(1, rows * columns, n) for n in (1, 1, 4, 10) for rows, columns in cells]
        _require(manifest, outputs, expected)
        self._levels = len(strides)
        self._corner = np.concatenate([_cells(*size) for size in cells])
        sizes = [rows * columns for rows, columns in cells]
        self._stride = np.repeat(np.array(strides, np.float32), sizes)[:, None]
        self._products = np.empty(sum(sizes), np.float32)
        self._parts = np.split(self._products, np.cumsum(sizes)[:-1])

    def decode(self, outputs: Sequence[Tensor], confidence: float, overlap: float) -> FaceCandidates:
        """See `FaceHeads`."""
        classes, objects, boxes, landmarks = (
            outputs[kind * self._levels : (kind + 1) * self._levels] for kind in range(4)
        )
        # Most cells are done with by their product alone. Cutting it off at 0 and 1 can only lower it.
        for part, one, other in zip(self._parts, classes, objects, strict=True):
            np.multiply(one[0, :, 0], other[0, :, 0], out=part)
        lowest = confidence * confidence
        passing = (self._products >= lowest).nonzero()[0] if lowest > 0 else np.arange(len(self._products))
        squares = _limited(classes, passing)[:, 0] * _limited(objects, passing)[:, 0]
        sure = squares >= lowest
        if not sure.all():
            passing, squares = passing[sure], squares[sure]
        if not passing.size:
            return FaceCandidates(np.empty((0, 4), np.float32), np.empty((0, 5, 2), np.float32), squares)
        stride, corner, box = self._stride[passing], self._corner[passing], _joined(boxes)[passing]
        middle = (corner + box[:, :2]) * stride
        half = np.exp(np.minimum(box[:, 2:], LARGEST_LOG)) * stride / 2
        xyxy = np.concatenate([middle - half, middle + half], axis=1)
        points = (_joined(landmarks)[passing].reshape(-1, 5, 2) + corner[:, None]) * stride[:, None]
        scores = np.sqrt(squares)
        kept = _surest(xyxy, scores, overlap)
        return FaceCandidates(xyxy[kept], points[kept], scores[kept])


def _joined(tensors: Sequence[Tensor]) -> Tensor:
    """Outputs of all strides, 1xN_ixM each, one after the other: NxM."""
    return np.concatenate([tensor[0] for tensor in tensors])


def _limited(tensors: Sequence[Tensor], cells: npt.NDArray[np.intp]) -> Tensor:
    """Those of some cells, cut off at 0 and 1."""
    limited: Tensor = np.minimum(np.maximum(_joined(tensors)[cells], np.float32(0)), np.float32(1))
    return limited


FEW = 32
"""Up to so many candidates are compared one by one: with so few, numpy's calls would take most of the time."""


def _surest(boxes: FloatArray, scores: FloatArray, overlap: float) -> Sequence[int] | npt.NDArray[np.intp]:
    """Greedy non-maximum suppression, as `nms` does it: which are kept, best first."""
    if len(scores) > FEW:
        return nms(boxes, scores, np.zeros(len(scores), np.intp), overlap)
    rows = boxes.tolist()
    kept: list[int] = []
    for index in np.argsort(-scores, kind="stable").tolist():
        if not any(_overlaps(rows[better], rows[index], overlap) for better in kept):
            kept.append(index)
    return kept


def _overlaps(one: Sequence[float], other: Sequence[float], overlap: float) -> bool:
    """Whether the IoU of two boxes is above `overlap`."""
    x1, y1, x2, y2 = one
    left, top, right, bottom = other
    inter = max(0.0, min(x2, right) - max(x1, left)) * max(0.0, min(y2, bottom) - max(y1, top))
    return inter > overlap * ((x2 - x1) * (y2 - y1) + (right - left) * (bottom - top) - inter)


LARGEST_LOG = np.float32(8)
"""Of a box side in cells: exp(8) is 3,000 of them; beyond it float32 would overflow on nonsense."""


class BlazeFaceHeads:
    """BlazeFace (Bazarevsky et al. 2019, arXiv:1907.05047), as in MediaPipe: boxes and six points about fixed anchors.

    Strides that are repeated share a grid, with two anchors a cell for each time they are named; a single stride
    (the full-range nets) has one anchor a cell. Overlapping answers are averaged by their confidence instead of thrown
    away, which steadies the landmarks. The net knows the middle of the mouth only (and the ears, which are not used):
    the corners are set beside it, parallel to the eyes.
    """

    def __init__(self, manifest: Manifest, outputs: Sequence[TensorInfo]) -> None:
        """`outputs`: boxes with points (16 numbers an anchor), logits. Raises InputError for anything else."""
        width, height = manifest.input.width, manifest.input.height
        strides = manifest.output.strides
        anchors = []
        for stride in dict.fromkeys(strides):
            each = 2 * strides.count(stride) if len(strides) > 1 else 1
            anchors.append(((_cells(height // stride, width // stride) + 0.5) * stride).repeat(each, axis=0))
        self._anchors = np.concatenate(anchors)
        count = len(self._anchors)
        _require(manifest, outputs, [(1, count, 16), (1, count, 1)])

    def decode(self, outputs: Sequence[Tensor], confidence: float, overlap: float) -> FaceCandidates:
        """See `FaceHeads`."""
        raw, logits = outputs[0][0], outputs[1][0, :, 0]
        passing = np.flatnonzero(logits >= _logit(confidence))
        scores = 1 / (1 + np.exp(-np.clip(logits[passing], -80, 80)))
        numbers = raw[passing].reshape(-1, 8, 2)
        anchors = self._anchors[passing]
        middle, half = numbers[:, 0] + anchors, numbers[:, 1] / 2
        boxes = np.concatenate([middle - half, middle + half], axis=1)
        faces = np.concatenate([boxes, (numbers[:, 2:6] + anchors[:, None]).reshape(-1, 8)], axis=1)
        merged, best = _weighted_nms(faces, scores, overlap)
        return FaceCandidates(merged[:, :4], _five_points(merged[:, 4:].reshape(-1, 4, 2)), best)


MOUTH_TO_EYES = 0.83
"""Width of the mouth over the distance of the eyes in ArcFace's template."""


def _five_points(points: FloatArray) -> FloatArray:
    """Eyes, nose tip and the mouth's middle (Nx4x2) with the mouth's corners instead (Nx5x2)."""
    half = (points[:, 1] - points[:, 0]) * np.float32(MOUTH_TO_EYES / 2)
    return np.concatenate([points[:, :3], (points[:, 3] - half)[:, None], (points[:, 3] + half)[:, None]], axis=1)


def _weighted_nms(faces: FloatArray, scores: FloatArray, overlap: float) -> tuple[FloatArray, FloatArray]:
    """MediaPipe's: the best candidate becomes the mean, weighted by score, of all that overlap it; then the next."""
    merged, best = [], []
    left = np.argsort(-scores, kind="stable")
    while len(left):
        near = iou(faces[left[:1], :4], faces[left, :4])[0] > overlap
        near[0] = True  # Also a box without any area overlaps itself.
        group = left[near]
        merged.append(np.average(faces[group], axis=0, weights=scores[group]))
        best.append(scores[group[0]])
        left = left[~near]
    return np.array(merged, np.float32).reshape(-1, faces.shape[1]), np.array(best, np.float32)


def _cells(rows: int, columns: int) -> FloatArray:
    """Column and row of each cell, row by row: Nx2 float32."""
    y, x = np.mgrid[0:rows, 0:columns].reshape(2, -1)
    cells: npt.NDArray[np.float32] = np.stack([x, y], axis=1).astype(np.float32)
    return cells


def _logit(confidence: float) -> float:
    """Inverse of the sigmoid."""
    return math.log(confidence / (1 - confidence)) if 0 < confidence < 1 else math.inf * (confidence - 0.5)


def _require(manifest: Manifest, outputs: Sequence[TensorInfo], expected: Sequence[tuple[int, ...]]) -> None:
    shapes = [info.shape for info in outputs]
    if shapes != list(expected) or any(info.dtype != np.float32 for info in outputs):
        raise InputError(
            f"the model {manifest.name} has outputs {shapes} where its decoder {manifest.output.decode!r} wants "
            f"float32 {list(expected)}; make it again with `make models`"
        )
