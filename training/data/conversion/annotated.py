"""What every annotation format comes down to: photos with named boxes in pixels, and what could not be taken over."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PureWindowsPath
from urllib.parse import parse_qs, unquote, urlsplit

import numpy as np
import numpy.typing as npt

from device.capture.pictures import SUFFIXES
from export.datasets.folders import SPLIT_NAMES


@dataclass(frozen=True)
class NamedBox:
    """A box in pixels of the picture as the annotation measures it."""

    name: str
    xyxy: tuple[float, float, float, float]


@dataclass(frozen=True)
class AnnotatedPhoto:
    """A photo and its boxes. `size` is what the annotation says of width and height, or None."""

    path: Path
    boxes: tuple[NamedBox, ...]
    size: tuple[float, float] | None = None
    split: str | None = None


@dataclass
class Remarks:
    """What a person must be told of a conversion: kinds of things, each with where they were."""

    found: dict[str, list[str]] = field(default_factory=dict)

    def tell(self, what: str, where: str) -> None:
        """Remember that it happened there."""
        self.found.setdefault(what, []).append(where)

    def lines(self) -> list[str]:
        """One line a kind: how often, and the first place."""
        return [f"{len(places):,} x {what}, as {places[0]}" for what, places in self.found.items()]


@dataclass(frozen=True)
class Annotated:
    """A whole set. `names` in the order of their numbers."""

    root: Path
    names: tuple[str, ...]
    photos: tuple[AnnotatedPhoto, ...]
    remarks: Remarks


class PhotoIndex:
    """Finds the photo that an annotation means: what it calls it is often a path on the annotator's computer."""

    def __init__(self, root: Path) -> None:
        """Look through all that is below `root`."""
        self._root = root
        self.files = sorted(
            path for path in root.rglob("*") if path.suffix.lower() in SUFFIXES and not path.name.startswith("._")
        )
        self._known = set(self.files)
        self._by_name: dict[str, list[Path]] = {}
        for path in self.files:
            for name in (path.name, path.stem):
                self._by_name.setdefault(name, []).append(path)

    def relative(self, path: Path) -> Path:
        """Without the root, whose own folders may be called train."""
        return path.relative_to(self._root) if path.is_relative_to(self._root) else Path(path.name)

    def find(self, names: Iterable[str], near: Path, split: str | None = None) -> Path | None:
        """The photo of the first name that leads to one: as a path from the folder `near`, or by its last part.

        Of several photos of one name the one in `near` is meant, then the only one of the split; else none.
        """
        for name in names:
            last = last_part(name)
            if not last:
                continue
            direct = near / name.replace("\\", "/")
            direct = Path(os.path.normpath(direct))
            if direct in self._known:
                return direct
            candidates = self._by_name.get(last, [])
            beside = [path for path in candidates if path.parent == near]
            same = [path for path in candidates if split_of(self.relative(path)) == split]
            for choice in (beside, same, candidates):
                if len(choice) == 1:
                    return choice[0]
        return None


def last_part(name: str) -> str:
    r"""The file's name out of a path, a Windows path, or an address, as `/data/local-files/?d=set/a.jpg`."""
    parts = urlsplit(name) if "?" in name or "://" in name else None
    if parts is not None:
        name = next(iter(parse_qs(parts.query).get("d", ())), parts.path)
        name = unquote(name)
    return PureWindowsPath(name).name


def split_of(path: Path) -> str | None:
    """The split that the nearest folder of such a name says: train, valid, val2017, …"""
    for part in reversed(path.parts[:-1]):
        found = split_named(part)
        if found:
            return found
    return None


def split_named(text: str) -> str | None:
    """The split that a word means, years and all."""
    word = text.lower().rstrip("0123456789")
    return next((split for split, names in SPLIT_NAMES.items() if word in names), None)


def around(corners: npt.ArrayLike) -> tuple[float, float, float, float]:
    """The upright box around [N, 2] points."""
    points = np.asarray(corners, np.float64).reshape(-1, 2)
    (left, top), (right, bottom) = points.min(0), points.max(0)
    return float(left), float(top), float(right), float(bottom)


def around_rotated(
    middle: tuple[float, float], size: tuple[float, float], radians: float
) -> tuple[float, float, float, float]:
    """The upright box around a rotated one: its middle, width and height, and angle."""
    cosine, sine = abs(np.cos(radians)), abs(np.sin(radians))
    half_width = (size[0] * cosine + size[1] * sine) / 2
    half_height = (size[0] * sine + size[1] * cosine) / 2
    return middle[0] - half_width, middle[1] - half_height, middle[0] + half_width, middle[1] + half_height


def unlabelled(index: PhotoIndex, used: Mapping[Path, object], root: Path, remarks: Remarks) -> None:
    """Tell of photos that no annotation speaks of."""
    for path in index.files:
        if path not in used:
            remarks.tell("a photo without annotations, left out", path.relative_to(root).as_posix())
