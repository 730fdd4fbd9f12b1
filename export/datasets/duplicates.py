"""The same picture twice: exactly, or seen again after scaling and another compression."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import numpy.typing as npt

HASH_DISTANCE = 10
"""Of 64 bits: pairs further apart than this are not looked at any closer."""

PIXEL_DISTANCE = 6.0
"""Root mean square over the thumbnails' values (0 to 255) up to which two pictures are the same."""

_ROWS = 512


def perceptual_hashes(thumbnails: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint64]:
    """64 bits for each of [N, 32, 32, 3] RGB: the signs of the lowest 8 x 8 DCT terms about their median.

    The "pHash" of Zauner, "Implementation and Benchmarking of Perceptual Image Hash Functions" (2010).
    """
    bits = np.empty((len(thumbnails), 64), np.uint8)
    for row, picture in zip(bits, thumbnails, strict=True):
        grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY).astype(np.float32)
        low = cv2.dct(grey)[:8, :8].ravel()
        row[:] = low > np.median(low)
    return np.packbits(bits, axis=1).view(np.uint64).ravel()


def near_pairs(thumbnails: npt.NDArray[np.uint8]) -> list[tuple[int, int, float]]:
    """Pairs (i, j, distance) with i < j of [N, 32, 32, 3] uint8 RGB that show the same picture."""
    hashes = perceptual_hashes(thumbnails)
    pairs = []
    for start in range(0, len(hashes), _ROWS):
        block = hashes[start : start + _ROWS]
        distances = np.bitwise_count(block[:, None] ^ hashes[None, start:])
        for row, column in np.argwhere(distances <= HASH_DISTANCE):
            if column > row:
                first, second = start + int(row), start + int(column)
                distance = pixel_distance(thumbnails[first], thumbnails[second])
                if distance <= PIXEL_DISTANCE:
                    pairs.append((first, second, distance))
    return pairs


def pixel_distance(a: npt.NDArray[np.uint8], b: npt.NDArray[np.uint8]) -> float:
    """Root mean square of the difference of two thumbnails."""
    return float(np.sqrt(np.mean((a.astype(np.float32) - b.astype(np.float32)) ** 2)))


def groups(count: int, pairs: Sequence[tuple[int, int]]) -> list[list[int]]:
    """0 to count - 1 in groups that the pairs hold together, each in order, ordered by their first."""
    parent = list(range(count))

    def root(index: int) -> int:
        while parent[index] != index:
            parent[index] = parent[parent[index]]
            index = parent[index]
        return index

    for a, b in pairs:
        low, high = sorted((root(a), root(b)))
        parent[high] = low
    members: dict[int, list[int]] = {}
    for index in range(count):
        members.setdefault(root(index), []).append(index)
    return list(members.values())
