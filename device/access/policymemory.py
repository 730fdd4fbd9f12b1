"""What of the policy outlives the process: a small file, on the disk before a decision takes effect."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from device.errors import InputError
from device.jsontext import parsed

log = logging.getLogger(__name__)

FILE = "lockout.json"
UNREADABLE: dict[str, Any] = {"schema": 0}
"""What stands for a file that cannot be read: the policy distrusts it, and locks out for a while."""
LARGEST_BYTES = 65_536
_Mark = tuple[int, int, int, int]
"""What tells one state of one file from another, without reading it: device, inode, bytes, time of change."""


class PolicyMemory:
    """The file of one door."""

    def __init__(self, folder: Path) -> None:
        """`folder`: the state folder, which must be there."""
        self._path = folder / FILE
        self._kept: Mapping[str, Any] | None = None
        self._file: _Mark | None = None

    def load(self) -> Mapping[str, Any] | None:
        """What was kept last; None where nothing ever was, `UNREADABLE` for a file that is damaged.

        Raises:
            InputError: the disk does not let it be read.
        """
        try:
            with self._path.open("rb") as file:
                content, mark = file.read(LARGEST_BYTES), _mark(os.fstat(file.fileno()))
        except FileNotFoundError:
            return None
        except OSError as error:
            raise InputError(f"cannot read {self._path}: {error.strerror}") from error
        try:
            record = parsed(content)
        except ValueError:
            record = None
        if not isinstance(record, dict):
            log.error("%s is damaged: whoever wants in has to wait as if somebody had tried too often", self._path)
            return UNREADABLE
        self._kept, self._file = record, mark
        return record

    def keep(self, record: Mapping[str, Any]) -> None:
        """Put `record` (of JSON's types) on the disk, where it is another than was kept last, or where the file that
        has it was removed or changed: to delete a lockout under the running door must not end it with a restart.

        The file is replaced as a whole and forced to the disk, and so is its name.

        Raises:
            InputError: it is not there for sure.
        """
        if record == (self._kept or {}) and self._file == self._there():
            return
        part = self._path.with_name(f".{FILE}.part")
        try:
            descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                json.dump(record, file)
                file.flush()
                os.fsync(file.fileno())
                mark = _mark(os.fstat(file.fileno()))
            part.replace(self._path)
            folder = os.open(self._path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
        except OSError as error:
            self._kept = self._file = None
            raise InputError(f"cannot write {self._path}: {error.strerror}") from error
        self._kept, self._file = dict(record), mark

    def _there(self) -> _Mark | None:
        """Of the file that has the name now; None where none has it."""
        try:
            return _mark(self._path.stat(follow_symlinks=False))
        except OSError:
            return None


def _mark(found: os.stat_result) -> _Mark:
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns
