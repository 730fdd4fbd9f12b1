"""Files that only the daemon may read."""

from __future__ import annotations

import contextlib
import os
import secrets
import tempfile
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
        if not path.exists():
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            _create(path, content)
        mode = path.stat().st_mode & 0o777
    except OSError as error:
        raise InputError(f"cannot create {path}: {error.strerror}; its folder must be writable") from error
    if mode & 0o077:
        raise InputError(f"{path} may be read by others (mode {mode:03o}); set it right with: chmod 600 {path}")


def _create(path: Path, content: bytes) -> None:
    """Whole or not at all, and not over one that another process has just made."""
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(descriptor)
            if os.geteuid() == 0:
                owner = path.parent.stat()
                os.fchown(descriptor, owner.st_uid, owner.st_gid)
        with contextlib.suppress(FileExistsError):
            os.link(name, path)
    finally:
        Path(name).unlink()


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
