"""One process at a time in a state folder."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from device.errors import InputError


class FolderLock:
    """Holds `<folder>/sereno.lock` until released, or until the process ends in whatever way: the kernel lets go of
    it then."""

    def __init__(self, folder: Path) -> None:
        """Make the folder where it is missing, and take it.

        Raises:
            InputError: another process holds it, or the folder cannot be made or written to.
        """
        self.folder = folder
        try:
            # Pictures of people are nobody else's business; a folder that is there already keeps its mode.
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._fd = os.open(folder / "sereno.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
        except OSError as error:
            raise cannot_write(folder, error) from error
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            pid = os.pread(self._fd, 20, 0).decode(errors="replace").strip() or "unknown"
            os.close(self._fd)
            raise InputError(
                f"{folder} is already in use by another sereno (pid {pid}): stop that one, "
                "or give this one a folder of its own (storage.path)"
            ) from error
        try:
            os.ftruncate(self._fd, 0)
            os.pwrite(self._fd, f"{os.getpid()}\n".encode(), 0)
        except OSError as error:
            os.close(self._fd)
            raise cannot_write(folder, error) from error

    def release(self) -> None:
        """Let another process have the folder. Harmless when repeated."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def holder(folder: Path) -> str | None:
    """The process that holds a state folder; None where none does. Leaves the lock's file as it is."""
    try:
        lock = os.open(folder / "sereno.lock", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return os.pread(lock, 20, 0).decode(errors="replace").strip() or "unknown"
    finally:
        os.close(lock)
    return None


def cannot_write(folder: Path, error: OSError | str) -> InputError:
    """The sentence for a storage folder that refuses."""
    reason = error.strerror if isinstance(error, OSError) else error
    return InputError(
        f"cannot write to the storage folder {folder}: {reason}; "
        "storage.path must name a folder with free space that this user may write to"
    )
