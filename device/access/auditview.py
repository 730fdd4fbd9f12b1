"""The access log for people: chosen records, with names joined from the gallery."""

from __future__ import annotations

import csv
import hashlib
import json
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TextIO

from device.access.auditrecord import AuditRecord

COLUMNS = ("seq", "time", "kind", "decision", "person", "name", "reason", "similarity", "liveness", "detail")
SHOWN = (
    *("act", "user", "role", "changed", "by", "state", "of", "cause", "alarms"),
    *("settings", "jump_s", "back_s", "after_seq", "after_log", "anchored_seq", "detail", "summed"),
)
"""What of other bodies goes into the column `detail`."""
WORDS = {
    "es": ("Acceso permitido", "Acceso denegado", "Desconocido"),
    "en": ("Access granted", "Access denied", "unknown"),
}


@dataclass(frozen=True, slots=True)
class Filter:
    """Which records to show; what is None or empty lets all through. `since` and `until` are seconds since 1970."""

    since: float | None = None
    until: float | None = None
    person: str = ""
    decision: str = ""
    reason: str = ""
    kind: str = ""
    limit: int | None = None

    def __contains__(self, record: AuditRecord) -> bool:
        """Whether the record is let through, `limit` apart."""
        body = record.content
        return (
            (self.since is None or record.wall >= self.since)
            and (self.until is None or record.wall < self.until)
            and self.kind in ("", record.kind)
            and all(
                wanted in ("", body.get(key))
                for key, wanted in (("person", self.person), ("decision", self.decision), ("reason", self.reason))
            )
        )


def select(records: Iterable[AuditRecord], chosen: Filter) -> Iterable[AuditRecord]:
    """The records that are let through, the oldest first; with a limit, the newest of them."""
    through = (record for record in records if record in chosen)
    return through if chosen.limit is None else deque(through, maxlen=chosen.limit)


def row(record: AuditRecord, names: Mapping[str, str]) -> dict[str, Any]:
    """A record as a table shows it. `names` are by person id; who was forgotten has none."""
    body = record.content
    person = str(body.get("person") or "")
    if record.kind == "start" and "rules" in body:
        body["settings"] = _settings(body)
    if record.kind != "decision" and "decision" in body:
        body["of"] = body.pop("decision")  # The number of the decision that a movement of the lock rests on.
    detail = ", ".join(f"{key} {_text(body[key])}" for key in SHOWN if body.get(key) not in (None, "", [], 1))
    return {
        "seq": record.seq,
        "time": moment(record.wall).isoformat(sep=" ", timespec="seconds"),
        "kind": record.kind,
        "decision": body.get("decision", ""),
        "person": person,
        "name": names.get(person, ""),
        "reason": body.get("reason", ""),
        "similarity": body.get("similarity"),
        "liveness": body.get("liveness"),
        "detail": detail,
    }


def _settings(body: Mapping[str, Any]) -> str:
    """A page of numbers as eight digits, which are others where a number is, and what everybody should see."""
    door = body.get("door")
    text = json.dumps([body.get("rules"), door], sort_keys=True)
    liveness = door.get("liveness", "?") if isinstance(door, dict) else "?"
    return f"{hashlib.sha256(text.encode()).hexdigest()[:8]} (liveness {liveness})"


def _text(value: Any) -> str:
    return " ".join(map(str, value)) if isinstance(value, list) else str(value)


def moment(wall: float) -> datetime:
    """In the machine's time zone; a time that no calendar has, as 1970."""
    try:
        return datetime.fromtimestamp(wall).astimezone()
    except (OverflowError, ValueError, OSError):
        return datetime.fromtimestamp(0).astimezone()


def table(records: Iterable[AuditRecord], names: Mapping[str, str]) -> Iterator[str]:
    """Lines for a terminal."""
    yield f"{'seq':>7}  {'time':25}  {'kind':8}  decision  {'who':20}  {'reason':12}   sim.  live  detail"
    for record in records:
        seen = row(record, names)
        who = _printable(seen["name"] or seen["person"])
        yield (
            f"{seen['seq']:>7}  {seen['time']:25}  {seen['kind']:8}  {seen['decision']!s:8}  {who:20}  "
            f"{_printable(seen['reason']):12}  {_number(seen['similarity']):>5}  {_number(seen['liveness']):>4}  "
            f"{_printable(seen['detail'])}"
        ).rstrip()


def write_csv(records: Iterable[AuditRecord], names: Mapping[str, str], out: TextIO) -> None:
    """With a heading. Text that a spreadsheet would take for a formula gets an apostrophe before it."""
    writer = csv.DictWriter(out, COLUMNS)
    writer.writeheader()
    for record in records:
        writer.writerow({key: _harmless(value) for key, value in row(record, names).items()})


def json_lines(records: Iterable[AuditRecord], names: Mapping[str, str]) -> Iterator[str]:
    """One object a record: its fields, the whole body, and the person's name where the gallery has one."""
    for record in records:
        body = record.content
        name = names.get(str(body.get("person") or ""), "")
        shown = {"seq": record.seq, "time": moment(record.wall).isoformat(), "kind": record.kind, "body": body}
        yield json.dumps({**shown, "name": name, "hash": record.hash.hex()}, ensure_ascii=False)


def notices(records: Iterable[AuditRecord], names: Mapping[str, str], language: str) -> Iterator[str]:
    """The decisions alone, each as `name, Acceso permitido, date and time`. `language` is es or en."""
    granted, denied, unknown = WORDS[language]
    for record in records:
        if record.kind == "decision":
            body = record.content
            person = str(body.get("person") or "")
            word = granted if body.get("decision") == "granted" else denied
            who = _printable(names.get(person, "") or person or unknown)
            yield f"{who}, {word}, {moment(record.wall):%Y-%m-%d %H:%M:%S}"


def _number(value: object) -> str:
    return f"{value:.2f}" if isinstance(value, int | float) else ""


def _printable(text: object) -> str:
    return "".join(character if character.isprintable() else "?" for character in str(text))


def _harmless(value: object) -> object:
    return f"'{value}" if isinstance(value, str) and value[:1] in ("=", "+", "-", "@", "\t", "\r") else value
