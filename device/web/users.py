"""Who may see the page and use the interface: users with passwords, tokens for programs, and open sessions."""

from __future__ import annotations

import hashlib
import re
import secrets
import sqlite3
import threading
import time
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from device.errors import ConfigError, InputError
from device.web.secretfile import private_file

NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,31}")
PASSWORD_MIN = 10
PASSWORD_MAX = 256
SESSION_S = 7 * 24 * 3600.0
"""A session ends so long after the login, whatever was done in between."""
TOKEN_PREFIX = "sereno_"
SCHEMA = """
CREATE TABLE IF NOT EXISTS users (name TEXT PRIMARY KEY, hash TEXT NOT NULL, changed REAL NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS tokens (name TEXT PRIMARY KEY, hash BLOB NOT NULL UNIQUE, created REAL NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS sessions (hash BLOB PRIMARY KEY, user TEXT NOT NULL, expires REAL NOT NULL) STRICT;
"""
FIRST = "admin"
"""The first user, where a machine makes it."""
ROLES = ("admin", "viewer")
"""Everybody may look; an administrator may also see, add and forget the people of a door."""
# A column of later: files of before have none. Then whoever was first is the administrator, the others look on as ever.
ADD_ROLE = """
ALTER TABLE users ADD COLUMN role TEXT NOT NULL DEFAULT 'viewer';
UPDATE users SET role = 'admin' WHERE rowid = (SELECT MIN(rowid) FROM users);
"""
# More than OWASP's 19 MiB and 2 passes. Above 32 MiB glibc maps a block and gives it back to the system; a smaller one
# would stay, once for each of the server's threads that ever checked a password. 64 MiB would be too much for a Pi.
HASHER = PasswordHasher(time_cost=2, memory_cost=33 * 1024, parallelism=1)
# Letters and digits that cannot be taken for one another: 31 of them, so that 20 carry 99 bits.
READABLE = "abcdefghjkmnpqrstuvwxyz23456789"


Rows = list[tuple[Any, ...]]


@dataclass(frozen=True, slots=True)
class User:
    """A person. `changed`: when the password was set, seconds since 1970. `role`: one of `ROLES`."""

    name: str
    changed: float
    role: str = "viewer"


@dataclass(frozen=True, slots=True)
class Token:
    """A program's key, of which only the hash is kept. `created`: seconds since 1970."""

    name: str
    created: float


