"""From judged photos to a person of the gallery: the same for the command and for the page."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass, fields, replace
from datetime import datetime

from device.access.enrolment import AGREE_FMR, Accepted, Refused, agreeing, others_than, png_of
from device.access.gallery import Gallery, fold, new_id
from device.access.galleryrecords import LEAST_PHOTOS, Consent, Person
from device.access.recognizer import Recognizer
from device.errors import ConfigError, InputError

LAST_S = 253_370_764_800.0
"""The end of 9998, seconds since 1970: in each time zone a date that `datetime` can tell."""


@dataclass(frozen=True, slots=True)
class Sifted:
    """Photos of one person that count, and those that don't. `wanted` is how many must count; `conflict` says, where it
    isn't empty, why none does: nobody can tell whose the photos are."""

    accepted: list[Accepted]
    refused: list[Refused]
    wanted: int
    conflict: str = ""

    @property
    def shortage(self) -> str:
        """Why nobody can be enrolled from these; empty where somebody can."""
        if self.conflict or len(self.accepted) >= self.wanted:
            return self.conflict
        return f"{len(self.accepted)} photos are good, {self.wanted} or more are needed"


def differences(before: Person, after: Person) -> list[str]:
    """Which of a person's fields are to be changed, by name, for the record.

    Raises:
        ConfigError: they would be valid at no moment, or from or until one that calendars don't have.
    """
    for at in (after.valid_from, after.valid_until):
        if at is not None and not 0 <= at <= LAST_S:
            raise ConfigError("they can be valid from or until a day between 1970 and 9998; or without a limit")
    if after.valid_from is not None and after.valid_until is not None and after.valid_from >= after.valid_until:
        start, end = (f"{datetime.fromtimestamp(at):%Y-%m-%d %H:%M}" for at in (after.valid_from, after.valid_until))
        raise ConfigError(f"{after.name} would never be valid: from {start} until {end}")
    return sorted(each.name for each in fields(Person) if getattr(before, each.name) != getattr(after, each.name))


def known_as(gallery: Gallery, name: str) -> Person | None:
    """Who has that name already. Raises InputError where the gallery cannot be read."""
    return next((person for person in gallery.people() if fold(person.name) == fold(name)), None)


def sift(
    verdicts: Iterable[Accepted | Refused],
    gallery: Gallery,
    known: Person | None,
    recognizer: Recognizer,
    surely: float | None,
) -> Sifted:
    """Keep the photos that are good, agree with each other, and are nobody else's.

    Args:
        verdicts: of a `PhotoJudge`.
        gallery: in which the person is `known`, or shall be.
        known: None for somebody new.
        recognizer: the gallery's model.
        surely: similarity from which on the door takes a face for somebody; None: twins are meant.
    Raises:
        InputError: the gallery cannot be read, or a model fails.
    """
    accepted: list[Accepted] = []
    refused: list[Refused] = []
    for verdict in verdicts:
        if isinstance(verdict, Accepted):
            accepted.append(verdict)
        else:
            refused.append(verdict)
    wanted = max(1, LEAST_PHOTOS - (known.photos if known else 0))
    template = gallery.template(known.id).unit if known else None
    threshold = recognizer.threshold(AGREE_FMR)
    try:
        accepted, odd = agreeing(accepted, threshold, template)
    except InputError as error:
        return Sifted([], refused, wanted, str(error))
    refused += odd
    if accepted and surely is not None:
        accepted, doubles = others_than(accepted, gallery, surely, known.id if known else None)
        refused += doubles
    return Sifted(accepted, refused, wanted)


def person_with(known: Person | None, name: str, accepted: list[Accepted], consent: Consent) -> Person:
    """The record of the person, new or `known`, once these photos count."""
    person = known or Person(new_id(), name, consent.at)
    pictures = (*person.pictures, *(photo.digest for photo in accepted))
    return replace(person, consents=(*person.consents, consent), pictures=pictures)


def enter(
    gallery: Gallery,
    known: Person | None,
    name: str,
    accepted: list[Accepted],
    consent: Consent,
    recorded: Callable[[Person], AbstractContextManager[None]],
) -> Person:
    """Enrol somebody by the photos that count, or give them to who is there already: on record before it is done.

    Args:
        gallery: into which.
        known: who has the name already, None for somebody new.
        name: of somebody new.
        accepted: photos that count, as many as are wanted.
        consent: of this time.
        recorded: opened while the gallery is changed; writes to the access log what is done.
    Returns:
        The person as the gallery now has them.
    Raises:
        InputError: the log or the gallery cannot be written, or somebody was quicker: nothing was kept.
    """
    person = person_with(known, name, accepted, consent)
    with recorded(person):
        return put(gallery, known, person, accepted)


def put(gallery: Gallery, known: Person | None, person: Person, accepted: list[Accepted]) -> Person:
    """Into the gallery with it, with the aligned faces where the last consent covers them. Raises InputError where the
    disk refuses, or somebody was quicker."""
    embeddings = [photo.embedding for photo in accepted]
    crops = [png_of(photo.aligned) for photo in accepted] if person.consents[-1].crops else []
    return (gallery.add if known is None else gallery.extend)(person, embeddings, crops)
