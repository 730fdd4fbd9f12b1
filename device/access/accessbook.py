"""The access log for the page: its decisions, filtered, newest first."""

from __future__ import annotations

import sqlite3
from typing import Protocol

from device.access.audit import COLUMNS
from device.access.auditrecord import AuditRecord
from device.access.decisionlog import DecisionLog
from device.datatypes import AccessDecision
from device.errors import InputError

FIELD = "CASE WHEN json_valid(body) THEN json_extract(body, '$.{}') END"
"""A value of a record's body; NULL in one that was tampered with."""


class Wanted(Protocol):
    """Which decisions; None or empty for all. `since` <= t < `until`, seconds since 1970."""

    @property
    def granted(self) -> bool | None: ...
    @property
    def person(self) -> str: ...
    @property
    def reason(self) -> str: ...
    @property
    def since(self) -> float | None: ...
    @property
    def until(self) -> float | None: ...


class AccessBook(DecisionLog):
    """Looks things up in the log of one door, through a connection of its own. Any thread may ask."""

    def page(self, wanted: Wanted, limit: int, before: int | None = None) -> list[AccessDecision]:
        """At most `limit` decisions, the newest first.

        Args:
            wanted: which.
            limit: at most so many.
            before: only records with a lower number: that of the last one seen gives the next page.
        Raises:
            InputError: the log cannot be read.
        """
        terms, values = ["kind = 'decision'"], list[object]()
        given: dict[str, object] = {
            "seq < ?": before,
            f"{FIELD.format('decision')} = ?": {True: "granted", False: "denied"}.get(wanted.granted),  # type: ignore[arg-type]
            f"{FIELD.format('person')} = ?": wanted.person or None,
            f"{FIELD.format('reason')} = ?": wanted.reason or None,
            "wall_us >= ?": _micros(wanted.since),
            "wall_us < ?": _micros(wanted.until),
        }
        for term, value in given.items():
            if value is not None:
                terms.append(term)
                values.append(value)
        query = f"SELECT {COLUMNS} FROM record WHERE {' AND '.join(terms)} ORDER BY seq DESC LIMIT ?"
        try:
            names = self._names()
            return [self._told(AuditRecord(*row), names) for row in self._rows(query, *values, limit)]
        except sqlite3.Error as error:
            raise InputError(f"cannot read the access log {self._path}: {error}") from error


def _micros(seconds: float | None) -> int | None:
    return None if seconds is None else round(seconds * 1e6)