class UserStore:
    """The file of users, tokens and sessions. Several processes and threads may use it at once.

    Passwords are kept as argon2id hashes, tokens and session ids as SHA-256 of 256 random bits.
    """

    def __init__(self, path: Path, clock: Callable[[], float] = time.time) -> None:
        """Open `path`, an SQLite file; it is created with mode 0600 where it is absent.

        Raises:
            InputError: it cannot be created or read, others may read it, or it is damaged.
        """
        self.path = path
        self._clock = clock
        self._lock = threading.RLock()
        self._hashing = threading.Lock()
        private_file(path)
        try:
            self._db = sqlite3.connect(path, timeout=5, check_same_thread=False)
            self._db.executescript(SCHEMA)
            self._migrate()
        except sqlite3.Error as error:
            raise InputError(f"cannot use {path}: {error}; it must be a writable SQLite file of Sereno") from error
        self._nobody = HASHER.hash(secrets.token_hex())

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._db.close()

    # Users

    def list(self) -> Sequence[User]:
        """All users, by name."""
        return [User(*row) for row in self._read("SELECT name, changed, role FROM users ORDER BY name")]

    def empty(self) -> bool:
        """Whether nobody can log in."""
        return not self._read("SELECT 1 FROM users LIMIT 1")

    def exists(self, name: str) -> bool:
        """Whether there is a user of that name."""
        return bool(self._read("SELECT 1 FROM users WHERE name = ?", name))

    def is_admin(self, name: str) -> bool:
        """Whether there is a user of that name who is an administrator."""
        return bool(self._read("SELECT 1 FROM users WHERE name = ? AND role = 'admin'", name))

    def set_role(self, name: str, role: str) -> None:
        """Make somebody an `admin` or a `viewer`; takes effect at once.

        Raises:
            ConfigError: there is no such role.
            InputError: there is no such user.
        """
        if role not in ROLES:
            raise ConfigError(f"there is no role {role!r}; it must be {' or '.join(ROLES)}")
        if not self._write("UPDATE users SET role = ? WHERE name = ?", role, name):
            raise InputError(f"there is no user {name!r}; add one with: sereno users add {name}")

    def add(self, name: str, password: str, *, admin: bool = False) -> None:
        """Add a user: a viewer, unless `admin`, or the first of all, who is an administrator.

        Raises:
            ConfigError: the name cannot be one.
            InputError: the name is taken, or the password too weak.
        """
        _check_name(name, "user")
        if self.exists(name):
            raise InputError(f"there is a user {name!r} already; change the password with: sereno users passwd {name}")
        hashed = self._hash(_checked(password, name))
        self._write(
            "INSERT OR IGNORE INTO users (name, hash, changed, role) VALUES "
            "(?, ?, ?, CASE WHEN ? OR NOT EXISTS (SELECT 1 FROM users) THEN 'admin' ELSE 'viewer' END)",
            name,
            hashed,
            self._clock(),
            admin,
        )

    def set_password(self, name: str, password: str) -> None:
        """Change a password; every open session of that user ends.

        Raises:
            InputError: there is no such user, or the password is too weak.
        """
        if not self.exists(name):
            raise InputError(f"there is no user {name!r}; add one with: sereno users add {name}")
        hashed = self._hash(_checked(password, name))
        with self._lock:
            self._write("UPDATE users SET hash = ?, changed = ? WHERE name = ?", hashed, self._clock(), name)
            self._write("DELETE FROM sessions WHERE user = ?", name)

    def remove(self, name: str) -> None:
        """Remove a user and end the sessions. Raises InputError where there is none of that name."""
        with self._lock:
            if not self._write("DELETE FROM users WHERE name = ?", name):
                raise InputError(f"there is no user {name!r}")
            self._write("DELETE FROM sessions WHERE user = ?", name)

    def verify(self, name: str, password: str) -> bool:
        """Whether `password` is right; takes as long where there is no such user. One at a time: each takes 33 MiB."""
        rows = self._read("SELECT hash FROM users WHERE name = ?", name)
        hashed = rows[0][0] if rows else self._nobody
        with self._hashing:
            try:
                HASHER.verify(hashed, _normal(password)[: PASSWORD_MAX + 1])
            except (VerificationError, InvalidHashError):
                return False
        return bool(rows)

    def first_password(self) -> tuple[str, str] | None:
        """The new user `FIRST` and its strong password, to be shown once; None where there is a user already."""
        if not self.empty():
            return None
        letters = "".join(secrets.choice(READABLE) for _ in range(20))
        password = "-".join(letters[start : start + 5] for start in range(0, 20, 5))
        self.add(FIRST, password)
        return FIRST, password

    # Tokens

    def add_token(self, name: str) -> str:
        """A new token, which is shown here and never again.

        Raises:
            ConfigError: the name cannot be one.
            InputError: the name is taken.
        """
        _check_name(name, "token")
        token = TOKEN_PREFIX + secrets.token_urlsafe(32)
        if not self._write("INSERT OR IGNORE INTO tokens VALUES (?, ?, ?)", name, _digest(token), self._clock()):
            raise InputError(f"there is a token {name!r} already; revoke it with: sereno token revoke {name}")
        return token

    def list_tokens(self) -> Sequence[Token]:
        """All tokens, by name."""
        return [Token(*row) for row in self._read("SELECT name, created FROM tokens ORDER BY name")]

    def revoke_token(self, name: str) -> None:
        """Forget a token. Raises InputError where there is none of that name."""
        if not self._write("DELETE FROM tokens WHERE name = ?", name):
            raise InputError(f"there is no token {name!r}; see them with: sereno token list")

    def verify_token(self, token: str) -> str | None:
        """The name of a token, None if it is not valid."""
        rows = self._read("SELECT name FROM tokens WHERE hash = ?", _digest(token))
        return str(rows[0][0]) if rows else None

    # Sessions

    def open_session(self, user: str) -> str:
        """The id of a new session, valid for `SESSION_S` seconds. Sessions that have run out are forgotten."""
        session_id = secrets.token_urlsafe(32)
        with self._lock:
            self._write("DELETE FROM sessions WHERE expires <= ?", self._clock())
            self._write("INSERT INTO sessions VALUES (?, ?, ?)", _digest(session_id), user, self._clock() + SESSION_S)
        return session_id

    def session_user(self, session_id: str) -> str | None:
        """Whose session it is, None once it has ended."""
        rows = self._read(
            "SELECT user FROM sessions WHERE hash = ? AND expires > ?", _digest(session_id), self._clock()
        )
        return str(rows[0][0]) if rows else None

    def close_session(self, session_id: str) -> None:
        """End a session."""
        self._write("DELETE FROM sessions WHERE hash = ?", _digest(session_id))

    # The file

    def _migrate(self) -> None:
        """Bring a file of an earlier version up to date. Raises sqlite3.Error."""
        with self._db:
            self._db.execute("BEGIN IMMEDIATE")
            if "role" not in {row[1] for row in self._db.execute("PRAGMA table_info(users)")}:
                for statement in ADD_ROLE.strip().split(";\n"):
                    self._db.execute(statement)

    def _hash(self, password: str) -> str:
        with self._hashing:
            return HASHER.hash(password)

    def _read(self, sql: str, *values: object) -> Rows:
        try:
            with self._lock:
                return self._db.execute(sql, values).fetchall()
        except sqlite3.Error as error:
            raise InputError(f"cannot read {self.path}: {error}") from error

    def _write(self, sql: str, *values: object) -> int:
        """Commit one statement; the number of rows it changed."""
        try:
            with self._lock, self._db:
                return self._db.execute(sql, values).rowcount
        except sqlite3.Error as error:
            raise InputError(f"cannot write {self.path}: {error}") from error


def _digest(secret: str) -> bytes:
    """SHA-256. Right for secrets of 256 random bits only: there is nothing to guess."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).digest()


def _normal(password: str) -> str:
    """One form for letters that keyboards compose differently, as ñ."""
    return unicodedata.normalize("NFC", password)


def _check_name(name: str, what: str) -> None:
    if not NAME.fullmatch(name):
        raise ConfigError(
            f"{name!r} cannot be the name of a {what}: "
            "it takes 1 to 32 of a to z, 0 to 9, '.', '_' and '-', the first a letter or digit"
        )


def _checked(password: str, name: str) -> str:
    """The password in normal form. Raises InputError where it is too weak."""
    password = _normal(password)
    if len(password) < PASSWORD_MIN:
        raise InputError(f"the password has {len(password)} characters; it needs at least {PASSWORD_MIN}")
    if len(password) > PASSWORD_MAX:
        raise InputError(f"the password has {len(password)} characters; {PASSWORD_MAX} is the most")
    if (name in password.casefold() and len(password) < PASSWORD_MIN + len(name)) or len(set(password)) < 4:
        raise InputError("the password is too easy to guess; take several unrelated words")
    return password
