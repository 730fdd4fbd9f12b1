"""A new access log on purpose: the old one is set aside, and the new one's first record says so."""

from __future__ import annotations

import shutil
from datetime import datetime
from pathlib import Path

from device.access.audit import FILE, Audit
from device.access.auditkey import KEY_FILE, read_key
from device.access.auditmemory import AuditMemory
from device.access.auditrecord import Head
from device.errors import InputError
from device.system.clock import Clock, SystemClock


def begin_anew(folder: Path, why: str, clock: Clock | None = None) -> Path | None:
    """Set the log of a folder aside, where there is one, and begin a new one, with the same key where it can be read.

    Args:
        folder: the log's; no daemon may be at work on it.
        why: for the record.
        clock: the machine's where None.
    Returns:
        Where the old log lies now; None where there was none.
    Raises:
        InputError: the folder cannot be moved, or the new log not be written.
    """
    clock = clock or SystemClock()
    known = _closed(folder, why, clock) or AuditMemory(folder).head()
    after = {} if known is None else {"after_log": known.log, "after_seq": known.seq, "after_hash": known.hash.hex()}
    aside: Path | None = None
    try:
        if (folder / FILE).exists():
            stamp = f"{datetime.fromtimestamp(clock.wall()):%Y%m%d-%H%M%S}"
            aside = folder.rename(folder.with_name(f"{folder.name}-{stamp}"))
            folder.mkdir(mode=0o700)
            _keep_key(aside, folder)
    except OSError as error:
        raise InputError(f"cannot set the access log in {folder} aside: {error.strerror}") from error
    Audit.open(folder, clock, anew={**after, "detail": why}).close()
    return aside


def _closed(folder: Path, why: str, clock: Clock) -> Head | None:
    """The head of a log that is as it should be, once its end is on record in it; None for any other."""
    if not (folder / FILE).exists():
        return None
    try:
        old = Audit.open(folder, clock)
    except InputError:
        return None
    try:
        old.append("admin", {"act": "audit.begin", "person": "", "detail": why})
        return old.head()
    finally:
        old.close()


def _keep_key(old: Path, new: Path) -> None:
    """Go on with the old log's key, unless it is in a credential, or not fit to be read. Raises OSError."""
    try:
        if read_key(old) is not None:
            shutil.copy2(old / KEY_FILE, new / KEY_FILE)
    except InputError:
        return
