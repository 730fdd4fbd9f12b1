"""A door's page with real parts: real models, a real gallery of real people, a real access log."""

from __future__ import annotations

import base64
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import simplejpeg

from device.access.accessbook import AccessBook
from device.access.alignment import align
from device.access.audit import FILE, Audit
from device.access.face_detector import FaceDetector
from device.access.gallery import Gallery, new_id
from device.access.galleryrecords import Consent, Person
from device.access.peopledesk import PeopleDesk
from device.access.policy.rules import Rules
from device.access.recognition import Recognition
from device.access.recognizer import Embedding, Recognizer
from device.capture.pictures import read_picture
from device.datatypes import Image
from device.inference.interpreter import open_interpreter
from device.inference.manifest import load_bundle
from device.web.doorboard import DoorBoard
from device.web.doorsources import DoorSources
from tests import facemodels

Photos = Mapping[str, list[Image]]


@dataclass
class Models:
    """Detector and embedder, opened once for all tests."""

    detector: FaceDetector
    recognizer: Recognizer

    @classmethod
    def open(cls, folder: Path) -> Models:
        facemodels.write_detectors(folder)
        bundle = load_bundle(facemodels.embedder())
        return cls(facemodels.open_detector(folder, "yunet"), Recognizer(bundle, open_interpreter(bundle)))

    def enrolled(self, people: Photos) -> dict[str, list[Embedding]]:
        """What the gallery keeps of each photo."""
        return {name: [self.embed(photo, mirrored=True) for photo in photos] for name, photos in people.items()}

    def embed(self, image: Image, *, mirrored: bool = False) -> Embedding:
        """The largest face."""
        face = self.detector.detect(image)[0]
        return self.recognizer.embed(align(image, face.landmarks, self.detector.template), mirrored=mirrored)

    @property
    def rules(self) -> Rules:
        return Rules(self.recognizer.thresholds)


@dataclass
class DoorHouse:
    """All that a door has, in `folder`."""

    folder: Path
    models: Models
    people: Mapping[str, list[Embedding]]
    ids: dict[str, str] = field(default_factory=dict)
    erased: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.key = secrets.token_bytes(32)
        self.path = self.folder / "gallery.db"
        self.folder.mkdir(parents=True, exist_ok=True)
        self.gallery = Gallery.open(self.path, self.key, self.models.recognizer.model_sha256, create=True)
        self.audit = Audit.open(self.folder / "audit")
        self.board = DoorBoard(self.gallery.names)
        for name, embeddings in self.people.items():
            consent = Consent("They agreed to this test.", 1_790_000_000.0, "asked")
            person = Person(new_id(), name, 1_790_000_000.0, groups=("staff",), consents=(consent,))
            self.ids[name] = self.gallery.add(person, embeddings).id

    def sources(self) -> DoorSources:
        """What the page is given."""
        models, rules = self.models, self.models.rules
        self.book = AccessBook(self.folder / "audit" / FILE, self.gallery.names)
        return DoorSources(
            recognises=Recognition(models.detector, models.recognizer, self.gallery, rules),
            log=self.book,
            people=PeopleDesk(
                gallery=self.gallery,
                detector=models.detector,
                recognizer=models.recognizer,
                rules=rules,
                record=self.audit.append,
                erase=self._erase,
            ),
            board=self.board,
        )

    def _erase(self, name: str, _person: str) -> int:
        self.erased.append(name)
        return 0

    def decide(self, granted: bool, reason: str, name: str = "", **more: Any) -> int:
        """A decision on record; its number."""
        body = {
            "id": secrets.token_hex(8),
            "camera": "front",
            "decision": "granted" if granted else "denied",
            "reason": reason,
            "person": self.ids.get(name, ""),
            "frames": 3,
            "summed": 1,
            **more,
        }
        return self.audit.append("decision", body).seq

    def close(self) -> None:
        self.gallery.close()
        self.audit.close()


def of_people(folder: Path, people: int, photos: int, skip: int = 0) -> dict[str, list[Path]]:
    """The first `people` people of a folder with a folder each who have so many photos, `skip` of them passed over."""
    found = {}
    for place in sorted(path for path in folder.iterdir() if path.is_dir()):
        files = sorted(file for file in place.iterdir() if file.suffix in (".jpg", ".png"))
        if len(files) >= photos:
            found[place.name] = files[:photos]
    return dict(list(found.items())[skip : skip + people])


def read(paths: Mapping[str, list[Path]]) -> dict[str, list[Image]]:
    """The photos themselves, names with spaces."""
    return {name.replace("_", " "): [read_picture(path) for path in files] for name, files in paths.items()}


def data_url(image: Image | bytes, kind: str = "image/jpeg") -> str:
    """A picture as a browser sends it."""
    content = image if isinstance(image, bytes) else bytes(simplejpeg.encode_jpeg(image, quality=92, colorspace="RGB"))
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


def side_by_side(*images: Image, heights: tuple[int, ...]) -> Image:
    """Pictures next to each other, each of its height, on a grey ground."""
    import numpy as np

    scaled = [
        cv2.resize(image, (round(image.shape[1] * height / image.shape[0]), height))
        for image, height in zip(images, heights, strict=True)
    ]
    whole = np.full((max(heights), sum(image.shape[1] for image in scaled), 3), 90, np.uint8)
    left = 0
    for image in scaled:
        whole[: image.shape[0], left : left + image.shape[1]] = image
        left += image.shape[1]
    return whole
