"""The gallery's file: SQLite that forgets deleted rows for good, and says in one sentence what it cannot do."""

from __future__ import annotations

import os
import sqlite3
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from device.errors import InputError
from device.system.transactions import immediate

APPLICATION_ID = 0x53524E47
"""`SRNG`: what tells a gallery from any other SQLite file."""
BUSY_S = 5.0
"""Another process may hold the file for so long before it is an error."""

MIGRATIONS: tuple[str, ...] = (
    """
    CREATE TABLE meta (key TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
    CREATE TABLE person (
        id TEXT PRIMARY KEY,
        record BLOB NOT NULL,
        template BLOB NOT NULL
    );
    CREATE TABLE crop (
        person TEXT NOT NULL REFERENCES person (id) ON DELETE CASCADE,
        number INTEGER NOT NULL,
        content BLOB NOT NULL,
        PRIMARY KEY (person, number)
    );
    """,
)
"""Each brings the file from the schema of its index to the next; `PRAGMA user_version` is how many were done."""

REMEDY = "restore it from a copy (`sereno people export` makes one), or move it away and enrol anew"


class GalleryStore:
    """One connection, shared by threads under `lock`. Every commit is on the disk when it returns."""

    def __init__(self, path: Path) -> None:
        """Open the file.

        Raises:
            InputError: it is missing, empty, damaged, of another program or a newer version, or cannot be opened.
        """
        self.path = path
        self.lock = threading.RLock()
        self._own = 0
        self._file = self._look()
        self._connection = self._connect()

    def _look(self) -> tuple[int, int]:
        """Which file it is: device and inode."""
        try:
            status = self.path.stat()
        except FileNotFoundError:
            raise absent(self.path) from None
        except OSError as error:
            raise InputError(f"the gallery {self.path} cannot be read: {error.strerror}") from None
        if status.st_size == 0:
            raise InputError(f"the gallery {self.path} is an empty file, so what it held is gone: {REMEDY}")
        return status.st_dev, status.st_ino

    def _connect(self) -> sqlite3.Connection:
        try:
            connection = sqlite3.connect(
                f"{self.path.absolute().as_uri()}?mode=rw",
                uri=True,
                timeout=BUSY_S,
                isolation_level=None,
                check_same_thread=False,
            )
        except sqlite3.Error as error:
            raise self.failure(error) from error
        try:
            set_up(connection)
            self._check(connection)
        except sqlite3.Error as error:
            connection.close()
            raise self.failure(error) from error
        except InputError:
            connection.close()
            raise
        return connection

    def _check(self, connection: sqlite3.Connection) -> None:
        """Refuse what is no gallery, or of a later version; bring an earlier one up to date."""
        [application] = connection.execute("PRAGMA application_id").fetchone()
        if application != APPLICATION_ID:
            raise InputError(f"{self.path} is a database of something else, no gallery: name another with --gallery")
        [version] = connection.execute("PRAGMA user_version").fetchone()
        if version > len(MIGRATIONS):
            raise InputError(
                f"the gallery {self.path} is of schema {version}, this version knows {len(MIGRATIONS)}: update sereno"
            )
        if version < len(MIGRATIONS):
            migrate(connection, version)

    def require_same_file(self) -> None:
        """Raises InputError where the path names no file any more, or another than the one that is open."""
        if self._look() != self._file:
            # SQLite would play this file's log into that one.
            raise InputError(
                f"the gallery {self.path} was replaced while it was in use: stop every sereno, put the right file "
                f"there, remove {self.path.name}-wal and {self.path.name}-shm, and start again"
            )

    def version(self) -> tuple[int, int]:
        """What changes when the file was changed: by another connection, by this one."""
        with self.lock, self._sentences():
            [others] = self._connection.execute("PRAGMA data_version").fetchone()
            return int(others), self._own

    def meta(self, key: str) -> bytes:
        """A remembered value; empty where there is none."""
        with self.lock, self._sentences():
            row = self._connection.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
        return bytes(row[0]) if row else b""

    def rows(self, statement: str, *values: object) -> list[tuple[bytes, ...]]:
        """All rows of a SELECT."""
        with self.lock, self._sentences():
            return self._connection.execute(statement, values).fetchall()

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """A write that happens as a whole, and is on the disk afterwards. Raises InputError where it cannot be."""
        with self.lock, self._sentences():
            self._own += 1
            try:
                with immediate(self._connection):
                    yield self._connection
            finally:
                self._own += 1

    def purge(self) -> None:
        """Leave no byte of deleted rows in the file, its freed pages or its log.

        Raises:
            InputError: another process kept the file busy, or the disk refuses. The rows are deleted all the same.
        """
        with self.lock, self._sentences():
            purge(self._connection, self.path)

    @contextmanager
    def _sentences(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise self.failure(error) from error

    def failure(self, error: sqlite3.Error) -> InputError:
        """The sentence for what SQLite says."""
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        what = f"the gallery {self.path}"
        if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB) or "no such table" in str(error):
            return InputError(f"{what} is damaged ({error}): {REMEDY}")
        if code in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM):
            return InputError(
                f"{what} cannot be opened for writing ({error}): the file and its folder must be ones this user may "
                "write to, even to read it (SQLite keeps its log beside it)"
            )
        if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            return InputError(f"{what} is busy: another process has been writing for {BUSY_S:.0f} s; try again")
        if code in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR):
            return InputError(f"{what} cannot be written ({error}): is the disk full? Nothing was changed")
        return InputError(f"{what} cannot be used: {error}")

    def close(self) -> None:
        """Close the file. Harmless when repeated."""
        with self.lock, suppress(sqlite3.Error):
            self._connection.close()


