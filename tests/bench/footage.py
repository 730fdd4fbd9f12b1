"""Frames for the benchmark, in memory."""

from __future__ import annotations

import os
from pathlib import Path

import cv2
import numpy as np

from device.app import CACHE
from device.capture.camera import EndOfSource
from device.capture.footage import demo_clip
from device.capture.opencv import VideoFileSource
from device.capture.pixels import to_image
from device.config import Camera
from device.datatypes import Frame, Image

ROOT = Path(__file__).parent.parent.parent
FPS = 10.0
WIDTH = Camera().width


def shared_data() -> Path | None:
    """Real data beside the checkout, or None."""
    path = Path(os.environ.get("SERENO_DATA", ROOT.parent / "shared" / "data"))
    return path if path.is_dir() else None


def clip() -> Path:
    """A busy street: the shared one, else the demo's. Raises InputError where neither can be had."""
    data = shared_data()
    shared = data / "videos" / "people-walking.mp4" if data else None
    return shared if shared and shared.exists() else demo_clip(CACHE)


def images(count: int) -> list[Image]:
    """Up to `count` frames of the clip, every third: HxWx3 uint8 RGB, as wide as a camera is asked for by default."""
    source, found = VideoFileSource(clip()), []
    source.open()
    try:
        while len(found) < count:
            for _ in range(3):
                source.grab()
            picture = to_image(source.retrieve(), 0)
            size = (WIDTH, round(picture.shape[0] * WIDTH / picture.shape[1]))
            found.append(np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.uint8))
    except EndOfSource:
        pass
    finally:
        source.close()
    return found


def frames(pictures: list[Image]) -> list[Frame]:
    """Pictures as frames at 10 a second."""
    return [Frame("bench", i, picture, 100 + i / FPS, 1.7e9 + i / FPS) for i, picture in enumerate(pictures)]


def still(picture: Image, count: int) -> list[Frame]:
    """One picture with a sensor's noise (sigma 2 grey levels): nothing moves. 16 noisy copies in turn."""
    rng = np.random.default_rng(0)
    noisy = [np.clip(picture + rng.normal(0, 2, picture.shape), 0, 255).astype(np.uint8) for _ in range(min(16, count))]
    return frames([noisy[i % len(noisy)] for i in range(count)])
