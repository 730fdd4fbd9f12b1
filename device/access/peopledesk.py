"""The gallery's people as the page looks after them: shown, enrolled, permitted, forgotten. Each act is on record."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from device.access.audit import recorded
from device.access.enrolment import PhotoJudge, Refused
from device.access.face_detector import FaceDetector
from device.access.gallery import Gallery, checked_name
from device.access.galleryrecords import Consent, Person
from device.access.identification import needed_among
from device.access.policy.rules import Rules
from device.access.policy.schedule import Schedule
from device.access.recognizer import Recognizer
from device.access.registration import differences, enter, known_as, sift
from device.datatypes import Image
from device.errors import ConfigError


@dataclass(frozen=True, slots=True)
class PersonCard:
    """What is shown of a person; the template itself is not. Times are seconds since 1970."""

    id: str
    name: str
    photos: int
    created: float
    groups: tuple[str, ...]
    valid_from: float | None
    valid_until: float | None
    schedule: Any
    consents: tuple[tuple[float, str], ...]


@dataclass(frozen=True, slots=True)
class Enrolment:
    """What came of some photos: the person (None where too few were good: nothing was kept), how many were accepted,
    and the number (from 1) of each that was refused, with the reason."""

    person: PersonCard | None
    accepted: int
    refused: tuple[tuple[int, str], ...]
    reason: str


class PeopleDesk:
    """Looks after the gallery while the door is at work. Any thread may ask; one changes something at a time."""

    def __init__(
        self,
        *,
        gallery: Gallery,
        detector: FaceDetector,
        recognizer: Recognizer,
        rules: Rules,
        record: Callable[[str, Mapping[str, Any]], object],
        erase: Callable[[str, str], int],
        wall: Callable[[], float] = time.time,
    ) -> None:
        """Put the parts together; gallery and models may be the door's own.

        Args:
            gallery: of the people.
            detector: of faces in photos.
            recognizer: the gallery's model.
            rules: the door's: who looks like somebody else is told by them.
            record: writes to the access log, durably (`Audit.append`). Raises InputError.
            erase: takes a name, and whatever name stands beside the id, out of all messages and events that are kept,
                and says in how many it stood.
            wall: seconds since 1970.
        """
        self._gallery, self._detector, self._recognizer, self._rules = gallery, detector, recognizer, rules
        self._record, self._erase, self._wall = record, erase, wall
        self._lock = threading.Lock()

    def people(self) -> list[PersonCard]:
        """Everybody, by name. Raises InputError where the gallery cannot be used."""
        return [_card(person) for person in self._gallery.people()]

    def person(self, person_id: str) -> PersonCard | None:
        """One of them, None where there is none of that id. Raises InputError where the gallery cannot be used."""
        return next((card for card in self.people() if card.id == person_id), None)

    def forget(self, person_id: str, by: str) -> int:
        """Remove somebody for good: template, pictures, name, also from messages that wait and events that are kept.

        Args:
            person_id: whom.
            by: the page's user who wants it.
        Returns:
            In how many messages and events the name stood.
        Raises:
            InputError: there is nobody of that id, or something cannot be written: the sentence says what remains.
        """
        with self._lock:
            person = self._gallery.find(person_id)
            with recorded(self._record, "people.forget", person.id, by=by):
                self._gallery.forget(person.id)
                return self._erase(person.name, person.id)

    def permit(
        self, person_id: str, valid_from: float | None, valid_until: float | None, schedule: Any, by: str
    ) -> None:
        """Say when somebody may enter.

        Args:
            person_id: who.
            valid_from: seconds since 1970, None for no limit; so is `valid_until`.
            schedule: what `Schedule.parse` reads.
            by: the page's user who wants it.
        Raises:
            ConfigError: it is no schedule, or they would never be valid.
            InputError: there is nobody of that id, or something cannot be written: nothing was changed.
        """
        try:
            parsed = Schedule.parse(schedule)
        except ValueError as error:
            raise ConfigError(str(error)) from None
        with self._lock:
            before = self._gallery.find(person_id)
            person = replace(before, valid_from=valid_from, valid_until=valid_until, schedule=parsed)
            changed = differences(before, person)
            if changed:
                with recorded(self._record, "people.set", person.id, changed=changed, by=by):
                    self._gallery.update(person)

    def enrol(self, name: str, photos: Iterable[Image], consent: str, by: str) -> Enrolment:
        """Enrol somebody new, or give somebody who is there more photos.

        Args:
            name: of the person; whoever has it already gets the photos.
            photos: HxWx3 uint8 RGB, one person's.
            consent: the text that was agreed to.
            by: the page's user, who states the consent.
        Raises:
            ConfigError: the name cannot be one.
            InputError: the gallery or the log cannot be read or written: nothing was kept.
        """
        name = checked_name(name)
        with self._lock:
            known = known_as(self._gallery, name)
            judge = PhotoJudge(self._detector, self._recognizer, before=known.pictures if known else ())
            verdicts = (judge.look(str(number), photo) for number, photo in enumerate(photos, start=1))
            surely = needed_among(len(self._gallery.people()), self._rules).cosine
            sifted = sift(verdicts, self._gallery, known, self._recognizer, surely)
            if sifted.shortage:
                return Enrolment(None, len(sifted.accepted), _numbered(sifted.refused), sifted.shortage)
            agreed = Consent(consent, self._wall(), f"page, by {by}")
            count = len(sifted.accepted)
            person = enter(
                self._gallery,
                known,
                name,
                sifted.accepted,
                agreed,
                lambda who: recorded(self._record, "enrol", who.id, photos=count, by=by),
            )
        return Enrolment(_card(person), len(sifted.accepted), _numbered(sifted.refused), "")


def _numbered(refused: list[Refused]) -> tuple[tuple[int, str], ...]:
    return tuple(sorted((int(photo.name), photo.reason) for photo in refused))


def _card(person: Person) -> PersonCard:
    return PersonCard(
        id=person.id,
        name=person.name,
        photos=person.photos,
        created=person.created,
        groups=person.groups,
        valid_from=person.valid_from,
        valid_until=person.valid_until,
        schedule=person.schedule.as_data(),
        consents=tuple((consent.at, consent.text) for consent in person.consents),
    )
