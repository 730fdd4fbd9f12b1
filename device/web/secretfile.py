"""Files that only the daemon may read."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from device.errors import InputError

KEY_BYTES = 32


def private_file(path: Path, content: bytes = b"") -> None:
    """Create `path` with mode 0600 and `content`, and its folder, unless it is there already.

    Root gives it to the folder's owner: `sudo sereno users passwd` must not lock the daemon out.

    Raises:
        InputError: it cannot be written, or it is there and others may read it.
    """
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_NOFOLLOW, 0o600)
    except FileExistsError:
        _refuse_if_open_to_others(path)
        return
    except OSError as error:
        raise InputError(f"cannot create {path}: {error.strerror}; the folder must be writable") from error
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        if os.geteuid() == 0:
            owner = path.parent.stat()
            os.fchown(file.fileno(), owner.st_uid, owner.st_gid)


def session_key(path: Path) -> bytes:
    """The key that signs session cookies: 32 random bytes, made at the first call.

    Raises:
        InputError: it cannot be read or written, others may read it, or it is damaged.
    """
    private_file(path, secrets.token_bytes(KEY_BYTES))
    try:
        key = path.read_bytes()
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from error
    if len(key) != KEY_BYTES:
        raise InputError(f"{path} holds {len(key)} bytes instead of {KEY_BYTES}; remove it and a new key is made")
    return key


def _refuse_if_open_to_others(path: Path) -> None:
    mode = path.stat().st_mode & 0o777
    if mode & 0o077:
        raise InputError(f"{path} may be read by others (mode {mode:03o}); set it right with: chmod 600 {path}")
