"""What else in the storage folder names a person: messages that wait, the list of events, their pictures."""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

from device.access.gallerystore import BUSY_S, purge
from device.errors import InputError
from device.jsontext import parsed
from device.publish.snapshots import file_name
from device.system.transactions import immediate

EVENTS = "events.db"
ASIDE = f"{EVENTS}.damaged-*"
"""What `device.publish.database` calls a file that it could not open."""
SNAPSHOTS = "snapshots"
TABLES = {"outbox": "seq", "event": "id", "state": "topic"}
"""Tables with a payload, and by what a row is found again."""
FIXED = frozenset({"id", "camera", "device", "type", "decision", "current_zones", "entered_zones"})
"""Values that are words of the configuration or the contract: nobody's name, even where somebody is called `Front`."""


def erase(storage: Path, name: str, person: str = "") -> int:
    """Take a name out of every message and event that is kept, and remove the pictures of those events.

    Works beside a daemon that runs: messages keep their numbers and are sent without the name. Databases that were
    damaged and set aside are deleted: what they hold cannot be told.

    Args:
        storage: the state folder.
        name: the person's.
        person: the random id; under it a message may still have a name of before. Empty: not known.
    Returns:
        In how many messages and events it stood.
    Raises:
        InputError: the folder's database is busy, damaged or cannot be written.
    """
    path = storage / EVENTS
    try:
        for aside in storage.glob(ASIDE):
            aside.unlink(missing_ok=True)
    except OSError as error:
        raise InputError(f"the name may still stand in {storage / ASIDE} ({error}): remove it") from None
    if not path.exists():
        return 0
    try:
        with closing(sqlite3.connect(path, timeout=BUSY_S, isolation_level=None)) as connection:
            connection.execute("PRAGMA secure_delete=ON")
            pictures, changed = _redact(connection, name, person)
            for picture in pictures:
                (storage / SNAPSHOTS / picture).unlink(missing_ok=True)
            purge(connection, path)
    except (sqlite3.Error, OSError) as error:
        raise InputError(
            f"the name may still stand in {path} or beside it ({error}): give the same command again"
        ) from None
    return changed


def _redact(connection: sqlite3.Connection, name: str, person: str) -> tuple[list[str], int]:
    """Rewrite the rows, in one transaction. Returns the file names of the pictures to remove, and how many rows."""
    pictures: list[str] = []
    changed = 0
    with immediate(connection):
        for table, key, value, payload in _rows(connection):
            cleared = without(payload, name, person)
            if cleared is None:
                continue
            changed += 1
            text = json.dumps(cleared, ensure_ascii=False, separators=(",", ":"))
            content = text if table == "event" else text.encode()
            connection.execute(f"UPDATE {table} SET payload = ? WHERE {key} = ?", (content, value))
            pictures += _picture_names(cleared)
    return pictures, changed


def _rows(connection: sqlite3.Connection) -> Iterator[tuple[str, str, Any, bytes]]:
    present = {row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    for table, key in TABLES.items():
        if table in present:
            for value, payload in connection.execute(f"SELECT {key}, payload FROM {table}").fetchall():
                yield table, key, value, payload.encode() if isinstance(payload, str) else bytes(payload)


def without(payload: bytes, name: str, person: str = "") -> Any:
    """A JSON payload in which no free text holds `name`, or another name beside the id `person`, as a word; None where
    none did, or it is no JSON."""
    try:
        content = parsed(payload)
    except ValueError:
        return None
    names = {name, *(_names_of(content, person) if person else ())}
    word = re.compile(rf"(?<!\w)(?:{'|'.join(map(re.escape, sorted(names, key=len, reverse=True)))})(?!\w)")
    cleared = _clear(content, word)
    return None if cleared == content else cleared


def _names_of(value: Any, person: str) -> Iterator[str]:
    """The names that a payload has for a person, by the id beside them."""
    if isinstance(value, dict) and value.get("person") == person and isinstance(value.get("name"), str):
        yield value["name"]
    if isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _names_of(item, person)


def _clear(value: Any, word: re.Pattern[str]) -> Any:
    if isinstance(value, dict):
        return {key: item if key in FIXED else _clear(item, word) for key, item in value.items()}
    if isinstance(value, list):
        return [_clear(item, word) for item in value]
    return word.sub("", value) if isinstance(value, str) else value


def _picture_names(payload: Any) -> list[str]:
    """Of the pictures that belong to a message or an event."""
    if not isinstance(payload, dict):
        return []
    about = [payload, *(payload[key] for key in ("before", "after") if isinstance(payload.get(key), dict))]
    names = (file_name(str(part.get("camera", "")), str(part.get("id", ""))) for part in about)
    return [name for name in names if name is not None]