def absent(path: Path) -> InputError:
    """The sentence for a gallery that is not there."""
    return InputError(f"there is no gallery at {path}: `sereno enrol NAME photos/` makes one, --gallery names another")


def set_up(connection: sqlite3.Connection) -> None:
    """What each connection must be told. Raises sqlite3.Error, also for a file that is no database."""
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute("PRAGMA secure_delete=ON")
    connection.execute("PRAGMA foreign_keys=ON")
    # VACUUM and sorting would leave what they work on in a file elsewhere.
    connection.execute("PRAGMA temp_store=MEMORY")


def purge(connection: sqlite3.Connection, path: Path) -> None:
    """Leave no byte of deleted rows in a SQLite file, its freed pages or its log.

    Raises:
        InputError: another process kept it busy.
        sqlite3.Error: the disk refuses.
    """
    connection.execute("PRAGMA temp_store=MEMORY")
    connection.execute("PRAGMA secure_delete=ON")
    connection.execute("VACUUM")
    deadline = time.monotonic() + BUSY_S
    while connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]:
        if time.monotonic() > deadline:
            raise InputError(
                f"{path} is being read by another process: what was deleted may be in {path.name}-wal until that is "
                "done; give the same command again"
            )


def migrate(connection: sqlite3.Connection, version: int) -> None:
    """Bring a file from schema `version` to the newest, as a whole."""
    steps = "".join(MIGRATIONS[version:])
    connection.executescript(f"BEGIN IMMEDIATE; {steps} PRAGMA user_version = {len(MIGRATIONS)}; COMMIT;")


def create_store(path: Path, fill: Callable[[sqlite3.Connection], None]) -> None:
    """Make a new gallery file, whole or not at all, unless another process has just made it.

    Args:
        path: where; its folder is made, too.
        fill: writes the first values into the new file.
    Raises:
        InputError: the folder or the disk refuses.
    """
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
        os.close(descriptor)
    except OSError as error:
        raise _cannot_make(path, str(error.strerror)) from None
    try:
        connection = sqlite3.connect(name, isolation_level=None)
        try:
            connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            set_up(connection)
            migrate(connection, 0)
            fill(connection)
        finally:
            connection.close()
        if os.geteuid() == 0:
            owner = path.parent.stat()
            os.chown(name, owner.st_uid, owner.st_gid)
        with suppress(FileExistsError):
            os.link(name, path)
    except (OSError, sqlite3.Error) as error:
        raise _cannot_make(path, str(error)) from None
    finally:
        for suffix in ("", "-wal", "-shm"):
            Path(name + suffix).unlink(missing_ok=True)


def _cannot_make(path: Path, reason: str) -> InputError:
    return InputError(f"the gallery {path} cannot be made: {reason}; its folder must be one this user may write to")
