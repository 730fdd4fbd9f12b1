"""The access log: a record is on the disk, chained and signed, before anything is done about it."""

from __future__ import annotations

import fcntl
import os
import secrets
import sqlite3
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from device.access import auditkey
from device.access.auditmemory import BEGIN, AuditMemory
from device.access.auditrecord import GENESIS, AuditRecord, Head, canonical, digest
from device.errors import InputError
from device.jsontext import parsed
from device.system.clock import Clock, SystemClock
from device.system.transactions import immediate

FILE = "audit.db"
COLUMNS = "seq, wall_us, monotonic_us, boot, kind, body, prev, hash, signature"
CLOCK_JUMP_S = 2.0
"""The wall clock moved by more than this against the monotonic one between two records: that is a record of its own."""
# Nobody changes a record by mistake; who does it on purpose can drop the triggers, and is found by the chain.
SCHEMA = """
CREATE TABLE IF NOT EXISTS record (
    seq INTEGER PRIMARY KEY,
    wall_us INTEGER NOT NULL,
    monotonic_us INTEGER NOT NULL,
    boot TEXT NOT NULL,
    kind TEXT NOT NULL,
    body TEXT NOT NULL,
    prev BLOB NOT NULL,
    hash BLOB NOT NULL,
    signature BLOB NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS record_wall ON record (wall_us);
CREATE TRIGGER IF NOT EXISTS record_is_final BEFORE UPDATE ON record
    BEGIN SELECT RAISE(ABORT, 'a record of the access log is never changed'); END;
CREATE TRIGGER IF NOT EXISTS record_stays BEFORE DELETE ON record
    BEGIN SELECT RAISE(ABORT, 'a record of the access log is never deleted'); END;
"""


class AuditError(InputError):
    """A record could not be made durable, or the log is not what it was: the door stays shut."""


