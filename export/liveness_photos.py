"""Faces to calibrate and compare the liveness networks by: people of LFW's training part, plain and as pictures."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import cv2
import numpy as np

from device.access.facemodels import open_detector
from device.access.liveness.minifasnet import part_about
from device.datatypes import Box, Image
from device.errors import InputError
from export.calibration import read_picture
from export.face_bundles import open_face_bundle
from export.liveness_network import SIZE

Part = Literal["calibration", "comparison"]
PEOPLE = 120
"""Photos, each of somebody else; the first half calibrates, the other compares."""
FEWEST = 20


@dataclass(frozen=True)
class Held:
    """A picture and where its face is."""

    image: Image
    box: Box


@dataclass(frozen=True)
class Presented:
    """All of them. `fingerprint` names the photos they come from."""

    name: str
    fingerprint: str
    pictures: Sequence[Held]

    def cut(self, scale: float, part: Part) -> list[Image]:
        """What a network that looks at so many times the face's box sees: 80x80x3 uint8 RGB each."""
        middle = len(self.pictures) // 2
        chosen = self.pictures[:middle] if part == "calibration" else self.pictures[middle:]
        return [_cut(held, scale) for held in chosen]


def presented(data: Path) -> Presented:
    """Each face three times: as the photo is, with a white border on a grey wall, on a dark phone.

    Args:
        data: with `lfw/train/NAME/*.jpg`.
    Raises:
        InputError: there are too few photos.
    """
    folder = data / "lfw" / "train"
    files = [sorted(person.glob("*.jpg"))[0] for person in sorted(folder.glob("*")) if any(person.glob("*.jpg"))]
    files = files[:: max(1, len(files) // PEOPLE)][:PEOPLE]
    if len(files) < FEWEST:
        raise InputError(
            f"no faces at {folder}: the liveness networks are compared and quantized by those of {FEWEST} people at "
            "least; put lfw/train there, or set SERENO_DATA to a folder that holds it"
        )
    open_face_bundle("yunet")
    detector = open_detector("yunet")
    pictures = []
    for file in files:
        photo = read_picture(file)
        for shown in (photo, _framed(photo, 240, 150), _framed(photo, 20, 90)):
            faces = detector.detect(shown)
            if faces:
                pictures.append(Held(shown, faces[0].xyxy))
    digest = hashlib.sha256("\n".join(f"{file.parent.name}/{file.name}" for file in files).encode()).hexdigest()
    return Presented("lfw", f"{len(files)} photos, names {digest[:16]}", pictures)


def _framed(photo: Image, border: int, wall: int) -> Image:
    """The photo with a border of one grey in a picture of another, 640x480."""
    side = 300
    card = cv2.resize(photo, (side, side), interpolation=cv2.INTER_CUBIC)
    card = cv2.copyMakeBorder(card, 24, 24, 18, 18, cv2.BORDER_CONSTANT, value=(border, border, border))
    scene = np.full((480, 640, 3), wall, np.uint8)
    height, width = card.shape[:2]
    top, left = (480 - height) // 2, (640 - width) // 2
    scene[top : top + height, left : left + width] = card
    return scene


def _cut(held: Held, scale: float) -> Image:
    part = part_about(held.box, scale, held.image.shape[1], held.image.shape[0])
    crop = held.image[part.top : part.bottom, part.left : part.right]
    square: Image = cv2.resize(crop, (SIZE, SIZE), interpolation=cv2.INTER_LINEAR)
    return square
