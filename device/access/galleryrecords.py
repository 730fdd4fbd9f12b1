"""What the gallery keeps of a person, and how each piece is sealed to that person, that model and this schema."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

import numpy as np

from device.access.policy.schedule import ALWAYS, Schedule
from device.access.recognizer import Embedding
from device.access.sealing import BrokenSeal, Seal
from device.errors import InputError

SCHEMA = "sereno-gallery-1"
LEAST_PHOTOS = 3
"""A template rests on so many photos at least: the mean of fewer is no better than its worst photo."""


@dataclass(frozen=True, slots=True)
class Consent:
    """What was agreed to, when (seconds since 1970), and how it was stated: `asked` on a terminal, or `--yes`."""

    text: str
    at: float
    stated: str
    crops: bool = False
    """Whether the aligned photos may be kept, too."""


@dataclass(frozen=True, slots=True)
class Person:
    """One person of the gallery. `id` is random and says nothing of who it is. Times are seconds since 1970.

    `valid_from` and `valid_until` are None for no limit. `photos` is how many the template rests on.
    """

    id: str
    name: str
    created: float
    groups: tuple[str, ...] = ()
    valid_from: float | None = None
    valid_until: float | None = None
    schedule: Schedule = ALWAYS
    consents: tuple[Consent, ...] = ()
    photos: int = 0
    pictures: tuple[str, ...] = ()
    """Digests of the aligned faces that the template rests on: the same photo counts once."""


def record_of(person: Person) -> dict[str, Any]:
    """All of a person as JSON has it."""
    values = {each.name: getattr(person, each.name) for each in fields(person)}
    return values | {
        "groups": list(person.groups),
        "pictures": list(person.pictures),
        "schedule": person.schedule.as_data(),
        "consents": [asdict(consent) for consent in person.consents],
    }


def person_of(record: Mapping[str, Any]) -> Person:
    """What `record_of` wrote. Raises TypeError, KeyError or ValueError for anything else."""
    special = {
        "groups": tuple(record["groups"]),
        "pictures": tuple(record.get("pictures", ())),
        "schedule": Schedule.parse(record["schedule"]),
        "consents": tuple(Consent(**consent) for consent in record["consents"]),
    }
    return Person(**{**record, **special})


@dataclass(frozen=True, slots=True, eq=False)
class Template:
    """The sum of a person's embeddings (n float32; each the unit mean of a photo and its mirror image), and of how
    many."""

    total: Embedding
    photos: int

    @property
    def unit(self) -> Embedding:
        """What a face is compared with: unit length."""
        unit: Embedding = self.total / np.float32(np.linalg.norm(self.total))
        return unit

    def with_photos(self, embeddings: list[Embedding]) -> Template:
        """The template with more photos."""
        return Template(self.total + np.sum(embeddings, axis=0, dtype=np.float32), self.photos + len(embeddings))


def template_of(embeddings: list[Embedding]) -> Template:
    """The template of some photos. Raises ValueError for none, or embeddings that are not of unit length."""
    stacked = np.stack(embeddings).astype(np.float32)
    lengths = np.linalg.norm(stacked, axis=1)
    if not np.allclose(lengths, 1, atol=1e-3):
        raise ValueError(f"embeddings have unit length; these have {lengths.min():g} to {lengths.max():g}")
    return Template(np.sum(stacked, axis=0, dtype=np.float32), len(embeddings))


@dataclass(frozen=True, slots=True)
class Vault:
    """Seals a gallery's pieces. `model` is the sha256 of the embedder's file: a template means nothing without."""

    seal: Seal = field(repr=False)
    model: str

    def seal_person(self, person: Person) -> bytes:
        """The record, but for what stands elsewhere (the id and the number of photos)."""
        record = {key: value for key, value in record_of(person).items() if key not in ("id", "photos")}
        return self.seal.seal(json.dumps(record, ensure_ascii=False).encode(), SCHEMA, "person", person.id)

    def open_person(self, person_id: str, record: bytes, photos: int) -> Person:
        """Raises InputError where it was changed, or belongs to somebody else."""
        found = json.loads(self._open(record, "person", person_id))
        try:
            return person_of({**found, "id": person_id, "photos": photos})
        except (TypeError, KeyError, ValueError) as error:
            raise InputError(
                f"the record of person {person_id} cannot be used here ({error}): is this an older version of sereno, "
                "or does this machine lack its time zones (the package tzdata)?"
            ) from None

    def seal_template(self, person_id: str, template: Template) -> bytes:
        """Number of photos (4 bytes) and the sum (float32, little-endian)."""
        content = template.photos.to_bytes(4, "little") + template.total.astype("<f4").tobytes()
        return self.seal.seal(content, SCHEMA, "template", person_id, self.model)

    def open_template(self, person_id: str, sealed: bytes) -> Template:
        """Raises InputError where it was changed, or belongs to somebody else or another model."""
        content = self._open(sealed, "template", person_id, self.model)
        return Template(
            np.frombuffer(content, "<f4", offset=4).astype(np.float32), int.from_bytes(content[:4], "little")
        )

    def seal_crop(self, person_id: str, number: int, png: bytes) -> bytes:
        """An aligned face, as PNG."""
        return self.seal.seal(png, SCHEMA, "crop", person_id, str(number))

    def open_crop(self, person_id: str, number: int, sealed: bytes) -> bytes:
        """Raises InputError where it was changed, or belongs to somebody else."""
        return self._open(sealed, "crop", person_id, str(number))

    def proof(self) -> bytes:
        """What tells, later, whether a key is this one."""
        return self.seal.seal(b"", SCHEMA, "proof")

    def proves(self, proof: bytes) -> bool:
        """Whether `proof` was made with this key."""
        try:
            self.seal.open(proof, SCHEMA, "proof")
        except BrokenSeal:
            return False
        return True

    def _open(self, sealed: bytes, kind: str, person_id: str, *more: str) -> bytes:
        try:
            return self.seal.open(sealed, SCHEMA, kind, person_id, *more)
        except BrokenSeal:
            raise InputError(
                f"the {kind} of person {person_id} does not open: somebody changed it, or the disk is failing; "
                f"`sereno people forget {person_id}` removes it, or restore the gallery from a copy"
            ) from None
