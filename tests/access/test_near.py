"""What is cut out for a closer look, and what is read from YuNet's raw numbers, against the plain way of doing both."""

from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest

from device.access.face_heads import YuNetHeads
from device.access.near import NearSquare
from device.inference.boxes import nms
from device.inference.tensors import TensorInfo

STRIDES, SIDE = (8, 16, 32), 64
CELLS = [(SIDE // stride) ** 2 for stride in STRIDES]


@pytest.mark.parametrize("seed", range(20))
def test_what_is_cut_out_is_the_turned_picture_to_the_last_bit(seed: int) -> None:
    rng = np.random.default_rng(seed)
    near = NearSquare(160, 160)
    for _ in range(5):
        height, width = (int(side) for side in rng.integers(100, 500, 2))
        image = rng.integers(0, 256, (height, width, 3), np.uint8)
        x, y, side = rng.uniform(-40, width), rng.uniform(-40, height), rng.uniform(10, 300)
        matrix = near.matrix((x, y, x + side, y + 1.2 * side), rng.uniform(-180, 180))
        assert np.array_equal(near.cut(image, matrix), cv2.warpAffine(image, matrix, (160, 160)))


@pytest.mark.parametrize("confidence", [0.0, 0.3, 0.8, 0.999])
def test_yunets_numbers_are_read_as_the_plain_formula_reads_them(confidence: float) -> None:
    rng = np.random.default_rng(3)
    outputs: list[Any] = [rng.uniform(-0.3, 1.3, (1, n, 1)).astype(np.float32) for n in CELLS * 2]
    outputs += [rng.normal(0, 1, (1, n, width)).astype(np.float32) for width in (4, 10) for n in CELLS]
    infos = [TensorInfo(one.shape, one.dtype) for one in outputs]
    manifest: Any = SimpleNamespace(
        name="yunet",
        input=SimpleNamespace(width=SIDE, height=SIDE),
        output=SimpleNamespace(strides=STRIDES, decode="yunet"),
    )
    found = YuNetHeads(manifest, infos).decode(outputs, confidence, 0.3)
    boxes, points, scores = _plainly(outputs, confidence)
    kept = nms(boxes, scores, np.zeros(len(scores), np.intp), 0.3)
    np.testing.assert_array_equal(found.scores, scores[kept])
    np.testing.assert_allclose(found.boxes, boxes[kept], rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(found.landmarks, points[kept], rtol=1e-5, atol=1e-5)
    assert len(kept) or confidence > 0.9


def _plainly(outputs: list[Any], confidence: float) -> tuple[Any, Any, Any]:
    """All candidates, cell by cell."""
    boxes, points, scores = [], [], []
    for level, stride in enumerate(STRIDES):
        across = SIDE // stride
        for cell in range(across * across):
            one, other, box, landmarks = (outputs[kind * 3 + level][0, cell] for kind in range(4))
            square = np.clip(one[0], 0, 1) * np.clip(other[0], 0, 1)
            if square < np.float32(confidence * confidence):
                continue
            corner = np.array([cell % across, cell // across], np.float32)
            middle, half = (corner + box[:2]) * stride, np.exp(box[2:]) * stride / 2
            boxes.append(np.concatenate([middle - half, middle + half]))
            points.append((landmarks.reshape(5, 2) + corner) * stride)
            scores.append(np.sqrt(square))
    return (
        np.array(boxes, np.float32).reshape(-1, 4),
        np.array(points, np.float32).reshape(-1, 5, 2),
        np.array(scores, np.float32),
    )
