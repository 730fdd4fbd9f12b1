"""Which frames of a person are worth keeping for a dataset: good ones, of one person, each unlike those before."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from device.access.alignment import FloatArray, align
from device.access.face_detector import FaceDetector
from device.access.quality import INNER, Limits, assess
from device.access.recognizer import Embedding, similarity
from device.datatypes import Box, Face, Image
from device.errors import InputError

ALIKE = 0.92
"""Correlation of two aligned faces from which on they are the same picture for a dataset. Frames of one talking face a
quarter of a second apart have 0.70 to 0.94 in the median, the most alike ones 0.98."""
THUMBNAIL = 24
MARGIN = 1.7
"""Side of a crop over the longer side of the face's box."""
AGREE = 3
"""So many good frames in a row must look like somebody else before a folder is refused: one may be mistaken."""

Embed = Callable[[Image], Embedding]


@dataclass(frozen=True, slots=True)
class Identity:
    """Who is expected, and who else is known: mean embeddings of unit length.

    Args:
        embed: from an aligned face to its embedding.
        expected: of the crops that are there; None where there are none yet.
        others: of other people's crops, by name.
        alike: cosine similarity from which on a face may be the expected person's: a lenient threshold.
        surely: from which on it is somebody's: a strict one.
    """

    embed: Embed
    expected: Embedding | None
    others: Mapping[str, Embedding]
    alike: float
    surely: float


@dataclass(frozen=True, slots=True)
class Kept:
    """A crop to keep: HxHx3 uint8 RGB, and where the five landmarks of its face are (5x2, pixels of the crop)."""

    crop: Image
    landmarks: FloatArray


@dataclass(frozen=True, slots=True)
class Refused:
    """Why a frame is not kept, in two or three words."""

    reason: str


class Collector:
    """Looks at frames in their order. `refusals` counts the reasons, a frame's first one only."""

    def __init__(self, detector: FaceDetector, limits: Limits, identity: Identity | None, name: str) -> None:
        """`name` is the person's, for messages; without `identity` nobody is told from anybody."""
        self.refusals: Counter[str] = Counter()
        self.kept = 0
        self._detector = detector
        self._limits = limits
        self._identity = identity
        self._name = name
        self._seen: list[npt.NDArray[np.float32]] = []
        self._sum = None if identity is None or identity.expected is None else identity.expected.copy()
        self._strangers = 0
        self._known: Counter[str] = Counter()

    def remember(self, image: Image, landmarks: FloatArray | None = None) -> None:
        """Take a picture that was kept earlier into account: nothing like it is kept again.

        Args:
            image: HxWx3 uint8 RGB.
            landmarks: of its face, 5x2, where they are known; found again they would be a little elsewhere.
        """
        if landmarks is None:
            faces = self._detector.detect(image)
            if not faces:
                return
            landmarks = faces[0].landmarks
        self._seen.append(_thumbnail(align(image, landmarks, self._detector.template)))

    def look(self, image: Image) -> Kept | Refused:
        """Judge one frame, HxWx3 uint8 RGB.

        Raises:
            InputError: the first good frames show another person than the crops that are there, or one whose crops
                have another name.
        """
        verdict = self._judge(image)
        if isinstance(verdict, Refused):
            self.refusals[verdict.reason] += 1
        else:
            self.kept += 1
        return verdict

    def _judge(self, image: Image) -> Kept | Refused:
        faces = self._detector.detect(image)
        if len(faces) != 1:
            return Refused("no face" if not faces else "more than one face")
        [face] = faces
        quality = assess(image, face, (), self._detector.template, self._limits)
        if quality.reasons:
            return Refused(quality.reasons[0])
        aligned = align(image, face.landmarks, self._detector.template)
        thumbnail = _thumbnail(aligned)
        if any(float(thumbnail @ seen) > ALIKE for seen in self._seen):
            return Refused("like an earlier one")
        if not self._right_person(aligned):
            return Refused("another person")
        self._seen.append(thumbnail)
        return crop_square(image, face)

    def _right_person(self, aligned: Image) -> bool:
        """Whether the face may be the expected one; what is kept makes the expectation surer."""
        identity = self._identity
        if identity is None:
            return True
        embedding = identity.embed(aligned)
        if self._known_otherwise(embedding, identity):
            return False
        if self._sum is not None:
            alike = similarity(embedding, self._sum / np.linalg.norm(self._sum))
            if alike < identity.alike:
                self._count_stranger(alike, identity)
                return False
        self._strangers = 0
        self._sum = embedding.copy() if self._sum is None else self._sum + embedding
        return True

    def _count_stranger(self, alike: float, identity: Identity) -> None:
        self._strangers += 1
        if identity.expected is not None and not self.kept and self._strangers >= AGREE:
            raise InputError(
                f"the crops of {self._name} that are there show another person than the one in view (similarity "
                f"{alike:.2f}, {identity.alike:.2f} is wanted): give this person a name of their own"
            )

    def _known_otherwise(self, embedding: Embedding, identity: Identity) -> bool:
        """Whether the face is somebody else's whose crops are there; `AGREE` good frames that say so are an error."""
        if self.kept or not identity.others:
            return False
        alike, name = max((similarity(embedding, other), name) for name, other in identity.others.items())
        own = -1.0 if identity.expected is None else similarity(embedding, identity.expected)
        if alike < identity.surely or own >= alike:
            return False
        self._known[name] += 1
        if self._known[name] >= AGREE:
            raise InputError(
                f"the person in view looks like {name}, whose crops are there already (similarity {alike:.2f}, "
                f"{identity.surely:.2f} is enough): capture {name} to add to them"
            )
        return True


def crop_square(image: Image, face: Face) -> Kept:
    """A square about the face with room on all sides, moved inside the picture, smaller only where that is smaller."""
    height, width = image.shape[:2]
    left, top, side = _square(face.xyxy, width, height)
    crop = np.ascontiguousarray(image[top : top + side, left : left + side])
    return Kept(crop, face.landmarks - np.array([left, top], np.float32))


def _square(box: Box, width: int, height: int) -> tuple[int, int, int]:
    """Left, top and side in pixels."""
    x1, y1, x2, y2 = box
    side = min(round(max(x2 - x1, y2 - y1) * MARGIN), width, height)
    left = min(max(round((x1 + x2 - side) / 2), 0), width - side)
    top = min(max(round((y1 + y2 - side) / 2), 0), height - side)
    return left, top, side


def _thumbnail(aligned: Image) -> npt.NDArray[np.float32]:
    """What two faces are compared by: a small grey picture of zero mean and unit length, as a vector."""
    grey = cv2.cvtColor(aligned, cv2.COLOR_RGB2GRAY)[INNER]
    small = cv2.resize(grey, (THUMBNAIL, THUMBNAIL), interpolation=cv2.INTER_AREA).astype(np.float32).ravel()
    small -= small.mean()
    vector: npt.NDArray[np.float32] = small / max(float(np.linalg.norm(small)), 1e-6)
    return vector
