"""Aligned faces of people in folders, by the device's own detector and alignment, kept for the next time."""

from __future__ import annotations

import hashlib
import os
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from device.access import alignment, face_detector, face_heads
from device.access.alignment import FloatArray, align
from device.access.face_detector import FaceDetector
from device.capture.pictures import read_picture
from device.datatypes import Image
from device.errors import InputError
from device.inference import boxes, letterbox
from device.inference.interpreter import open_interpreter
from export import ROOT
from export.datasets.folders import photos, subfolders
from export.face_bundles import open_face_bundle

CACHE = ROOT / ".cache" / "face-crops"
DETECTOR = "yunet"
SOURCES = (alignment, boxes, face_detector, face_heads, letterbox)
"""What makes a crop of a photo: when one of these changes, crops that were kept before are not used again."""


@dataclass(frozen=True)
class Photo:
    """One photo of one person; `key` is `person/file` and unique in its set."""

    path: Path
    person: str

    @property
    def key(self) -> str:
        """What pairs and reports call it."""
        return f"{self.person}/{self.path.name}"


@dataclass(frozen=True)
class Crops:
    """Aligned faces: `faces` Nx112x112x3 uint8 RGB; `keys` and `people` name them; in `missed` no face was found."""

    faces: npt.NDArray[np.uint8]
    keys: tuple[str, ...]
    people: tuple[str, ...]
    missed: tuple[str, ...]
    fingerprint: str

    @cached_property
    def labels(self) -> npt.NDArray[np.int64]:
        """A number for each person, in the order of their names."""
        return np.unique(np.array(self.people), return_inverse=True)[1].astype(np.int64)

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Each person once, sorted: `names[labels[i]] == people[i]`."""
        return tuple(sorted(set(self.people)))

    def of(self, people: Sequence[str]) -> Crops:
        """Those of some people only."""
        wanted = set(people)
        rows = [row for row, person in enumerate(self.people) if person in wanted]
        return Crops(
            self.faces[rows],
            tuple(self.keys[row] for row in rows),
            tuple(self.people[row] for row in rows),
            tuple(key for key in self.missed if key.rsplit("/", 1)[0] in wanted),
            hashlib.sha256(f"{self.fingerprint} {sorted(wanted)}".encode()).hexdigest(),
        )


def find_photos(folder: Path) -> list[Photo]:
    """The photos of a folder that holds a folder for each person.

    Raises:
        InputError: there is no such folder, or no photo in any folder of it.
    """
    if not folder.is_dir():
        raise InputError(f"there is no folder {folder}; faces are photos in a folder for each person")
    found = [Photo(path, person.name) for person in subfolders(folder) for path in photos(person)]
    if not found:
        raise InputError(f"{folder} holds no photos in folders: faces are photos in a folder for each person")
    return found


class Aligner:
    """The device's way from a photo to an aligned face."""

    def __init__(self, name: str = DETECTOR, template: FloatArray | None = None) -> None:
        """Open the bundle of a face detector, made of its weights where it is not there yet.

        Args:
            name: of the detector.
            template: 5x2, where the landmarks shall lie; default the detector's own.
        Raises:
            InputError: the bundle cannot be made.
        """
        bundle = open_face_bundle(name)
        self._detector = FaceDetector(bundle, open_interpreter(bundle))
        sources = hashlib.sha256(b"".join(Path(module.__file__ or "").read_bytes() for module in SOURCES))
        manifest = bundle.manifest
        self.fingerprint = f"{sources.hexdigest()} {manifest.model_dump_json(include={'files', 'input', 'thresholds'})}"
        """Changes when the same photo would give another crop."""
        self._template = self._detector.template if template is None else template
        if template is not None:
            self.fingerprint += f" template {template.tolist()}"

    def face(self, image: Image) -> Image | None:
        """The largest face of HxWx3 uint8 RGB as 112x112x3 uint8, found as `sereno embed` does; None without one."""
        found = self._detector.detect(image, thorough=True)
        return align(image, found[0].landmarks, self._template) if found else None


def aligned_crops(found: Sequence[Photo], aligner: Aligner | None = None, cache: Path = CACHE) -> Crops:
    """The largest face of each photo, aligned; from the cache where the same photos were aligned before.

    Args:
        found: from `find_photos`.
        aligner: default `Aligner()`.
        cache: folder of .npz files named by fingerprint; 25 KB a face.
    Raises:
        InputError: a photo cannot be read.
    """
    aligner = aligner or Aligner()
    fingerprint = photos_fingerprint(found, aligner)
    kept = cache / f"{fingerprint}.npz"
    if kept.is_file() and (crops := _read(kept, fingerprint)) is not None:
        return crops
    faces, keys, people, missed = [], [], [], []
    for photo in tqdm(found, desc="aligning faces", unit="photo", disable=None, leave=False):
        face = aligner.face(read_picture(photo.path))
        if face is None:
            missed.append(photo.key)
            continue
        faces.append(face)
        keys.append(photo.key)
        people.append(photo.person)
    if not faces:
        raise InputError(f"no face was found in any of {len(found)} photos beside {found[0].path}")
    crops = Crops(np.stack(faces), tuple(keys), tuple(people), tuple(missed), fingerprint)
    _keep(crops, kept)
    return crops


def photos_fingerprint(found: Sequence[Photo], aligner: Aligner) -> str:
    """Of the photos' content and names, and of what finds and aligns the faces in them. Raises InputError."""
    digest = hashlib.sha256(aligner.fingerprint.encode())
    for photo in found:
        try:
            content = hashlib.sha256(photo.path.read_bytes()).hexdigest()
        except OSError as error:
            raise InputError(f"the photo {photo.path} cannot be read: {error.strerror}") from None
        digest.update(f"{photo.key} {content}\n".encode())
    return digest.hexdigest()


def _read(kept: Path, fingerprint: str) -> Crops | None:
    """What was kept; None where the file is damaged."""
    try:
        with np.load(kept, allow_pickle=False) as content:
            keys = tuple(content["keys"].tolist())
            people = tuple(content["people"].tolist())
            return Crops(content["faces"], keys, people, tuple(content["missed"].tolist()), fingerprint)
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return None


def _keep(crops: Crops, kept: Path) -> None:
    kept.parent.mkdir(parents=True, exist_ok=True)
    scratch = kept.with_name(f".{kept.stem}-{os.getpid()}.npz")
    try:
        np.savez(
            scratch,
            faces=crops.faces,
            keys=np.array(crops.keys, np.str_),
            people=np.array(crops.people, np.str_),
            missed=np.array(crops.missed, np.str_),
        )
        scratch.replace(kept)
    finally:
        scratch.unlink(missing_ok=True)
