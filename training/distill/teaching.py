"""What the teacher said about each picture, computed once and kept on disk."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from tqdm import tqdm

from export.calibration import CLASS_FLOOR
from training.distill.pictures import Picture
from training.distill.quantaware import Float, QuantAware

BOX_THRESHOLD = 0.05
"""Boxes are learnt where the teacher's best class is above this: elsewhere they mean nothing."""


@dataclass(frozen=True)
class Lesson:
    """A batch: pictures [N, 3, S, S] float32; the teacher's class logits [N, cells, classes], floored, and box logits
    [cells above the threshold, 64] with the positions of those cells in [N * cells]."""

    images: torch.Tensor
    classes: torch.Tensor
    boxes: torch.Tensor
    cells: torch.Tensor


def to_tensor(pictures: npt.NDArray[np.uint8]) -> torch.Tensor:
    """[N, S, S, 3] uint8 -> [N, 3, S, S] float32 0..1, channels last in memory."""
    return torch.from_numpy(pictures).permute(0, 3, 1, 2).float().div_(255)


def flatten(heads: Sequence[torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
    """Six heads [N, C, H, W] -> class logits [N, cells, classes], box logits [N, cells, 64]."""
    rows = [head.permute(0, 2, 3, 1).flatten(1, 2) for head in heads]
    return torch.cat(rows[1::2], 1), torch.cat(rows[0::2], 1)


class Lessons:
    """Pictures and the teacher's outputs, in memory-mapped files of one folder."""

    def __init__(self, folder: Path) -> None:
        """Open what `prepare` wrote. Raises OSError."""
        self.pictures = np.load(folder / "pictures.npy", mmap_mode="r")
        self._classes = np.load(folder / "classes.npy", mmap_mode="r")
        self._boxes = np.load(folder / "boxes.npy", mmap_mode="r")
        self._cells = np.load(folder / "cells.npy")
        self._starts = np.load(folder / "starts.npy")

    def __len__(self) -> int:
        return len(self.pictures)

    def batch(self, indices: Sequence[int]) -> Lesson:
        """The pictures of these numbers."""
        cells_each = self._classes.shape[1]
        spans = [slice(self._starts[i], self._starts[i + 1]) for i in indices]
        return Lesson(
            to_tensor(self.pictures[np.asarray(indices)]),
            torch.from_numpy(self._classes[np.asarray(indices)]).float(),
            torch.from_numpy(np.concatenate([self._boxes[span] for span in spans])).float(),
            torch.from_numpy(np.concatenate([self._cells[s] + n * cells_each for n, s in enumerate(spans)])),
        )

    def fingerprint(self) -> str:
        """sha256 over all pictures."""
        digest = hashlib.sha256()
        for picture in self.pictures:
            digest.update(picture.tobytes())
        return digest.hexdigest()


@torch.no_grad()
def prepare(folder: Path, pictures: Sequence[Picture], teacher: QuantAware, batch: int = 8) -> Lessons:
    """Let the float teacher look at each picture, and write down what it says (float16)."""
    folder.mkdir(parents=True, exist_ok=True)
    stacked = np.stack(pictures)
    classes, boxes, cells, starts = [], [], [], [0]
    for start in tqdm(range(0, len(stacked), batch), desc="teacher", unit="batch", disable=None):
        heads = teacher(to_tensor(stacked[start : start + batch]), Float())
        logits, distributions = flatten(heads)
        logits.clamp_(min=CLASS_FLOOR)
        classes.append(logits.half().numpy())
        for picture_logits, picture_boxes in zip(logits, distributions, strict=True):
            above = torch.nonzero(picture_logits.amax(1).sigmoid() > BOX_THRESHOLD)[:, 0]
            cells.append(above.numpy())
            boxes.append(picture_boxes[above].half().numpy())
            starts.append(starts[-1] + len(above))
    for name, array in (
        ("pictures", stacked),
        ("classes", np.concatenate(classes)),
        ("boxes", np.concatenate(boxes)),
        ("cells", np.concatenate(cells)),
        ("starts", np.array(starts)),
    ):
        np.save(folder / f"{name}.npy", array)
    (folder / "complete").touch()
    return Lessons(folder)
