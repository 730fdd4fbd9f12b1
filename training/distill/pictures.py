"""Pictures to learn from, without labels: photos of training sets and free footage, as they are and recomposed.

A student that copies a teacher needs no labels, so anything that looks like the world will do; 128 photos alone would
be learnt by heart. Everything is drawn from one seeded generator, in one order: the same photos give the same pictures.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from device.errors import InputError
from device.inference.letterbox import Letterbox
from export.calibration import read_picture

Picture = npt.NDArray[np.uint8]
Rng = np.random.Generator

GREY = 114


@dataclass(frozen=True)
class Counts:
    """How many pictures of each kind."""

    jittered: int = 640
    mosaics: int = 800
    mixed: int = 600
    pets: int = 474
    video: int = 130

    def total(self, photos: int) -> int:
        """All of them, with each photo letterboxed as it is and mirrored."""
        return 2 * photos + self.jittered + self.mosaics + self.mixed + self.pets + self.video


@dataclass(frozen=True)
class Sources:
    """Files of training splits only: `photos` of everyday scenes, `pets`, and free `clips`."""

    photos: Sequence[Path]
    pets: Sequence[Path]
    clips: Sequence[Path]


def find_sources(data: Path, clips: Sequence[Path]) -> Sources:
    """The training photos under `data`. Raises InputError where there are none."""
    photos = sorted((data / "coco" / "images" / "train").glob("*.jpg"))
    pets = sorted((data / "cats_dogs" / "train").glob("*/*.jpg"))
    if not photos:
        raise InputError(
            f"no training photos at {data / 'coco' / 'images' / 'train'}; set SERENO_DATA (or DATA=) to a folder that "
            "holds coco/images/train and cats_dogs/train"
        )
    return Sources(photos, pets, clips)


def compose(sources: Sources, counts: Counts, size: int, seed: int) -> Iterator[Picture]:
    """Make the pictures, size x size x 3 uint8 RGB, one after the other."""
    rng = np.random.default_rng(seed)
    photos = [read_picture(path) for path in sources.photos]
    others = _Shelf(sources.pets)
    box = Letterbox(size, size)
    for photo in photos:
        for picture in (photo, np.ascontiguousarray(photo[:, ::-1])):
            box.put(picture)
            yield box.square.copy()
    for index in range(counts.jittered):
        yield jitter(photos[index % len(photos)], size, rng)
    for _ in range(counts.mosaics):
        yield mosaic([photos[i] for i in rng.integers(0, len(photos), 4)], size, rng)
    for _ in range(counts.mixed):
        own = [photos[i] for i in rng.integers(0, len(photos), 2)]
        foreign = [others.draw(rng) if others else photos[rng.integers(0, len(photos))] for _ in range(2)]
        tiles = [*own, *foreign]
        yield mosaic([tiles[i] for i in rng.permutation(4)], size, rng)
    for _ in range(counts.pets if others else 0):
        yield jitter(others.draw(rng), size, rng)
    yield from _video_frames(sources.clips, counts.video, size, rng)


class _Shelf:
    """Photos that are read when they are drawn."""

    def __init__(self, paths: Sequence[Path]) -> None:
        self._paths = paths

    def __bool__(self) -> bool:
        return bool(self._paths)

    def draw(self, rng: Rng) -> Picture:
        return read_picture(self._paths[rng.integers(0, len(self._paths))])


def jitter(photo: Picture, size: int, rng: Rng, smallest: float = 0.5) -> Picture:
    """The photo at `smallest` to 1.8 of its size, at another place, perhaps mirrored, in other light: size x size."""
    height, width = photo.shape[:2]
    scale = size / max(height, width) * float(np.exp(rng.uniform(np.log(smallest), np.log(1.8))))
    if rng.random() < 0.5:
        photo = photo[:, ::-1]
    spare_x, spare_y = size - width * scale, size - height * scale
    shift = [rng.uniform(min(0, spare_x), max(0, spare_x)), rng.uniform(min(0, spare_y), max(0, spare_y))]
    return cv2.warpAffine(
        relight(_smaller(photo, scale), rng),
        np.array([[_rest(scale), 0, shift[0]], [0, _rest(scale), shift[1]]]),
        (size, size),
        flags=cv2.INTER_LINEAR,
        borderValue=(GREY, GREY, GREY),
    )


def _steps(scale: float) -> int:
    """How often a photo is halved before it is shrunk by the rest, so that fine patterns don't alias."""
    return max(0, int(np.floor(np.log2(1 / scale)))) if scale < 1 else 0


