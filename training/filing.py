"""Files that are there whole or not at all, also when the disk is full or the power goes."""

from __future__ import annotations

import errno
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from device.errors import InputError

FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
IN_WORDS = re.compile(r"no space left|not enough free space|errno = 2[78]\b", re.IGNORECASE)
PROBE_BYTES = 1 << 16


@contextmanager
def replacing(target: Path) -> Iterator[Path]:
    """A scratch path beside `target` that takes its place when the block ends well, and is removed when not.

    The scratch file has the target's suffix, as Keras and others go by it. Its bytes are on the disk (fsync) before it
    is renamed.

    Raises:
        InputError: the disk is full or the file cannot be written; the target is as it was.
    """
    scratch = target.with_name(f".part-{target.name}")
    try:
        scratch.parent.mkdir(parents=True, exist_ok=True)
        scratch.unlink(missing_ok=True)
        if target.is_file() and shutil.disk_usage(target.parent).free < target.stat().st_size:
            # The next checkpoint is as large as the last one. Some writers fill the terminal with tracebacks.
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        yield scratch
        _sync(scratch)
        scratch.replace(target)
        _sync(target.parent)
    except BaseException as error:
        full = isinstance(error, Exception) and disk_is_full(error, target.parent)
        with suppress(OSError):
            scratch.unlink(missing_ok=True)
        if full:
            kept = f"; the {target.name} written before is still there" if target.exists() else ""
            raise InputError(
                f"no space left on the disk for {target}{kept}: free some and go on by --resume"
            ) from error
        if (
            isinstance(error, OSError)
            and error.filename is not None
            and Path(str(error.filename))
            in (
                scratch,
                target,
                target.parent,
            )
        ):
            raise InputError(f"cannot write {target}: {error.strerror}") from error
        raise


def disk_is_full(error: BaseException, folder: Path) -> bool:
    """Whether `error` came of a full disk.

    NumPy's and HDF5's writers say it in words of their own, PyTorch's not at all: then a few bytes are tried.
    """
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, OSError) and (seen.errno in FULL or IN_WORDS.search(str(seen))):
            return True
        seen = seen.__cause__ or seen.__context__
    return isinstance(error, (OSError, RuntimeError)) and not _takes_more(folder)


def _takes_more(folder: Path) -> bool:
    probe = folder / ".part-probe"
    try:
        with probe.open("wb") as stream:
            stream.write(b"\0" * PROBE_BYTES)
            stream.flush()
            os.fsync(stream.fileno())
    except OSError as error:
        return error.errno not in FULL
    finally:
        with suppress(OSError):
            probe.unlink(missing_ok=True)
    return True


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
