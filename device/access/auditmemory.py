"""The newest head of the access log, remembered beside its folder: a log that is gone, or older than it was, shows."""

from __future__ import annotations

import logging
import os
from pathlib import Path

from device.access.auditrecord import Head
from device.errors import InputError

log = logging.getLogger(__name__)

BEGIN = "`sereno audit begin` begins a new one, on record"
SIZE = 512
"""Bytes of the file: a head takes 370, and a disk writes so many at once."""


class AuditMemory:
    """The file `FOLDER.head` of one log. Whoever may write there can remove it with the log: the anchor that is proof
    lies on another machine."""

    def __init__(self, folder: Path) -> None:
        """`folder`: the log's."""
        self.path = folder.with_name(f"{folder.name}.head")
        self._journal = folder.with_name("lock") / "journal.jsonl"

    def head(self) -> Head | None:
        """The head that was remembered last; None where none was, or the file is damaged. Raises InputError."""
        try:
            return Head.from_json(self.path.read_text(encoding="utf-8", errors="replace"))
        except FileNotFoundError:
            return None
        except ValueError:
            log.warning("%s is damaged: it is written anew with the next record", self.path)
            return None
        except OSError as error:
            raise InputError(f"cannot read {self.path}: {error.strerror}") from error

    def keep(self, head: Head) -> None:
        """Remember the head of a log whose records are on the disk. A disk that refuses is told, and no more.

        It is not forced to the disk: the head that a power cut leaves is an older one, and as true.
        """
        try:
            descriptor = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
            try:
                # Always as long: no other process finds half of it.
                os.pwrite(descriptor, head.to_json().ljust(SIZE).encode(), 0)
            finally:
                os.close(descriptor)
        except OSError as error:
            log.warning("cannot remember the access log's head in %s: %s", self.path, error.strerror)

    def lost(self, folder: Path) -> str:
        """Why a log that is not in `folder` should be there, in a sentence; empty where nothing speaks of one.

        Raises:
            InputError: what was remembered cannot be read.
        """
        head = self.head()
        if head is not None:
            trace = f"{self.path} remembers its record {head.seq}"
        elif self.path.exists():
            trace = f"{self.path} is there"
        elif self._journal.exists():
            trace = f"{self._journal} tells of this door's lock"
        else:
            return ""
        return f"the access log in {folder} is gone, but {trace}: put the log back, or {BEGIN}"
