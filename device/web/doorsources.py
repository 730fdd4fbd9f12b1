"""What the page needs from a door unit, beside what every device has; the composition root hands in the real ones."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from device.datatypes import AccessDecision, Box, Image
from device.web.doorboard import DoorBoard


class RecognisedFace(Protocol):
    """One face of a picture. `name` is empty where nobody is known by it; `similarity` (cosine) is that of the person
    who is most like it, None where the gallery is empty; `xyxy` is in pixels."""

    @property
    def name(self) -> str: ...
    @property
    def similarity(self) -> float | None: ...
    @property
    def xyxy(self) -> Box: ...
    @property
    def quality(self) -> tuple[str, ...]: ...


class Recognises(Protocol):
    """Says who is in a picture. Any thread may ask."""

    def faces(self, image: Image) -> Sequence[RecognisedFace]:
        """The faces of an HxWx3 uint8 RGB picture, the largest first. Raises InputError: the gallery cannot be used."""
        ...


@dataclass(frozen=True, slots=True)
class AccessFilter:
    """Which decisions are wanted; None (or empty) for all. Moments are seconds since 1970, `since` <= t < `until`."""

    granted: bool | None = None
    person: str = ""
    reason: str = ""
    since: float | None = None
    until: float | None = None


class AccessLog(Protocol):
    """The decisions on record. Any thread may ask."""

    def page(self, wanted: AccessFilter, limit: int, before: int | None = None) -> list[AccessDecision]:
        """At most `limit` decisions, the newest first, with a record below `before`. Raises InputError."""
        ...

    def close(self) -> None:
        """Ask no more. May be called twice."""
        ...


class PersonView(Protocol):
    """What the page shows of a person. `schedule` is `always`, `never` or the weekly windows as JSON has them;
    consents are pairs of the moment (seconds since 1970) and the text that was agreed to."""

    @property
    def id(self) -> str: ...
    @property
    def name(self) -> str: ...
    @property
    def photos(self) -> int: ...
    @property
    def created(self) -> float: ...
    @property
    def groups(self) -> tuple[str, ...]: ...
    @property
    def valid_from(self) -> float | None: ...
    @property
    def valid_until(self) -> float | None: ...
    @property
    def schedule(self) -> Any: ...
    @property
    def consents(self) -> tuple[tuple[float, str], ...]: ...


class Enrolled(Protocol):
    """What came of some photos: the person, and which photos (their number, from 1) were refused and why.

    `person` is None where too few were good: nothing was kept then, and `reason` says what is missing.
    """

    @property
    def person(self) -> PersonView | None: ...
    @property
    def accepted(self) -> int: ...
    @property
    def refused(self) -> tuple[tuple[int, str], ...]: ...
    @property
    def reason(self) -> str: ...


class People(Protocol):
    """The gallery's people. Any thread may ask; what changes something is on record before it is done."""

    def people(self) -> Sequence[PersonView]:
        """Everybody, by name. Raises InputError."""
        ...

    def person(self, person_id: str) -> PersonView | None:
        """One of them, None where there is none. Raises InputError."""
        ...

    def forget(self, person_id: str, by: str) -> int:
        """Remove somebody for good; `by` is the page's user. Returns in how many messages the name stood.

        Raises InputError: there is none, or it cannot be written."""
        ...

    def permit(
        self, person_id: str, valid_from: float | None, valid_until: float | None, schedule: Any, by: str
    ) -> None:
        """Say when somebody may enter: seconds since 1970, None for no limit, and a schedule as `PersonView` has it.

        Raises InputError: there is none, or it cannot be written; and ConfigError: it is no schedule, or never valid.
        """
        ...

    def enrol(self, name: str, photos: Iterable[Image], consent: str, by: str) -> Enrolled:
        """Somebody new, or more photos of somebody who is there.

        `consent` is the text that was agreed to; `photos` are HxWx3 uint8 RGB.

        Raises InputError, and ConfigError for a name that cannot be one."""
        ...


@dataclass(frozen=True, slots=True)
class DoorSources:
    """All of it."""

    recognises: Recognises
    log: AccessLog
    people: People
    board: DoorBoard
