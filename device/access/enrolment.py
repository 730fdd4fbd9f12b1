"""Which photos make a template: good ones, of one main face, that agree with each other and are nobody else's."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np

from device.access.alignment import FloatArray, align
from device.access.face_detector import FaceDetector
from device.access.gallery import Gallery, Ranked
from device.access.quality import Limits, assess
from device.access.recognizer import Embedding, Recognizer
from device.datatypes import Face, Image
from device.errors import InputError

MAIN_FACE = 0.75
"""A second face of this share of the main one's height makes a photo nobody's in particular. In 24 photos of LFW whose
second face has 0.5 to 0.75 of the largest one's height the largest is the named person's, each time."""
AGREE_FMR = 1e-4
"""Photos agree from the threshold of this rate on. Of 2,130 photos of 328 people it refuses 10, two of which are known
to show somebody else; of 2,572 strangers slipped in among two to five good photos it lets none in (8 at 1e-3, 58 at
1e-2)."""
LIMITS = Limits(size_px=40)
"""What a photo must be for enrolling; `confidence` is the detector's own."""


@dataclass(frozen=True, slots=True, eq=False)
class Accepted:
    """A photo that counts: its name for people, its embedding (with the mirror image's), its aligned face (112x112x3
    uint8 RGB)."""

    name: str
    embedding: Embedding
    aligned: Image

    @property
    def digest(self) -> str:
        """Tells this picture of a face from any other."""
        return hashlib.sha256(self.aligned.tobytes()).hexdigest()[:32]


@dataclass(frozen=True, slots=True)
class Refused:
    """A photo that doesn't count, and why, in a few words."""

    name: str
    reason: str


class PhotoJudge:
    """Looks at photos one by one. Remembers those it accepted: the same picture twice is one photo."""

    def __init__(
        self, detector: FaceDetector, recognizer: Recognizer, limits: Limits = LIMITS, before: Iterable[str] = ()
    ) -> None:
        """`limits.confidence` is replaced by the detector's own. `before`: digests of pictures that count already."""
        self._detector = detector
        self._recognizer = recognizer
        self._limits = replace(limits, confidence=detector.clear)
        self._seen = dict.fromkeys(before, "")
        self.known = 0
        """Photos that were refused because they count already."""

    def look(self, name: str, image: Image) -> Accepted | Refused:
        """Judge a photo: HxWx3 uint8 RGB."""
        faces = self._detector.detect(image)
        if not faces:
            return Refused(name, "no face was found")
        face, *others = faces
        if any(_height(other) > MAIN_FACE * _height(face) for other in others):
            return Refused(name, "more than one face: one must be clearly the largest")
        return self.look_at(name, image, face, others)

    def look_at(self, name: str, image: Image, face: Face, others: Sequence[Face] = ()) -> Accepted | Refused:
        """Judge one face of a photo."""
        reasons = assess(image, face, others, self._detector.template, self._limits).reasons
        if reasons:
            return Refused(name, f"the face is {', '.join(reasons)}")
        return self._accept(name, align(image, face.landmarks, self._detector.template))

    def look_in_crop(self, name: str, crop: Image, landmarks: FloatArray) -> Accepted | Refused:
        """Take a face that was judged already: part of a picture (HxWx3 uint8 RGB), and five landmarks there."""
        return self._accept(name, align(crop, landmarks, self._detector.template))

    def _accept(self, name: str, aligned: Image) -> Accepted | Refused:
        photo = Accepted(name, self._recognizer.embed(aligned, mirrored=True), aligned)
        first = self._seen.setdefault(photo.digest, name)
        if first == name:
            return photo
        self.known += not first
        return Refused(name, f"the same picture as {first}" if first else "it was enrolled before")


def agreeing(
    photos: Sequence[Accepted], threshold: float, known: Embedding | None = None
) -> tuple[list[Accepted], list[Refused]]:
    """Those that show one person, and the others.

    The photo that is most like the rest is believed; who is not like the mean of its like is refused. Where there is a
    template already, that is believed.

    Args:
        photos: in any order.
        threshold: cosine similarity from which on two photos are one person's: see `AGREE_FMR`.
        known: the person's template, unit length, where there is one.
    Raises:
        InputError: no more than half of the photos agree with each other: nobody can tell whose they are.
    """
    if not photos:
        return [], []
    stacked = np.stack([photo.embedding for photo in photos])
    centre = known if known is not None else _centre(stacked, threshold)
    alike = stacked @ centre
    kept = [photo for photo, similarity in zip(photos, alike.tolist(), strict=True) if similarity >= threshold]
    refused = [
        Refused(photo.name, f"looks like another person than the others (similarity {similarity:.2f})")
        for photo, similarity in zip(photos, alike.tolist(), strict=True)
        if similarity < threshold
    ]
    if known is None and len(photos) > 1 and 2 * len(kept) <= len(photos):
        raise InputError(
            f"the photos show different people: only {len(kept)} of {len(photos)} agree with each other; "
            "give photos of one person"
        )
    return kept, refused


def _centre(stacked: FloatArray, threshold: float) -> Embedding:
    """Unit mean of the photo with most others like it, and of those (nxd float32, unit rows)."""
    pairs = stacked @ stacked.T
    near = pairs >= threshold
    best = max(range(len(stacked)), key=lambda index: (int(near[index].sum()), float(pairs[index].sum())))
    mean: Embedding = stacked[near[best] | (np.arange(len(stacked)) == best)].mean(axis=0)
    return mean / np.float32(np.linalg.norm(mean))


def others_than(
    photos: Iterable[Accepted], gallery: Gallery, threshold: float, own: str | None = None
) -> tuple[list[Accepted], list[Refused]]:
    """Those that look like nobody else in the gallery, and those that do.

    Args:
        photos: of one person.
        gallery: of all.
        threshold: cosine similarity from which on a face is somebody's.
        own: the person's id, where they are in the gallery: their own photos are no others.
    """
    kept: list[Accepted] = []
    refused: list[Refused] = []
    names = gallery.names()
    for photo in photos:
        double = double_of(photo.embedding, gallery, threshold, own)
        if double is None:
            kept.append(photo)
        else:
            like = f"looks like {names[double.person]}, who is enrolled (similarity {double.similarity:.2f})"
            refused.append(Refused(photo.name, like))
    return kept, refused


def double_of(embedding: Embedding, gallery: Gallery, threshold: float, own: str | None = None) -> Ranked | None:
    """The person, other than `own`, whose template an embedding or a template is like; None where there is none, or
    `own` is more alike."""
    ranked = gallery.rank(embedding, 2)
    if not ranked or ranked[0].person == own:
        return None
    return ranked[0] if ranked[0].similarity >= threshold else None


def png_of(aligned: Image) -> bytes:
    """An aligned face (112x112x3 uint8 RGB) as PNG: without loss, so that a template can be made of it again."""
    return cv2.imencode(".png", cv2.cvtColor(aligned, cv2.COLOR_RGB2BGR))[1].tobytes()


def _height(face: Face) -> float:
    return face.xyxy[3] - face.xyxy[1]
