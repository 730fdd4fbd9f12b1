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


def clips() -> dict[str, Path]:
    """Scenes by name: people who come one after the other, and a busy street; without shared data the demo's film.

    Raises InputError where nothing can be had.
    """
    data = shared_data()
    if data is None:
        return {"the demo's film": demo_clip(CACHE)}
    videos = data / "videos"
    return {
        "one person at a time": videos / "one-by-one-person-detection.mp4",
        "a busy street": videos / "people-walking.mp4",
    }


def clip() -> Path:
    """The busiest scene. Raises InputError where none can be had."""
    return [*clips().values()][-1]


def images(count: int, path: Path | None = None) -> list[Image]:
    """Up to `count` frames of a clip (the busiest), every third: HxWx3 uint8 RGB, as wide as a camera's default."""
    source, found = VideoFileSource(path or clip()), []
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
