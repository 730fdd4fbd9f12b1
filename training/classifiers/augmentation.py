"""Augmentation: each picture changed anew in each epoch, drawn from (seed, epoch, index) alone.

Nothing is drawn from a stream that runs through the training, so an epoch can be begun again, in any order, and gives
the same pictures: a resumed run sees what the undisturbed one saw. A picture goes through one warp (crop, zoom,
stretch, rotation, shift, flip) and one colour matrix, so that a core prepares some ten thousand of 32 px a second.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

LUMA = np.array([0.299, 0.587, 0.114])
"""What red, green and blue add to a pixel's brightness (ITU-R BT.601)."""

GREY = 114
"""What a cut-out square is filled with."""


@dataclass(frozen=True)
class Augmentation:
    """How far pictures may be changed. Everything off is the picture as the device sees it."""

    flip: bool = False
    """Mirror every other time: each picture in turn, beginning at random (Jordan 2024: better than a coin)."""
    smallest_area: float = 1.0
    """A crop keeps at least this share of the picture's area (Szegedy 2015's random resized crop)."""
    stretch: float = 1.0
    """The crop's sides differ at most by this factor from square."""
    zoom: float = 0.0
    """Magnify or shrink by up to this share (0.2: from 0.8 to 1.2)."""
    shift: float = 0.0
    """Move by up to this share of the side."""
    rotation: float = 0.0
    """Turn by up to this many degrees."""
    shear: float = 0.0
    """Shear by up to this many degrees."""
    brightness: float = 0.0
    """Multiply by up to 1 ± this."""
    contrast: float = 0.0
    """Spread about the mean by up to 1 ± this."""
    saturation: float = 0.0
    """Strengthen or fade colours by up to 1 ± this."""
    hue: float = 0.0
    """Turn colours by up to this many degrees."""
    cutout: float = 0.0
    """Blank a square of this share of the side somewhere (DeVries 2017)."""
    mixup: float = 0.0
    """Blend pairs with a share drawn from Beta(this, this) (Zhang 2018)."""
    cutmix: float = 0.0
    """Paste a rectangle of another picture, its area drawn from Beta(this, this) (Yun 2019). With mixup: in turn."""


def augment_batch(
    images: Sequence[np.ndarray],
    targets: np.ndarray,
    techniques: Augmentation,
    *,
    size: int,
    seed: int,
    epoch: int,
    indices: Sequence[int],
) -> tuple[np.ndarray, np.ndarray]:
    """Change each picture of a batch, then mix neighbours.

    Args:
        images: HxWx3 uint8 RGB each, of any shapes; their centred square is what the device would see.
        targets: [N, classes] float32, each row a distribution over the classes.
        size: side of the squares to make, in pixels.
        seed: the run's.
        epoch: which epoch this is, from 0.
        indices: each picture's place in the training part.
    Returns:
        [N, size, size, 3] float32 pixels 0 to 255, and the targets, mixed as the pictures were.
    """
    draws = [_draws(seed, epoch, index) for index in indices]
    batch = np.empty((len(images), size, size, 3), np.float32)
    for place, (image, index, draw) in enumerate(zip(images, indices, draws, strict=True)):
        batch[place] = _augment(image, techniques, size, _mirrored(seed, epoch, index), draw)
    targets = np.asarray(targets, np.float32)
    if (techniques.mixup or techniques.cutmix) and len(batch) > 1:
        return _mix(batch, targets, techniques, draws)
    return batch, targets


def augment(image: np.ndarray, techniques: Augmentation, *, size: int, seed: int, epoch: int, index: int) -> np.ndarray:
    """One picture, HxWx3 uint8 RGB, changed as in a batch but not mixed: size×size×3 uint8."""
    return _augment(image, techniques, size, _mirrored(seed, epoch, index), _draws(seed, epoch, index))