class Audit:
    """The log of one door. Threads may share it, and other processes (an administrator's command) may append, too."""

    def __init__(
        self, connection: sqlite3.Connection, path: Path, key: Ed25519PrivateKey, clock: Clock, boot: str
    ) -> None:
        """For `Audit.open`."""
        self.path = path
        self._connection = connection
        self._key = key
        self._clock = clock
        self._boot = boot
        self._lock = threading.Lock()
        self._file = self._look()
        self._memory = AuditMemory(path.parent)
        self._known: Head | None = None
        self._name = ""

    @classmethod
    def open(
        cls,
        folder: Path,
        clock: Clock | None = None,
        key: str | bytes | None = None,
        boot: str | None = None,
        *,
        anew: Mapping[str, Any] | None = None,
    ) -> Audit:
        """Open the log of a folder for appending; make it, and a key, where there never was one.

        Args:
            folder: holds audit.db, audit.pub and, where the key comes from nowhere else, audit.key (mode 0400).
            clock: the machine's where None.
            key: Ed25519 private key (PEM); by default systemd's credential `audit-key`, else the file's.
            boot: what this start of the machine is called; the kernel's word where None.
            anew: begin a log also where there was one that is gone; what its first record says besides.
        Raises:
            AuditError: it cannot be written to, is damaged, is gone or older than `AuditMemory` knows, its last record
                does not verify with the key, or the key of a log that has records is missing.
        """
        try:
            if anew is None and not (folder / FILE).exists():
                _require_none(folder)
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            with _alone(folder):
                return cls._open(folder, clock or SystemClock(), key, boot or boot_id(), anew)
        except OSError as error:
            raise AuditError(f"cannot write the access log in {folder}: {error.strerror}") from error
        except sqlite3.Error as error:
            raise AuditError(f"cannot open the access log {folder / FILE}: {error}; {BEGIN}") from error

    @classmethod
    def _open(
        cls, folder: Path, clock: Clock, key: str | bytes | None, boot: str, anew: Mapping[str, Any] | None
    ) -> Audit:
        connection = connect(folder / FILE)
        try:
            audit = cls(connection, folder / FILE, _key_of(connection, folder, key), clock, boot)
            auditkey.write_public(folder, audit.public_key)
            audit._begin(anew)
        except InputError as error:
            connection.close()
            raise error if isinstance(error, AuditError) else AuditError(str(error)) from error
        except BaseException:
            connection.close()
            raise
        return audit

    @property
    def public_key(self) -> Ed25519PublicKey:
        """Verifies this log's signatures."""
        return self._key.public_key()

    def append(self, kind: str, body: Mapping[str, Any]) -> AuditRecord:
        """Write a record; it is on the disk when this returns.

        A record of the kind `clock` goes before it where the wall clock was set since the record before.

        Args:
            kind: decision, lock, admin, start, stop, fault …: a lower-case word.
            body: JSON; the person's random id under `person`, never a name.
        Raises:
            AuditError: the record was not made durable, for whatever reason: disk full, I/O error, log locked, its file
                is not the one under this name any more, or it lacks the newest record that was seen in it.
            ValueError: the body is not one.
        """
        text = canonical(kind, body)
        with self._lock:
            self._require_same_file()
            try:
                self._look_anew()
                with immediate(self._connection):
                    last = self._last()
                    self._require_known(last)
                    record = self._append_after(last, kind, text)
            except (sqlite3.Error, OSError) as error:
                raise AuditError(f"cannot write the access log {self.path}: {error}") from error
            self._require_same_file()  # A record that nobody finds proves nothing.
            self._know(record)
        return record

    def _look_anew(self) -> None:
        """Read from the file what is read next: pages in memory would hide that it was written over."""
        self._connection.execute("PRAGMA shrink_memory")

    def _know(self, newest: AuditRecord) -> None:
        self._known = self._head_of(newest)
        self._memory.keep(self._known)

    def _require_same_file(self) -> None:
        """Raises AuditError where the path names no file any more, or another than the one that is open."""
        if self._look() != self._file:
            raise AuditError(
                f"the access log {self.path} was deleted, moved or replaced while it was in use: "
                f"put it back, or stop sereno: {BEGIN}"
            )

    def _look(self) -> tuple[int, int] | None:
        """Device and inode of what lies under the path; None for nothing."""
        try:
            status = self.path.stat()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise AuditError(f"cannot find the access log {self.path}: {error.strerror}") from error
        return status.st_dev, status.st_ino

    def _append_after(self, last: AuditRecord | None, kind: str, text: str) -> AuditRecord:
        wall_us, monotonic_us = round(self._clock.wall() * 1e6), round(self._clock.monotonic() * 1e6)
        jump = self._jump(last, wall_us, monotonic_us)
        if jump is not None:
            last = self._insert(last, wall_us, monotonic_us, "clock", canonical("clock", jump))
        return self._insert(last, wall_us, monotonic_us, kind, text)

    def _jump(self, last: AuditRecord | None, wall_us: int, monotonic_us: int) -> dict[str, Any] | None:
        """What to say of the clock since the last record; None where it just went on."""
        if last is None:
            return None
        passed = (wall_us - last.wall_us) / 1e6
        if last.boot == self._boot:
            passed -= (monotonic_us - last.monotonic_us) / 1e6
            return {"jump_s": round(passed, 3)} if abs(passed) > CLOCK_JUMP_S else None
        # The time between two boots is unknown: only a clock that went back shows.
        return {"back_s": round(-passed, 3)} if passed < -CLOCK_JUMP_S else None

    def _insert(self, last: AuditRecord | None, wall_us: int, monotonic_us: int, kind: str, text: str) -> AuditRecord:
        seq, prev = (last.seq + 1, last.hash) if last else (1, GENESIS)
        hashed = digest(seq, wall_us, monotonic_us, self._boot, kind, text, prev)
        record = AuditRecord(seq, wall_us, monotonic_us, self._boot, kind, text, prev, hashed, self._key.sign(hashed))
        self._connection.execute(
            f"INSERT INTO record ({COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (seq, wall_us, monotonic_us, self._boot, kind, text, prev, hashed, record.signature),
        )
        return record

    def _last(self) -> AuditRecord | None:
        row = self._connection.execute(f"SELECT {COLUMNS} FROM record ORDER BY seq DESC LIMIT 1").fetchone()
        return AuditRecord(*row) if row else None

    def _begin(self, anew: Mapping[str, Any] | None) -> None:
        """Name a new log; look whether the end of an old one is genuine, and no older than it was."""
        last = self._last()
        if last is None:
            if anew is None:
                _require_none(self.path.parent)
            self._name = secrets.token_hex(16)
            raw = auditkey.public_bytes(self.public_key).hex()
            self.append("begin", {**(anew or {}), "log": self._name, "public_key": raw})
            auditkey.sync_folder(self.path.parent)
            return
        try:
            self.public_key.verify(last.signature, last.hash)
            genuine = last.digest() == last.hash
        except InvalidSignature:
            genuine = False
        if not genuine:
            raise AuditError(
                f"the last record of the access log {self.path} was changed, or another key signed it: "
                f"`sereno audit verify` says where; {BEGIN}"
            )
        self._known = self._memory.head()
        self._require_known(last)
        self._name = self.head().log
        self._know(last)

    def _require_known(self, last: AuditRecord | None) -> None:
        """Raises AuditError where the newest record that was seen in the log is not in it: others may append only."""
        known = self._known
        if known is None:
            return
        found = self._connection.execute("SELECT hash FROM record WHERE seq = ?", (known.seq,)).fetchone()
        if found is None or found[0] != known.hash:
            raise AuditError(
                f"the access log {self.path} ends with record {last.seq if last else 0}, and is not the one whose "
                f"record {known.seq} {self._memory.path} remembers: its end was cut off, or an older copy or another "
                f"log put there; put the newest back, or {BEGIN}"
            )

    def _head_of(self, record: AuditRecord) -> Head:
        public = auditkey.public_bytes(self.public_key)
        return Head(self._name, record.seq, record.hash, record.signature, public)

    def head(self) -> Head:
        """The last record, for the anchor. Raises AuditError, also where the log is not what it was."""
        with self._lock:
            try:
                self._look_anew()
                last = self._last()
                self._require_known(last)
                first = self._connection.execute(f"SELECT {COLUMNS} FROM record WHERE seq = 1").fetchone()
            except sqlite3.Error as error:
                raise AuditError(f"cannot read the access log {self.path}: {error}") from error
        if last is None or first is None:
            raise AuditError(f"the access log {self.path} has lost its beginning: `sereno audit verify` says more")
        log = str(AuditRecord(*first).content.get("log", ""))
        return Head(log, last.seq, last.hash, last.signature, auditkey.public_bytes(self.public_key))

    def accounts_for(self, head: Head) -> bool:
        """Whether a record has the head's hash, or this log was begun after the head's. Raises AuditError."""
        with self._lock:
            try:
                found = self._connection.execute("SELECT 1 FROM record WHERE hash = ?", (head.hash,)).fetchone()
                [(first,)] = self._connection.execute("SELECT body FROM record WHERE seq = 1").fetchall()
            except (sqlite3.Error, ValueError) as error:
                raise AuditError(f"cannot read the access log {self.path}: {error}") from error
        return found is not None or parsed(first).get("after_log") == head.log

    def close(self) -> None:
        """Close the file. Harmless when repeated."""
        with self._lock:
            self._connection.close()


