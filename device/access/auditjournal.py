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

    `older` are releases from before the log began: an archived log explains them.
    """

    checked: int
    older: int
    fault: str


def compare(entries: Iterable[dict[str, Any]], records: Iterable[AuditRecord]) -> Releases:
    """Look for each release's record: of a grant, written before the lock moved, and used once.

    Args:
        entries: of the journal, see `device.access.keeper.journal`.
        records: of the whole log, which verifies.
    """
    began: float | None = None
    grants: dict[str, tuple[str, int]] = {}
    for record in records:
        began = record.wall if began is None else began
        if record.kind == "decision" and record.content.get("decision") == "granted":
            grants[record.hash.hex()] = (record.boot, record.monotonic_us)
    checked = older = 0
    used: set[str] = set()
    for entry in entries:
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
    return Releases(checked, older, "")


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
    return float(value) if isinstance(value, int | float) else 0.0


def _moment(entry: dict[str, Any]) -> str:
    try:
        return f"{datetime.fromtimestamp(_number(entry.get('wall'))):%Y-%m-%d %H:%M:%S}"
    except (ValueError, OverflowError, OSError):
        return "an unknown time"