def _augment(
    image: np.ndarray, techniques: Augmentation, size: int, mirrored: bool, draw: np.random.Generator
) -> np.ndarray:
    picture = _warp(image, techniques, size, techniques.flip and mirrored, draw)
    if techniques.brightness or techniques.contrast or techniques.saturation or techniques.hue:
        picture = cv2.transform(picture, _colour_matrix(picture, techniques, draw))
    if techniques.cutout:
        side = round(techniques.cutout * size)
        left, top = draw.integers(-side // 2, size - side // 2, 2)
        picture[max(top, 0) : top + side, max(left, 0) : left + side] = GREY
    return picture


def _draws(seed: int, epoch: int, index: int) -> np.random.Generator:
    """A stream of its own for each picture and epoch: Philox counts instead of mixing, so none overlap."""
    return np.random.Generator(np.random.Philox(key=(seed << 32) + epoch, counter=index << 64))


def _mirrored(seed: int, epoch: int, index: int) -> bool:
    """Whether it is this picture's turn to be mirrored: a fixed coin for the first epoch, then every other one."""
    coin = ((index * 0x9E3779B1 + seed * 0x85EBCA77) & 0xFFFFFFFF) >> 31
    return (coin + epoch) % 2 == 1


def _warp(
    image: np.ndarray, techniques: Augmentation, size: int, mirrored: bool, draw: np.random.Generator
) -> np.ndarray:
    """Crop, zoom, stretch, turn, shear, shift and mirror in one interpolation; beyond the picture it is reflected."""
    height, width = image.shape[:2]
    side = min(height, width)
    area, ratio, zoom, across, down, turn, slant = draw.uniform(-1, 1, 7)
    cut = math.sqrt(1 - (1 - techniques.smallest_area) * (area + 1) / 2)
    scale = cut / (1 + techniques.zoom * zoom)
    aspect = math.sqrt(techniques.stretch) ** ratio
    angle, shear = math.radians(techniques.rotation * turn), math.tan(math.radians(techniques.shear * slant))
    # From the made square's pixels to the source's: a crop may lie anywhere that its size leaves free.
    rotate = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    linear = rotate @ np.array([[aspect * (-1 if mirrored else 1), shear], [0, 1 / aspect]]) * (scale * side / size)
    free = np.array([width - side, height - side]) / 2 * (techniques.smallest_area < 1) + side * (1 - cut) / 2
    move = np.array([across, down]) * (free + techniques.shift * side)
    centre = np.array([width - 1, height - 1]) / 2 + move
    offset = centre - linear @ np.full(2, (size - 1) / 2)
    if np.allclose(np.abs(linear), np.eye(2)):
        offset = np.round(offset)  # A shift alone goes by whole pixels, which blurs nothing.
    return cv2.warpAffine(
        image,
        np.column_stack([linear, offset]),
        (size, size),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REFLECT_101,
    )


def _colour_matrix(picture: np.ndarray, techniques: Augmentation, draw: np.random.Generator) -> np.ndarray:
    """Brightness, contrast, saturation and hue as one 3×4 matrix on RGB: each is linear, so their product is."""
    bright, contrast, fade, turn = draw.uniform(-1, 1, 4)
    grey = np.tile(LUMA, (3, 1))
    saturation = 1 + techniques.saturation * fade
    colour = grey + saturation * _hue_turn(math.radians(techniques.hue * turn)) @ (np.eye(3) - grey)
    brightness = 1 + techniques.brightness * bright
    spread = 1 + techniques.contrast * contrast
    mean = brightness * float(LUMA @ picture.reshape(-1, 3).mean(axis=0))
    return np.column_stack([colour * brightness * spread, np.full(3, mean * (1 - spread))])


def _hue_turn(angle: float) -> np.ndarray:
    """Turn colours about the grey axis (Rodrigues' formula), by `angle` radians: 3×3."""
    axis = np.full(3, 1 / math.sqrt(3))
    cross = np.array([[0, -axis[2], axis[1]], [axis[2], 0, -axis[0]], [-axis[1], axis[0], 0]])
    return np.eye(3) + math.sin(angle) * cross + (1 - math.cos(angle)) * cross @ cross


def _mix(
    batch: np.ndarray, targets: np.ndarray, techniques: Augmentation, draws: list[np.random.Generator]
) -> tuple[np.ndarray, np.ndarray]:
    """Blend or paste each picture's neighbour in the batch into it, and their targets by the share each has kept."""
    mixed, blended = batch.copy(), targets.copy()
    for place, draw in enumerate(draws):
        other = (place + 1) % len(batch)
        paste = techniques.cutmix and (not techniques.mixup or draw.random() < 0.5)
        if paste:
            kept = _paste(mixed[place], batch[other], draw.beta(techniques.cutmix, techniques.cutmix), draw)
        else:
            kept = np.float32(draw.beta(techniques.mixup, techniques.mixup))
            cv2.addWeighted(batch[place], float(kept), batch[other], float(1 - kept), 0, dst=mixed[place])
        blended[place] = kept * targets[place] + (1 - kept) * targets[other]
    return mixed, blended


def _paste(picture: np.ndarray, other: np.ndarray, share: float, draw: np.random.Generator) -> np.float32:
    """Replace a rectangle of 1 - `share` of the area, cut off at the edges; the share that is left after that."""
    size = len(picture)
    half = math.sqrt(1 - share) * size / 2
    x, y = draw.uniform(0, size, 2)
    left, right = (round(min(max(edge, 0), size)) for edge in (x - half, x + half))
    top, bottom = (round(min(max(edge, 0), size)) for edge in (y - half, y + half))
    picture[top:bottom, left:right] = other[top:bottom, left:right]
    return np.float32(1 - (right - left) * (bottom - top) / size**2)