def _rest(scale: float) -> float:
    return scale * 2 ** _steps(scale)


def _smaller(photo: Picture, scale: float) -> Picture:
    factor = 2 ** -_steps(scale)
    if factor == 1:
        return np.ascontiguousarray(photo)
    return cv2.resize(np.ascontiguousarray(photo), None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)


def mosaic(tiles: Sequence[Picture], size: int, rng: Rng) -> Picture:
    """Four pictures, each jittered, around a corner somewhere in the middle: size x size."""
    x, y = (int(v) for v in rng.uniform(0.3, 0.7, 2) * size)
    out = np.full((size, size, 3), GREY, np.uint8)
    for tile, (left, top, right, bottom) in zip(
        tiles, ((0, 0, x, y), (x, 0, size, y), (0, y, x, size), (x, y, size, size)), strict=True
    ):
        side = max(right - left, bottom - top)
        out[top:bottom, left:right] = jitter(tile, side, rng, smallest=0.8)[: bottom - top, : right - left]
    return out


def relight(picture: Picture, rng: Rng) -> Picture:
    """Another hue, saturation, brightness; now and then grey, blurred or noisy, as cameras are at night."""
    gains = rng.uniform(-1, 1, 3) * (0.015, 0.5, 0.4)
    hsv = cv2.cvtColor(picture, cv2.COLOR_RGB2HSV)
    steps = np.arange(256)
    tables = (
        ((steps + gains[0] * 180) % 180).astype(np.uint8),
        np.clip(steps * (1 + gains[1]), 0, 255).astype(np.uint8),
        np.clip(steps * (1 + gains[2]), 0, 255).astype(np.uint8),
    )
    turned = cv2.merge([cv2.LUT(channel, table) for channel, table in zip(cv2.split(hsv), tables, strict=True)])
    picture = cv2.cvtColor(turned, cv2.COLOR_HSV2RGB)
    chance = rng.random(3)
    if chance[0] < 0.05:
        picture = cv2.cvtColor(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
    if chance[1] < 0.05:
        picture = cv2.GaussianBlur(picture, (3, 3), 0)
    if chance[2] < 0.05:
        noisy = picture + rng.normal(0, 6, picture.shape)
        picture = np.clip(noisy, 0, 255).astype(np.uint8)
    return picture


def _video_frames(clips: Sequence[Path], count: int, size: int, rng: Rng) -> Iterator[Picture]:
    """Frames at even distances, letterboxed or jittered in turn, `count` over all clips."""
    shares = [count // len(clips) + (i < count % len(clips)) for i in range(len(clips))] if clips else []
    fit: Callable[[Picture], Picture] = _letterboxer(size)
    for clip, share in zip(clips, shares, strict=True):
        frames = _frames(clip)
        for index, at in enumerate(np.linspace(0, len(frames) - 1, share).astype(int)):
            yield fit(frames[at]) if index % 2 else jitter(frames[at], size, rng)


def _letterboxer(size: int) -> Callable[[Picture], Picture]:
    box = Letterbox(size, size)

    def fit(picture: Picture) -> Picture:
        box.put(picture)
        return box.square.copy()

    return fit


def _frames(clip: Path) -> list[Picture]:
    reader = cv2.VideoCapture(str(clip))
    frames = []
    while True:
        ok, frame = reader.read()
        if not ok:
            break
        frames.append(np.ascontiguousarray(frame[..., ::-1]))
    reader.release()
    if not frames:
        raise InputError(f"{clip} is no video that can be read")
    return frames
