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
from device.inference.manifest import Manifest
from device.inference.tensors import Tensor, TensorInfo


@dataclass(frozen=True, slots=True)
class Candidates:
    """What passed the threshold: Nx4 float32 x1 y1 x2 y2 in pixels of the square, N confidences, N class ids."""

    boxes: FloatArray
    scores: FloatArray
    class_ids: IntArray


@dataclass(frozen=True, slots=True)
class _Level:
    """One stride's pair of heads. Its cells are numbers `start` to `stop` (exclusive) of all."""

    box: TensorInfo
    klass: TensorInfo
    start: int
    stop: int


class YoloV8Heads:
    """The decoder for one network's outputs, int8, uint8 or float32. Not thread-safe: it reuses a buffer.

    A frame has thousands of cells and a few dozen candidates, so all that is done for every cell is one comparison
    of integers as the network left them; the rest happens once, to the candidates of all strides together.
    """

    def __init__(self, manifest: Manifest, outputs: Sequence[TensorInfo]) -> None:
        """Raises InputError where the outputs are not the heads the manifest promises."""
        strides, reg_max = manifest.output.strides, manifest.output.reg_max
        if len(outputs) != 2 * len(strides) or not strides:
            raise InputError(
                f"the model {manifest.name} has {len(outputs)} outputs; its decoder wants two a stride of {strides}"
            )
        self._levels = _levels(manifest, outputs)
        self._cells = np.concatenate(
            [_grid(level, manifest, stride) for level, stride in zip(self._levels, strides, strict=True)]
        )
        self._stops = np.array([level.stop for level in self._levels])
        self._counting = np.arange(len(self._cells))
        # Sum and first moment of a side's distribution by one matrix product.
        self._moments = np.stack([np.ones(reg_max), np.arange(reg_max)], axis=1).astype(np.float32)
        # Then no exponent overflows, and the softmax needs no maximum subtracted first.
        self._bounded = all(level.box.dtype != np.float32 and level.box.scale * 255 < 80 for level in self._levels)
        # Eight flags are looked at as one word, so a cell's flags fill whole words; those beyond the classes stay 0.
        self._classes = len(manifest.labels)
        self._words = -(-self._classes // 8)
        self._flags = np.zeros((len(self._cells), 8 * self._words), np.bool_)
        self._flag_words = self._flags.view(np.uint64).reshape(-1)

    def decode(self, heads: Sequence[Tensor], confidence: float, *, multi_label: bool = False) -> Candidates:
        """Read the heads.

        Args:
            heads: box and class tensor of each stride, [1, H, W, C].
            confidence: lowest score, 0 to 1.
            multi_label: every class above it makes a candidate of its own; else a cell's best class only.
        Returns:
            Copies; nothing of them points into `heads`.
        """
        cells = self._passing(heads[1::2], _logit(confidence))
        if not len(cells):
            return Candidates(np.zeros((0, 4), np.float32), np.zeros(0, np.float32), np.zeros(0, np.intp))
        known = self._cells.take(cells, axis=0)
        distances, classes = self._gather(heads, cells)
        boxes = self._boxes(distances, known)
        if multi_label:
            rows, class_ids = np.nonzero(self._flags[cells])
            boxes, known = boxes[rows], known[rows]
        else:
            rows, class_ids = self._counting[: len(cells)], classes.argmax(axis=1)
        logits = (classes[rows, class_ids] - known[:, ZERO_POINT]) * known[:, CLASS_SCALE]
        return Candidates(boxes, 1 / (1 + np.exp(-np.maximum(logits, LOWEST_LOGIT))), class_ids)

    def _passing(self, class_heads: Sequence[Tensor], logit: float) -> IntArray:
        """Numbers of the cells where a class reaches `logit`, ascending. `_flags` then says which ones."""
        for level, head in zip(self._levels, class_heads, strict=True):
            flags = self._flags[level.start : level.stop, : self._classes]
            np.greater_equal(head.reshape(-1, self._classes), _stored(level.klass, logit), out=flags)
        cells: IntArray = (self._flag_words != 0).nonzero()[0] // self._words
        first = np.ones(len(cells), np.bool_)
        np.not_equal(cells[1:], cells[:-1], out=first[1:])
        return cells[first]

    def _gather(self, heads: Sequence[Tensor], cells: IntArray) -> tuple[Tensor, Tensor]:
        """Those cells' rows, copied: Nx(4 reg_max) distribution logits, N x classes class logits."""
        ends = cells.searchsorted(self._stops).tolist()
        parts = []
        for index, (level, start, end) in enumerate(zip(self._levels, [0, *ends], ends, strict=False)):
            if end > start:
                own = cells[start:end] - level.start
                parts.append(
                    [head.reshape(-1, head.shape[-1]).take(own, axis=0) for head in heads[2 * index : 2 * index + 2]]
                )
        if len(parts) == 1:
            return parts[0][0], parts[0][1]
        return np.concatenate([part[0] for part in parts]), np.concatenate([part[1] for part in parts])

    def _boxes(self, rows: Tensor, known: FloatArray) -> FloatArray:
        """Corners in pixels from distribution logits Nx(4 reg_max): softmax, mean, distances from the cell's middle."""
        # The zero point of a distribution cancels out in its softmax, so it is never subtracted.
        logits = (rows * known[:, BOX_SCALE, None]).reshape(-1, len(self._moments))
        if not self._bounded:
            logits -= logits.max(axis=1, keepdims=True)
        moments = np.exp(logits, out=logits) @ self._moments
        distances = (moments[:, 1] / moments[:, 0]).reshape(-1, 4)
        boxes: FloatArray = distances * known[:, SIDES]
        boxes += known[:, MIDDLE]
        return boxes


# Columns of what is known of a cell: its middle (x y x y, pixels), stride signed for left top right bottom, and scales.
MIDDLE = slice(0, 4)
SIDES = slice(4, 8)
BOX_SCALE, CLASS_SCALE, ZERO_POINT = 8, 9, 10

LOWEST_LOGIT = np.float32(-80)
"""Below this a score is 0 for all purposes, and float32's exp would overflow."""


def _stored(info: TensorInfo, logit: float) -> float:
    """The lowest number that, stored in a tensor of this kind, means at least `logit`; it may lie beyond the range."""
    if info.dtype == np.float32:
        return logit
    stored = max(-1000.0, min(1000.0, logit / info.scale + info.zero_point))
    return math.ceil(stored)


def _logit(confidence: float) -> float:
    """Inverse of the sigmoid."""
    if confidence <= 0:
        return -math.inf
    return math.inf if confidence >= 1 else math.log(confidence / (1 - confidence))


def _levels(manifest: Manifest, outputs: Sequence[TensorInfo]) -> tuple[_Level, ...]:
    """Pair the heads, checked against what the manifest promises, and number their cells."""
    levels: list[_Level] = []
    for stride, box, klass in zip(manifest.output.strides, outputs[::2], outputs[1::2], strict=True):
        rows, columns = manifest.input.height // stride, manifest.input.width // stride
        for what, info, channels in (("box", box, 4 * manifest.output.reg_max), ("class", klass, len(manifest.labels))):
            if info.shape != (1, rows, columns, channels):
                raise InputError(
                    f"the model {manifest.name} has a {what} head of shape {info.shape} where its manifest wants "
                    f"{(1, rows, columns, channels)} for stride {stride}; make it again with `make export`"
                )
        start = levels[-1].stop if levels else 0
        levels.append(_Level(box, klass, start, start + rows * columns))
    return tuple(levels)


def _grid(level: _Level, manifest: Manifest, stride: int) -> FloatArray:
    """What is known of each cell of one stride: see `MIDDLE` and below."""
    y, x = np.mgrid[0 : manifest.input.height // stride, 0 : manifest.input.width // stride].reshape(2, -1)
    known = np.empty((len(x), 11), np.float32)
    known[:, MIDDLE] = np.stack([x, y, x, y], axis=1) * stride + stride / 2
    known[:, SIDES] = np.array([-1, -1, 1, 1]) * stride
    known[:, BOX_SCALE], known[:, CLASS_SCALE] = level.box.scale, level.klass.scale
    known[:, ZERO_POINT] = level.klass.zero_point
    return known
