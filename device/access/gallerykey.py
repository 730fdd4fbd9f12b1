"""Where the gallery's key comes from: systemd's credential, or a file that nobody else may read."""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import stat
import tempfile
from collections.abc import Mapping
from pathlib import Path

from device.access.sealing import KEY_BYTES
from device.errors import InputError
from device.system.credentials import places

CREDENTIAL = "gallery-key"
"""Name of the systemd credential (`LoadCredentialEncrypted=gallery-key:…`), or of a file in its folder."""
FORM = f"{KEY_BYTES * 2} hexadecimal digits, as `openssl rand -hex {KEY_BYTES}` prints them"


def key_file(gallery: Path) -> Path:
    """The key file that belongs to a gallery where none is configured: `DB.key` beside it."""
    return gallery.with_name(f"{gallery.name}.key")


def find_key(
    gallery: Path, configured: Path | None = None, *, create: bool = False, environment: Mapping[str, str] | None = None
) -> bytes:
    """The key of a gallery: the configured file, else systemd's credential, else the file beside the gallery.

    Args:
        gallery: the database, which need not be there yet.
        configured: a key file that was named by a person or the configuration.
        create: make the file (32 random bytes, mode 0400) where neither it nor the gallery is there. A gallery whose
            key is gone never gets a new one: it would open nothing.
        environment: where `CREDENTIALS_DIRECTORY` is read; the process's own by default.
    Returns:
        32 bytes.
    Raises:
        InputError: there is none, others may read it, or it holds something else.
    """
    credential = _credential(os.environ if environment is None else environment)
    if configured is None and credential is not None:
        return read_key(credential, private=False)
    path = configured or key_file(gallery)
    if create and not gallery.exists() and not path.exists():
        _create(path)
    return read_key(path)


def _credential(environment: Mapping[str, str]) -> Path | None:
    for path in places(CREDENTIAL, environment):
        with contextlib.suppress(OSError):  # The folder is root's alone: somebody else has a key of their own.
            if path.exists():
                return path
    return None


def read_key(path: Path, *, private: bool = True) -> bytes:
    """The key in a file: 32 bytes.

    Args:
        path: the file.
        private: refuse one that others may read; systemd guards its credentials itself.
    Raises:
        InputError: it is missing, cannot be read, others may read it, or it holds no key.
    """
    try:
        mode = stat.S_IMODE(path.stat().st_mode)
        text = path.read_bytes()[: KEY_BYTES * 4].strip()
    except FileNotFoundError:
        raise InputError(
            f"the key {path} is missing: put it back from where you keep a copy (what it sealed cannot be read "
            "without; a gallery must be enrolled anew then)"
        ) from None
    except OSError as error:
        raise InputError(f"the key {path} cannot be read: {error.strerror}") from None
    if private and mode & 0o377:
        raise InputError(f"the key {path} has mode {mode:04o}, and only its owner may read it: chmod 0400 {path}")
    if not re.fullmatch(rb"[0-9a-fA-F]{%d}" % (KEY_BYTES * 2), text):
        raise InputError(f"{path} holds no key: wanted {FORM}")
    return bytes.fromhex(text.decode())


def _create(path: Path) -> None:
    """A new key, whole or not at all; one that another process has just made stays. Raises InputError."""
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
        try:
            with os.fdopen(descriptor, "w", encoding="ascii") as file:
                file.write(secrets.token_hex(KEY_BYTES) + "\n")
                file.flush()
                os.fchmod(descriptor, 0o400)
                if os.geteuid() == 0:
                    # `sudo sereno enrol` must not lock the daemon out of its own gallery.
                    owner = path.parent.stat()
                    os.fchown(descriptor, owner.st_uid, owner.st_gid)
                os.fsync(descriptor)
            with contextlib.suppress(FileExistsError):
                os.link(name, path)
        finally:
            Path(name).unlink()
    except OSError as error:
        raise InputError(
            f"the gallery's key {path} cannot be written: {error.strerror}; "
            "its folder must be one this user may write to"
        ) from None