def _require_none(folder: Path) -> None:
    """Raises AuditError where something tells of a log that is not in the folder any more."""
    try:
        lost = AuditMemory(folder).lost(folder)
    except InputError as error:
        raise AuditError(str(error)) from error
    if lost:
        raise AuditError(lost)


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Let no other process make a key or a beginning at the same time. Raises OSError."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def connect(path: Path) -> sqlite3.Connection:
    """Open the file for appending, each commit forced to the disk. Raises OSError, sqlite3.Error."""
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    connection = sqlite3.connect(path, timeout=5, isolation_level=None, check_same_thread=False)
    try:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute("PRAGMA journal_size_limit=4194304")
        connection.executescript(SCHEMA)
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def read(path: Path) -> Iterator[AuditRecord]:
    """All records in the order of their numbers, without changing anything.

    A value that a tampered file holds in another type is read as an empty one, which no signature fits.

    Raises:
        InputError: there is no such file, or it is no access log.
    """
    if not path.is_file():
        raise InputError(f"there is no access log {path}")
    try:
        connection = sqlite3.connect(path, timeout=5)
        connection.text_factory = lambda raw: raw.decode("utf-8", "surrogateescape")
        connection.execute("PRAGMA query_only=ON")
        try:
            for row in connection.execute(f"SELECT {COLUMNS} FROM record ORDER BY seq"):
                yield _typed(row)
        finally:
            connection.close()
    except sqlite3.OperationalError as error:
        raise InputError(f"cannot read the access log {path}: {error}") from error
    except sqlite3.Error as error:
        raise InputError(f"{path} is damaged or no access log: {error}") from error


@contextmanager
def recorded(record: Callable[[str, Mapping[str, Any]], object], act: str, person: str, **more: Any) -> Iterator[None]:
    """Write an administrator's act to a log before it is done and, where that fails, that it failed.

    Args:
        record: `Audit.append`.
        act: `enrol`, `people.forget` …
        person: the random id; empty where it is about several.
        more: what else the record holds.
    Raises:
        InputError: the log cannot be written; then nothing is done.
    """
    record("admin", {"act": act, "person": person, **more})
    try:
        yield
    except BaseException:
        record("admin", {"act": act, "person": person, "failed": True})
        raise


def _typed(row: tuple[Any, ...]) -> AuditRecord:
    numbers = [value if isinstance(value, int) else 0 for value in row[:3]]
    boot, kind, body = (value if isinstance(value, str) else "" for value in row[3:6])
    prev, hashed, signature = (value if isinstance(value, bytes) else b"" for value in row[6:])
    return AuditRecord(numbers[0], numbers[1], numbers[2], boot, kind, body, prev, hashed, signature)


def _key_of(connection: sqlite3.Connection, folder: Path, pem: str | bytes | None) -> Ed25519PrivateKey:
    """The given key, systemd's, that of the file, or, for a log without records, a new one. Raises InputError."""
    if pem is not None:
        return auditkey.private_key(pem, "the key that was given for the access log")
    key = auditkey.credential() or auditkey.read_key(folder)
    if key is not None:
        return key
    if connection.execute("SELECT 1 FROM record LIMIT 1").fetchone():
        raise AuditError(
            f"the key of the access log, {folder / auditkey.KEY_FILE}, is missing: put it back, or {BEGIN}"
        )
    return auditkey.make_key(folder)


def boot_id() -> str:
    """A word that is new at each start of the machine."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return "unknown"
