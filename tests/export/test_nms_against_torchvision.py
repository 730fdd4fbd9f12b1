"""The device's suppression against torchvision's, on random boxes. Needs the workstation environment."""

from __future__ import annotations

import numpy as np
import pytest

from device.inference.boxes import iou, nms

torch = pytest.importorskip("torch", reason="needs the workstation environment")
torchvision = pytest.importorskip("torchvision", reason="needs the workstation environment")


def crowd(seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Random boxes that overlap more or less, with scores and classes."""
    rng = np.random.default_rng(seed)
    count, side = int(rng.integers(1, 1500)), rng.choice([20.0, 100.0, 640.0])
    corners = rng.uniform(0, side, (count, 2))
    boxes = np.concatenate([corners, corners + rng.uniform(1, 90, (count, 2))], axis=1).astype(np.float32)
    return boxes, rng.permutation(count).astype(np.float32) / count, rng.integers(0, rng.integers(1, 20), count)


@pytest.mark.parametrize("seed", range(40))
def test_ok__the_same_boxes_are_kept_in_the_same_order(seed: int) -> None:
    boxes, scores, class_ids = crowd(seed)
    threshold = [0.3, 0.45, 0.7][seed % 3]
    # Class by class: torchvision's batched_nms may shift boxes by class, which costs the last bits of their corners.
    kept = []
    for class_id in np.unique(class_ids):
        members = np.flatnonzero(class_ids == class_id)
        chosen = torchvision.ops.nms(torch.tensor(boxes[members]), torch.tensor(scores[members]), threshold)
        kept += members[chosen.numpy()].tolist()
    expected = sorted(kept, key=lambda index: -scores[index])
    assert nms(boxes, scores, class_ids, threshold, limit=len(boxes)).tolist() == expected
    assert nms(boxes, scores, class_ids, threshold, limit=300).tolist() == expected[:300]


def test_ok__iou_is_torchvisions() -> None:
    first, second = crowd(1)[0], crowd(2)[0]
    expected = torchvision.ops.box_iou(torch.tensor(first), torch.tensor(second)).numpy()
    np.testing.assert_allclose(iou(first, second), expected, rtol=1e-5, atol=1e-7)
