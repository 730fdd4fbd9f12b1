"""Who is in this picture: the faces of one still, each with the name of the person whom the door would take it for."""

from __future__ import annotations

from dataclasses import dataclass

from device.access.alignment import align
from device.access.face_detector import FaceDetector
from device.access.gallery import Gallery
from device.access.identification import accepts
from device.access.policy.rules import Rules
from device.access.quality import Limits, assess
from device.access.recognizer import Recognizer
from device.datatypes import Box, Image
from device.errors import InputError

MOST_FACES = 64
"""Of one picture, the largest."""


@dataclass(frozen=True, slots=True)
class Recognised:
    """One face. `name` and `person` (the random id) are empty where nobody is known by it; `similarity` is that of the
    person most like it, None in an empty gallery; `quality` lists what is wrong with the picture of it."""

    name: str
    person: str
    similarity: float | None
    xyxy: Box
    quality: tuple[str, ...]


class Recognition:
    """Names the faces of stills. A single picture shows nobody to be alive: this opens no door. Any thread may ask."""

    def __init__(self, detector: FaceDetector, recognizer: Recognizer, gallery: Gallery, rules: Rules) -> None:
        """`rules` are the door's own: its target, thresholds and margin. Models and gallery may be shared with it."""
        self._detector, self._recognizer, self._gallery, self._rules = detector, recognizer, gallery, rules
        self._limits = Limits(confidence=detector.clear)

    def faces(self, image: Image) -> list[Recognised]:
        """The faces of a picture, the largest first.

        Args:
            image: HxWx3 uint8, RGB.
        Raises:
            InputError: the gallery cannot be used, or a model fails.
        """
        names = self._gallery.names()
        if self._gallery.fault:
            raise InputError(self._gallery.fault)
        found = self._detector.detect(image)[:MOST_FACES]
        template = self._detector.template
        named: list[Recognised] = []
        for face in found:
            others = [other for other in found if other is not face]
            quality = assess(image, face, others, template, self._limits).reasons
            match = self._gallery.match(self._recognizer.embed(align(image, face.landmarks, template)))
            person = match.person if match is not None and accepts(match, self._rules) else ""
            similarity = match.similarity if match is not None else None
            named.append(Recognised(names.get(person, ""), person, similarity, face.xyxy, quality))
        return named
