"""The SQLite file of the publish room: outbox, retained states and recent events, changed together or not at all."""

from __future__ import annotations

import logging
import os
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from device.publish.lock import cannot_write
from device.system.transactions import immediate

log = logging.getLogger(__name__)

SCHEMA = """
CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS outbox (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    topic TEXT NOT NULL,
    payload BLOB NOT NULL,
    qos INTEGER NOT NULL,
    retain INTEGER NOT NULL,
    droppable INTEGER NOT NULL
);
CREATE INDEX IF NOT EXISTS outbox_droppable ON outbox (seq) WHERE droppable = 1;
CREATE TABLE IF NOT EXISTS state (topic TEXT PRIMARY KEY, payload BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS event (
    id TEXT PRIMARY KEY,
    camera TEXT NOT NULL,
    label TEXT NOT NULL,
    start_time REAL NOT NULL,
    end_time REAL,
    type TEXT NOT NULL,
    payload TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS event_start ON event (start_time);
CREATE INDEX IF NOT EXISTS event_open ON event (id) WHERE end_time IS NULL;
INSERT INTO sqlite_sequence SELECT 'outbox', 0 WHERE NOT EXISTS (SELECT 1 FROM sqlite_sequence WHERE name = 'outbox');
"""

POWER_CUT_GAP = 10_000
"""Numbers skipped after a power cut: more messages than the log holds between two checkpoints (1000 pages of 4 KiB)."""


class Database:
    """One connection, shared by the threads of this room under one lock; each hold of it is short.

    Every commit survives a kill of the process, since the write-ahead log is then in the kernel's hands. It is not
    forced to the
    card at each commit (synchronous=NORMAL, not FULL): each event is two commits, and forcing them wears an SD card
    and stalls on slow ones for tens of milliseconds, to guard events that the broker has mostly acknowledged before the
    kernel writes them back anyway. A power cut can so cost the last seconds of an outbox whose broker was away, never
    the file's integrity; the numbers that were lost with them are skipped, so that no `seq` ever names two messages.
    """

    def __init__(self, path: Path) -> None:
        """Open or create the file.

        A file that SQLite calls damaged is set aside, with a warning, and a new one begun: a device that stays silent
        is worse than one that lost its list of events.

        Raises:
            InputError: the file cannot be read or written.
        """
        self.path = path
        self.lock = threading.RLock()
        try:
            self._open()
            self.next_seq = self._first_seq()
        except sqlite3.OperationalError as error:
            raise cannot_write(path.parent, str(error)) from error
        except sqlite3.DatabaseError as error:
            self._set_aside(error)

    def _open(self) -> None:
        try:
            # SQLite would let everyone read it; its log takes the mode of the file itself.
            os.close(os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        except OSError as error:
            raise cannot_write(self.path.parent, error) from error
        self.connection = sqlite3.connect(self.path, timeout=5, isolation_level=None, check_same_thread=False)
        try:
            self.connection.execute("PRAGMA journal_mode=WAL")
            self.connection.execute("PRAGMA synchronous=NORMAL")
            self.connection.execute("PRAGMA journal_size_limit=4194304")
            self.connection.executescript(SCHEMA)
        except sqlite3.Error:
            self.connection.close()
            raise

    def _set_aside(self, error: sqlite3.DatabaseError) -> None:
        aside = self.path.with_name(f"{self.path.name}.damaged-{int(time.time())}")
        log.warning("%s is damaged (%s): it is kept as %s, and a new one begun", self.path, error, aside.name)
        try:
            self.path.rename(aside)
            for suffix in ("-wal", "-shm"):
                self.path.with_name(self.path.name + suffix).unlink(missing_ok=True)
            self._open()
            # Seconds since 1970 are beyond whatever the damaged file had counted to.
            self.next_seq = self._first_seq() + int(time.time())
        except OSError as refused:
            raise cannot_write(self.path.parent, refused) from refused
        except sqlite3.Error as refused:
            raise cannot_write(self.path.parent, str(refused)) from refused

    def _first_seq(self) -> int:
        """The number after the last that was ever given out; says in the file that it is in use."""
        with self.transaction() as connection:
            last = int(connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'outbox'").fetchone()[0])
            boot = _boot_id()
            if last and self.meta("open") not in ("", boot):
                log.warning("the power was cut while sereno ran: seq goes on after a gap of %d", POWER_CUT_GAP)
                last += POWER_CUT_GAP
            self.set_meta("open", boot)
        return last + 1

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """A write that happens as a whole. Raises sqlite3.OperationalError where the disk is full or refuses."""
        with self.lock, immediate(self.connection):
            yield self.connection

    def remember_seq(self) -> None:
        """Never give out a number again that no row bears (its message was dropped before it could be written);
        belongs inside a transaction."""
        last = self.next_seq - 1
        self.connection.execute("UPDATE sqlite_sequence SET seq = ? WHERE name = 'outbox' AND seq < ?", (last, last))

    def meta(self, key: str) -> str:
        """A remembered word; empty where there is none."""
        with self.lock:
            row = self.connection.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
        return str(row[0]) if row else ""

    def set_meta(self, key: str, value: str) -> None:
        """Remember a word; belongs inside a transaction."""
        self.connection.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (key, value))

    def close(self) -> None:
        """Say that the end was orderly, and close."""
        with self.lock:
            try:
                with self.transaction():
                    self.set_meta("open", "")
            except sqlite3.Error as error:
                log.warning("cannot close %s in order: %s", self.path, error)
            self.connection.close()


def _boot_id() -> str:
    """A word that is new at each start of the machine."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return "unknown"
