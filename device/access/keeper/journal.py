"""The keeper's journal: one JSON line for each movement, on the disk before the lock is released."""

from __future__ import annotations

import json
import os
import time
from array import array
from bisect import bisect_left
from collections.abc import Iterator
from pathlib import Path
from typing import Any


class Journal:
    """Appends to a file that only grows. Times: `monotonic` (seconds since the machine started) and `wall`."""

    def __init__(self, path: Path) -> None:
        """Open the file, make it where it is missing. Raises OSError."""
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.path = path
        self._used: array[int] = array("Q")
        self.left_open = ""
        """The authorisation of a release that an earlier keeper did not live to end; empty where there is none."""
        self._damage: OSError | None = None
        try:
            for entry in entries(path) if path.exists() else ():
                self._take(entry)
        except OSError as error:
            # Which records have released the lock is not known: no entry is written, but the pin is put to rest first.
            self._damage = error
        self._last, self._end = b"", 0
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        self._boot = _boot_id()
        if path.stat().st_size and not _ends_with_newline(path):
            # A power cut tore the last line: it was not on the disk, so nothing had moved by it.
            os.write(self._fd, b"\n")

    def _take(self, entry: dict[str, Any]) -> None:
        action, authorisation = entry.get("action"), str(entry.get("authorisation", ""))
        if action in ("unlock", "extend"):
            self._use(authorisation)
            self.left_open = authorisation if action == "unlock" else self.left_open
        elif action == "rest":
            self.left_open = ""

    def write(self, action: str, *, durable: bool = True, **details: Any) -> None:
        """Append an entry, by default forced to the disk before this returns.

        Raises:
            OSError: it is not on the disk, or what is there cannot be read, or the file is not the one that was opened
                and written to any more.
        """
        if self._damage is not None:
            raise self._damage
        self._require_same()
        entry = {
            "action": action,
            **details,
            **self.now(),
            "boot": self._boot,
            "pid": os.getpid(),
        }
        line = (json.dumps(entry) + "\n").encode()
        written = os.write(self._fd, line)
        if written != len(line):
            os.write(self._fd, b"\n")
            raise OSError(f"{self.path}: only a part of the line was written")
        self._last, self._end = line, os.lseek(self._fd, 0, os.SEEK_CUR)
        if durable:
            os.fsync(self._fd)
            self._require_same()  # A line that nobody finds tells nothing.
        if action in ("unlock", "extend"):
            self._use(str(details.get("authorisation", "")))

    def _require_same(self) -> None:
        """Raises OSError where the path names another file or none, or this process's newest line is not in it."""
        try:
            there, open_ = self.path.stat(), os.fstat(self._fd)
            same = (there.st_dev, there.st_ino) == (open_.st_dev, open_.st_ino)
        except FileNotFoundError:
            same = False
        if not same or os.pread(self._fd, len(self._last), self._end - len(self._last)) != self._last:
            raise OSError(
                f"{self.path} was deleted, moved, replaced or cut off while it was in use: put it back, or start "
                "sereno anew, and ask `sereno audit verify` what is missing"
            )

    def now(self) -> dict[str, float]:
        """The two times, as entries carry them."""
        return {"monotonic": time.monotonic(), "wall": time.time()}

    def used(self, authorisation: str) -> bool:
        """Whether an audit record has released the lock before, also under an earlier keeper."""
        key = _key(authorisation)
        place = bisect_left(self._used, key)
        return place < len(self._used) and self._used[place] == key

    def _use(self, authorisation: str) -> None:
        key = _key(authorisation)
        place = bisect_left(self._used, key)
        if place == len(self._used) or self._used[place] != key:
            self._used.insert(place, key)


def entries(path: Path) -> Iterator[dict[str, Any]]:
    """The entries in their order; a torn line is passed over. Raises OSError, also where a line was never an entry."""
    with path.open("rb") as stream:
        for number, line in enumerate(stream, start=1):
            try:
                entry = json.loads(line)
            except ValueError:
                continue
            except RecursionError:
                raise OSError(f"{path} is damaged at line {number}: move it away to begin a new one") from None
            if isinstance(entry, dict):
                yield entry


def _key(authorisation: str) -> int:
    """The first 64 bits of a hash: 8 bytes a release, and a year of a busy door takes less than a megabyte. Two that
    are alike by chance cost one refused release."""
    try:
        return int(authorisation[:16], 16) & 0xFFFF_FFFF_FFFF_FFFF
    except ValueError:
        return 0


def _ends_with_newline(path: Path) -> bool:
    with path.open("rb") as stream:
        stream.seek(-1, os.SEEK_END)
        return stream.read(1) == b"\n"


def _boot_id() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return "unknown"
