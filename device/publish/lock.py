"""One process at a time in a state folder."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from device.errors import InputError

FILE = "sereno.lock"
"""Names the process that holds the folder."""
_FLAGS = os.O_RDONLY | os.O_CLOEXEC


class FolderLock:
    """Holds a folder, and `sereno.lock` in it, until released, or until the process ends in whatever way: the kernel
    lets go of them then. To delete that file lets nobody else in."""

    def __init__(self, folder: Path) -> None:
        """Make the folder where it is missing, and take it.

        Raises:
            InputError: another process holds it, or the folder cannot be made or written to.
        """
        self.folder = folder
        self._held: list[int] = []
        try:
            # Pictures of people are nobody else's business; a folder that is there already keeps its mode.
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._take(os.open(folder, _FLAGS | os.O_DIRECTORY), ours=False)
            self._take(os.open(folder / FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640), ours=True)
            os.ftruncate(self._held[-1], 0)
            os.pwrite(self._held[-1], f"{os.getpid()}\n".encode(), 0)
        except BlockingIOError as error:
            self.release()
            raise InputError(
                f"{folder} is already in use by another sereno (pid {_named(folder)}): stop that one, "
                "or give this one a folder of its own (storage.path)"
            ) from error
        except OSError as error:
            self.release()
            raise cannot_write(folder, error) from error

    def _take(self, descriptor: int, *, ours: bool) -> None:
        """Raises BlockingIOError where another process has it, OSError where `ours`, a file, cannot be had."""
        self._held.append(descriptor)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise
        except OSError:
            # A share on the network may know no locks of folders; then the file is what is held.
            if ours:
                raise

    def release(self) -> None:
        """Let another process have the folder. Harmless when repeated."""
        while self._held:
            os.close(self._held.pop())


def holder(folder: Path) -> str | None:
    """The process that holds a state folder; None where none does. Leaves the lock's file as it is."""
    return _named(folder) if _busy(folder) or _busy(folder / FILE) else None


def _busy(path: Path) -> bool:
    try:
        descriptor = os.open(path, _FLAGS)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    finally:
        os.close(descriptor)
    return False


def _named(folder: Path) -> str:
    """The process that the lock's file names."""
    try:
        return (folder / FILE).read_text(errors="replace")[:20].strip() or "unknown"
    except OSError:
        return "unknown"


def cannot_write(folder: Path, error: OSError | str) -> InputError:
    """The sentence for a storage folder that refuses."""
    reason = error.strerror if isinstance(error, OSError) else error
    return InputError(
        f"cannot write to the storage folder {folder}: {reason}; "
        "storage.path must name a folder with free space that this user may write to"
    )
