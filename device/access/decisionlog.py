"""The decisions of the access log, as they are told to others: read anew from the records, names joined in reading."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from device.access.audit import COLUMNS
from device.access.auditrecord import AuditRecord
from device.datatypes import AccessDecision
from device.errors import InputError

NEAR = 50
"""The lock's record is one of the next so many after the decision's."""


class DecisionLog:
    """Reads along in the log of one door, through a connection of its own. Any thread may ask."""

    def __init__(self, path: Path, names: Callable[[], Mapping[str, str]]) -> None:
        """Open the log for reading.

        Args:
            path: the database, which must be there.
            names: the people's names by id.
        Raises:
            InputError: it cannot be read.
        """
        self._path, self._names = path, names
        self._lock = threading.Lock()
        try:
            self._connection = sqlite3.connect(path, timeout=5, isolation_level=None, check_same_thread=False)
            self._connection.execute("PRAGMA query_only=ON")
            self._connection.execute("SELECT 1 FROM record LIMIT 1")
        except sqlite3.Error as error:
            raise InputError(f"cannot read the access log {path}: {error}") from error

    def newest(self) -> int:
        """Number of the newest record, 0 where there is none or it cannot be read now."""
        try:
            [(newest,)] = self._rows("SELECT COALESCE(MAX(seq), 0) FROM record")
        except sqlite3.Error:
            return 0
        return int(newest)

    def decisions(self, after: int, limit: int) -> list[AccessDecision]:
        """At most `limit` decisions with a record above `after`, the oldest first; none while it cannot be read."""
        try:
            rows = self._rows(
                f"SELECT {COLUMNS} FROM record WHERE seq > ? AND kind = 'decision' ORDER BY seq LIMIT ?", after, limit
            )
            names = self._names()
            return [self._told(AuditRecord(*row), names) for row in rows]
        except sqlite3.Error:
            return []

    def recent(self, limit: int, before: int | None = None) -> list[AccessDecision]:
        """The last decisions with a record below `before`, the newest first. Raises InputError."""
        try:
            rows = self._rows(
                f"SELECT {COLUMNS} FROM record WHERE seq < ? AND kind = 'decision' ORDER BY seq DESC LIMIT ?",
                2**62 if before is None else before,
                limit,
            )
            names = self._names()
            return [self._told(AuditRecord(*row), names) for row in rows]
        except sqlite3.Error as error:
            raise InputError(f"cannot read the access log {self._path}: {error}") from error

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._connection.close()

    def _told(self, record: AuditRecord, names: Mapping[str, str]) -> AccessDecision:
        body = record.content
        granted = body.get("decision") == "granted"
        reason = str(body.get("reason", ""))
        moved = self._moved(record.seq) if granted else {}
        if moved.get("state") == "refused":
            granted, reason = False, "fault"
        person = str(body.get("person") or "")
        return AccessDecision(
            id=str(body.get("id", "")),
            wall=record.wall,
            camera=str(body.get("camera", "")),
            granted=granted,
            reason=reason,
            person=person,
            name=names.get(person, ""),
            similarity=_number(body.get("similarity")),
            liveness=_number(body.get("liveness")),
            frames=int(body.get("frames") or 0),
            lock_ms=_number(moved.get("lock_ms")),
            summed=int(body.get("summed") or 1),
            record=record.seq,
        )

    def _moved(self, seq: int) -> Mapping[str, Any]:
        """What the log says of the lock's release by this decision; empty where it says nothing."""
        rows = self._rows(
            f"SELECT {COLUMNS} FROM record WHERE seq > ? AND seq <= ? AND kind = 'lock' ORDER BY seq", seq, seq + NEAR
        )
        for row in rows:
            body = AuditRecord(*row).content
            if body.get("decision") == seq and body.get("state") in ("unlocked", "refused"):
                return body
        return {}

    def _rows(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        with self._lock:
            return self._connection.execute(query, values).fetchall()


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None
