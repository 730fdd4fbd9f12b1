"""The keeper's journal against the access log: has the lock moved without a grant on record?"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from device.access.auditrecord import AuditRecord


@dataclass(frozen=True, slots=True)
class Releases:
    """What the journal says. `fault` is a sentence about the first release that no record explains; empty for none.

    `older` are releases from before the log began: an archived log explains them. `unwritten` are releases that the log
    tells of, from before the journal begins.
    """

    checked: int
    older: int
    fault: str
    unwritten: int = 0


def compare(entries: Iterable[dict[str, Any]], records: Iterable[AuditRecord]) -> Releases:
    """Look for each release's record: of a grant, written before the lock moved, and used once; and for the journal's
    line of each release that the log tells of.

    Args:
        entries: of the journal, see `device.access.keeper.journal`.
        records: of the whole log, which verifies.
    """
    began: float | None = None
    grants: dict[str, tuple[str, int]] = {}
    told = _Told()
    for record in records:
        began = record.wall if began is None else began
        if record.kind == "decision" and record.content.get("decision") == "granted":
            grants[record.hash.hex()] = (record.boot, record.monotonic_us)
        told.take(record)
    checked = older = 0
    used: set[str] = set()
    journal_began: float | None = None
    for entry in entries:
        journal_began = _number(entry.get("wall")) if journal_began is None else journal_began
        if entry.get("action") not in ("unlock", "extend"):
            continue
        authorisation = str(entry.get("authorisation", ""))
        if authorisation not in grants and began is not None and _number(entry.get("wall")) < began:
            older += 1
            continue
        checked += 1
        why = _why_not(entry, grants.get(authorisation), authorisation in used)
        if why:
            return Releases(checked, older, f"the lock was released at {_moment(entry)} {why}")
        used.add(authorisation)
    unwritten = [(lock, grant) for lock, grant in told.releases if grant.hash.hex() not in used]
    for lock, grant in unwritten:
        if journal_began is not None and grant.wall >= journal_began:
            what = f"the release by grant {grant.seq}, of which record {lock.seq} tells"
            return Releases(checked, older, f"it began before {what}, and has no line of it")
    return Releases(checked, older, "", len(unwritten))


class _Told:
    """The releases that the log tells of: each record of the lock, with its grant's."""

    def __init__(self) -> None:
        self.releases: list[tuple[AuditRecord, AuditRecord]] = []
        self._grants: dict[int, AuditRecord] = {}
        self._released = False

    def take(self, record: AuditRecord) -> None:
        """The next record. One more grant while the lock is released counts not: a power cut may take its line."""
        content = record.content
        if record.kind == "start" or (record.kind == "lock" and content.get("state") == "locked"):
            self._released = False
        elif record.kind == "decision" and content.get("decision") == "granted":
            self._grants[record.seq] = record
        elif record.kind == "lock" and content.get("state") == "unlocked":
            grant = self._grants.get(content.get("decision", 0))
            if grant is not None and not self._released:
                self.releases.append((record, grant))
            self._released = True


def _why_not(entry: dict[str, Any], grant: tuple[str, int] | None, used: bool) -> str:
    if grant is None:
        return "by a hash that no grant of the log has"
    if used:
        return "by a grant that had released it before"
    boot, monotonic_us = grant
    if boot == entry.get("boot") and _number(entry.get("monotonic")) < monotonic_us / 1e6:
        return "before its grant was recorded"
    return ""


def _number(value: object) -> float:
    try:
        return float(value) if isinstance(value, int | float) else 0.0
    except OverflowError:
        return 0.0


def _moment(entry: dict[str, Any]) -> str:
    try:
        return f"{datetime.fromtimestamp(_number(entry.get('wall'))):%Y-%m-%d %H:%M:%S}"
    except (ValueError, OverflowError, OSError):
        return "an unknown time"
