"""The same picture twice: exactly, or seen again after scaling and another compression."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np
import numpy.typing as npt


class Likeness(NamedTuple):
    """How far apart two thumbnails may be, in bits of 64 and in the root mean square of their values (0 to 255)."""

    bits: int
    rms: float


SAME = Likeness(4, 25.0)
"""The same photo, in another size or compression.

On 2,400 photos of cats and dogs, 1,660 of animals, 300 of cacao pods and 5,272 faces this finds 25 pairs; looked at,
each is one photo twice. The nearest pair of different things that was seen is 6 bits and 37 apart; at 8 bits and 40
there are 19 false pairs of faces. Of 458 photos it knows all again at half and twice the size and at JPEG quality 30;
95 % less 1 % at each side, and 69 % less 2 %.
"""

SIMILAR = Likeness(8, 42.0)
"""Also cropped, written upon, or taken a second later.

This finds 24 pairs of animals, each one photo or scene, and one of cacao. It knows 98 % again less 2 % at each side,
99 % turned by 2 degrees or a fifth brighter, and a third less 5 %. Among portraits and things on white it also finds
pairs that only look alike: to keep those on one side of a split costs nothing, but they are no fault.
"""

_ROWS = 512
_NEAREST = 16


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


def near_pairs(
    thumbnails: npt.NDArray[np.uint8], likeness: Likeness = SAME, *, mirrored: bool = True
) -> list[tuple[int, int, float]]:
    """Pairs (i, j, rms) with i < j of [N, 32, 32, 3] uint8 RGB that are within `likeness`, perhaps in a mirror.

    Of equal thumbnails each is paired with the first alone, and of very many alike each with the 16 nearest: enough to
    hold groups together, where all pairs of a still camera's photos would be millions.
    """
    first_of: dict[bytes, int] = {}
    equal = [(first_of.setdefault(picture.tobytes(), index), index) for index, picture in enumerate(thumbnails)]
    pairs = [(first, index, 0.0) for first, index in equal if first < index]
    firsts = list(first_of.values())
    if not firsts:
        return []
    pictures = thumbnails[firsts]
    hashes = perceptual_hashes(pictures)
    found = _near(pictures, hashes, pictures, hashes, likeness)
    if mirrored:
        flipped = np.ascontiguousarray(pictures[:, :, ::-1])
        found = _near(pictures, hashes, flipped, perceptual_hashes(flipped), likeness) | found
    return sorted(pairs + [(firsts[a], firsts[b], rms) for (a, b), rms in found.items()])


def near_across(
    pictures: npt.NDArray[np.uint8], others: npt.NDArray[np.uint8], likeness: Likeness = SAME
) -> list[tuple[int, int, float]]:
    """For each of [N, 32, 32, 3] uint8 RGB the nearest of the others [M, 32, 32, 3], where it is within `likeness`.

    Of 5,000 test tiles of CIFAR-10 this finds 28 again among the 50,000 for training. Looked at, each is the same photo
    in another tone or cut, or for some cars perhaps the same model in the same view; none is equal to the last bit.
    """
    if not len(pictures) or not len(others):
        return []
    their_hashes, found = perceptual_hashes(others), []
    for index, own in enumerate(perceptual_hashes(pictures)):
        candidates = np.flatnonzero(np.bitwise_count(own ^ their_hashes) <= likeness.bits)
        nearest = min(
            ((pixel_distance(pictures[index], others[other]), int(other)) for other in candidates), default=None
        )
        if nearest is not None and nearest[0] <= likeness.rms:
            found.append((index, nearest[1], nearest[0]))
    return found


def _near(
    pictures: npt.NDArray[np.uint8],
    hashes: npt.NDArray[np.uint64],
    others: npt.NDArray[np.uint8],
    their_hashes: npt.NDArray[np.uint64],
    likeness: Likeness,
) -> dict[tuple[int, int], float]:
    """Each of the pictures with each later one of the others: first by the bits, and then by the pixels."""
    pairs = {}
    for start in range(0, len(hashes), _ROWS):
        distances = np.bitwise_count(hashes[start : start + _ROWS, None] ^ their_hashes[None, start:])
        near = np.triu(distances <= likeness.bits, 1)
        for row in np.flatnonzero(near.any(axis=1)):
            columns = np.flatnonzero(near[row])
            if len(columns) > _NEAREST:
                columns = columns[np.argsort(distances[row, columns], kind="stable")[:_NEAREST]]
            for column in columns:
                first, second = start + int(row), start + int(column)
                rms = pixel_distance(pictures[first], others[second])
                if rms <= likeness.rms:
                    pairs[first, second] = rms
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
