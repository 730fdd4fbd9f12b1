"""Decoder `yolov8-heads`: six raw heads become boxes and scores, for the few places that pass the threshold.

A head pair of stride s covers the input with cells of s pixels. For each cell the class head holds a logit a class;
the box head holds, for each of the four sides, a distribution over distances of 0 to reg_max - 1 cells from the cell's
middle, whose mean is the side's distance (Distribution Focal Loss, Li et al. 2020, arXiv:2006.04388).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from device.errors import InputError
from device.inference.boxes import FloatArray, IntArray
from device.inference.interpreter import Tensor, TensorInfo
from device.inference.manifest import Manifest


@dataclass(frozen=True, slots=True)
class Candidates:
    """What passed the threshold: Nx4 float32 x1 y1 x2 y2 in pixels of the square, N confidences, N class ids."""

    boxes: FloatArray
    scores: FloatArray
    class_ids: IntArray


@dataclass(frozen=True, slots=True)
class _Level:
    """One stride's pair of heads. `middles`: cells x 2 float32, x and y of each cell's middle in cells."""

    stride: int
    box: TensorInfo
    klass: TensorInfo
    middles: FloatArray


class YoloV8Heads:
    """The decoder for one network's outputs, int8, uint8 or float32."""

    def __init__(self, manifest: Manifest, outputs: Sequence[TensorInfo]) -> None:
        """Raises InputError where the outputs are not the heads the manifest promises."""
        strides, reg_max = manifest.output.strides, manifest.output.reg_max
        if len(outputs) != 2 * len(strides) or not strides:
            raise InputError(
                f"the model {manifest.name} has {len(outputs)} outputs; its decoder wants two a stride of {strides}"
            )
        self._classes = len(manifest.labels)
        self._bins = np.arange(reg_max, dtype=np.float32)
        self._levels = tuple(
            _level(manifest, stride, box, klass)
            for stride, box, klass in zip(strides, outputs[::2], outputs[1::2], strict=True)
        )

    def decode(self, heads: Sequence[Tensor], confidence: float, *, multi_label: bool = False) -> Candidates:
        """Read the heads.

        Args:
            heads: box and class tensor of each stride, [1, H, W, C].
            confidence: lowest score, 0 to 1.
            multi_label: every class above it makes a candidate of its own; else a cell's best class only.
        Returns:
            Copies; nothing of them points into `heads`.
        """
        logit = _logit(confidence)
        parts = [
            self._decode_level(level, heads[2 * i], heads[2 * i + 1], logit, multi_label)
            for i, level in enumerate(self._levels)
        ]
        found = [part for part in parts if part is not None]
        if not found:
            return Candidates(np.zeros((0, 4), np.float32), np.zeros(0, np.float32), np.zeros(0, np.intp))
        distances, middles, strides, logits, class_ids = (np.concatenate(column) for column in zip(*found, strict=True))
        boxes = _boxes(self._expected(distances), middles, strides)
        return Candidates(boxes, 1 / (1 + np.exp(-logits)), class_ids)

    def _decode_level(
        self, level: _Level, box: Tensor, klass: Tensor, logit: float, multi_label: bool
    ) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray, IntArray] | None:
        """Box logits, cell middles, strides, class logits and class ids of one stride's candidates, if it has any."""
        flat = klass.reshape(-1)
        hits = _at_least(flat, level.klass, logit)
        if not len(hits):
            return None
        cells, class_ids = np.divmod(hits, self._classes)
        if not multi_label:
            cells = cells[np.concatenate([[True], cells[1:] != cells[:-1]])]
            class_ids = klass.reshape(-1, self._classes)[cells].argmax(axis=1)
            hits = cells * self._classes + class_ids
        logits = (flat[hits].astype(np.float32) - level.klass.zero_point) * np.float32(level.klass.scale)
        # A distribution's zero point would cancel out in the softmax, so it is never subtracted.
        distances = box.reshape(len(level.middles), -1)[cells] * np.float32(level.box.scale)
        strides = np.full((len(cells), 1), level.stride, np.float32)
        return distances, level.middles[cells], strides, logits, class_ids

    def _expected(self, logits: FloatArray) -> FloatArray:
        """Mean distance of each side, Nx4 in cells, from Nx(4 reg_max) distribution logits: softmax, then the mean."""
        sides = logits.reshape(-1, 4, len(self._bins))
        weights = np.exp(sides - sides.max(axis=2, keepdims=True))
        mean: FloatArray = weights @ self._bins / weights.sum(axis=2)
        return mean


def _boxes(distances: FloatArray, middles: FloatArray, strides: FloatArray) -> FloatArray:
    """Corners in pixels from distances to left, top, right, bottom in cells."""
    boxes = np.concatenate([middles - distances[:, :2], middles + distances[:, 2:]], axis=1)
    boxes *= strides
    return boxes


def _at_least(flat: Tensor, info: TensorInfo, logit: float) -> IntArray:
    """Positions where the number that is meant is at least `logit`, compared as the integers they are stored as."""
    if info.dtype == np.float32:
        return np.flatnonzero(flat >= np.float32(logit))
    limits = np.iinfo(info.dtype)
    lowest = logit / info.scale + info.zero_point
    if lowest > limits.max:
        return np.zeros(0, np.intp)
    return np.flatnonzero(
        flat >= info.dtype.type(max(math.ceil(lowest), limits.min) if math.isfinite(lowest) else limits.min)
    )


def _logit(confidence: float) -> float:
    """Inverse of the sigmoid."""
    if confidence <= 0:
        return -math.inf
    return math.inf if confidence >= 1 else math.log(confidence / (1 - confidence))


def _level(manifest: Manifest, stride: int, box: TensorInfo, klass: TensorInfo) -> _Level:
    """Check one stride's heads and lay out its grid."""
    rows, columns = manifest.input.height // stride, manifest.input.width // stride
    for what, info, channels in (("box", box, 4 * manifest.output.reg_max), ("class", klass, len(manifest.labels))):
        if info.shape != (1, rows, columns, channels):
            raise InputError(
                f"the model {manifest.name} has a {what} head of shape {info.shape} where its manifest wants "
                f"{(1, rows, columns, channels)} for stride {stride}; make it again with `make export`"
            )
    y, x = np.mgrid[0:rows, 0:columns]
    middles = np.stack([x.ravel(), y.ravel()], axis=1).astype(np.float32) + np.float32(0.5)
    return _Level(stride, box, klass, middles)
