"""Labelled photos as Ultralytics' augmentation wants them: read as the device reads, drawn by (seed, epoch) alone."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import cv2
import numpy as np
import torch
from ultralytics.data.dataset import YOLODataset
from ultralytics.utils import DEFAULT_CFG_DICT, IterableSimpleNamespace

from device.capture.pictures import read_picture
from export.labelled import LabelledPhoto
from training.detectors.settings import AUGMENTATION, Settings

CACHE_BYTES = 2 << 30
"""Photos are kept in memory, scaled down, as long as all of them together take no more than this."""


def hyperparameters(settings: Settings) -> IterableSimpleNamespace:
    """What Ultralytics' augmentation and loss read, its other defaults untouched."""
    return IterableSimpleNamespace(**{**DEFAULT_CFG_DICT, **{name: getattr(settings, name) for name in AUGMENTATION}})


class Photos(YOLODataset):
    """Ultralytics' dataset without its files beside the photos, its checks, its threads and its own reader."""

    def __init__(
        self, photos: Sequence[LabelledPhoto], names: Sequence[str], size: int, settings: Settings, seed: int
    ) -> None:
        self._photos = photos
        self._kept: dict[int, tuple[Any, Any, Any]] = {}
        self._keep = len(photos) * size * size * 3 <= CACHE_BYTES
        data: Mapping[str, Any] = {"names": dict(enumerate(names)), "channels": 3}
        # "ram" has mosaics drawn from all photos, not from those that were read last, which a resumed run has not.
        super().__init__([], imgsz=size, augment=True, hyp=hyperparameters(settings), cache="ram", data=data)
        self._settings, self._seed = settings, seed

    def get_img_files(self, img_path: Any) -> list[str]:
        """See Ultralytics."""
        del img_path
        return [str(photo.path) for photo in self._photos]

    def get_labels(self) -> list[dict[str, Any]]:
        """See Ultralytics."""
        return [
            {
                "im_file": str(photo.path),
                "shape": None,
                "cls": photo.class_ids.reshape(-1, 1).astype(np.float32),
                "bboxes": photo.boxes.reshape(-1, 4).astype(np.float32),
                "segments": [],
                "keypoints": None,
                "normalized": True,
                "bbox_format": "xywh",
            }
            for photo in self._photos
        ]

    def check_cache_ram(self, safety_margin: float = 1.0) -> bool:
        """Nothing is read ahead."""
        del safety_margin
        return False

    def load_image(self, i: int, rect_mode: bool = True, resize_short: bool = False) -> tuple[Any, Any, Any]:
        """HxWx3 uint8 BGR whose longer side is the network's, its height and width in the file, and now."""
        del rect_mode, resize_short
        if i not in self._kept:
            loaded = self._load(i)
            if not self._keep:
                return loaded
            self._kept[i] = loaded
        return self._kept[i]

    def _load(self, i: int) -> tuple[Any, Any, Any]:
        picture = read_picture(self._photos[i].path)[..., ::-1]
        height, width = picture.shape[:2]
        ratio = self.imgsz / max(height, width)
        wide, high = max(1, round(width * ratio)), max(1, round(height * ratio))
        small = cv2.resize(np.ascontiguousarray(picture), (wide, high), interpolation=cv2.INTER_LINEAR)
        return small, (height, width), small.shape[:2]

    def batches(self, epoch: int) -> Iterator[dict[str, Any]]:
        """The epoch's batches: order and augmentation hang on the seed and the epoch's number, and nothing else."""
        settings = self._settings
        closed = epoch >= settings.epochs - settings.close_mosaic
        hyp = hyperparameters(settings)
        if closed:
            hyp.mosaic = hyp.mixup = 0.0
        self.transforms = self.build_transforms(hyp)
        seed_all(self._seed, epoch)
        order = np.random.default_rng((self._seed, epoch)).permutation(len(self))
        for indices in np.array_split(order, max(1, round(len(self) / settings.batch))):
            batch = self.collate_fn([self[int(i)] for i in indices])
            batch["img"] = (batch["img"].float() / 255).contiguous(memory_format=torch.channels_last)
            yield batch


def seed_all(seed: int, epoch: int) -> None:
    """Set the generators that Ultralytics' augmentation draws from."""
    first, second, third = np.random.SeedSequence((seed, epoch)).generate_state(3)
    random.seed(int(first))
    np.random.seed(int(second))  # noqa: NPY002 - the augmentation draws from the old generator
    torch.manual_seed(int(third))
