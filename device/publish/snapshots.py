"""Pictures of events: drawn, encoded, and kept in a folder that never grows beyond its bounds."""

from __future__ import annotations

import logging
import os
import re
import shutil
import threading
from pathlib import Path

from device.datatypes import BestFrame
from device.drawing import Caption, draw, encode

log = logging.getLogger(__name__)

SAFE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")


def picture_of(best: BestFrame) -> bytes:
    """JPEG of the whole picture with the object's box, label and score."""
    image = best.image.copy()
    draw(image, [Caption(best.box, best.label, best.score, class_id=0)])
    return encode(image)


class SnapshotFolder:
    """`<camera>-<event id>.jpg`, the oldest removed first beyond `max_bytes`, all after `max_age_s`.

    Below `min_free_bytes` of free space nothing is written. `trouble` is one sentence, empty when all is well.
    """

    def __init__(self, folder: Path, max_bytes: int, max_age_s: float, min_free_bytes: int) -> None:
        """Open the folder, making it where it is missing. Raises OSError where it cannot be made or read."""
        self.folder = folder
        self._max_bytes = max_bytes
        self._max_age_s = max_age_s
        self._min_free_bytes = min_free_bytes
        self.trouble = ""
        self._lock = threading.Lock()
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for leftover in folder.glob(".*.tmp"):
            leftover.unlink(missing_ok=True)
        found = sorted((path.stat().st_mtime, path.name, path.stat().st_size) for path in folder.glob("*.jpg"))
        self._files = {name: (modified, size) for modified, name, size in found}
        self._bytes = sum(size for _, _, size in found)

    def write(self, camera: str, event_id: str, jpeg: bytes, now: float) -> bool:
        """Keep a picture in place of the event's former one, whole or not at all; False where it could not be kept."""
        name = file_name(camera, event_id)
        if name is None:
            return self._complain(f"the event id {event_id!r} cannot be a file name")
        temporary = self.folder / f".{name}.tmp"
        try:
            free = shutil.disk_usage(self.folder).free
            if free - len(jpeg) < self._min_free_bytes:
                return self._complain(
                    f"no snapshots are kept: {self.folder} has {free // 2**20} MB free, "
                    f"and storage.min_free_mb asks for {self._min_free_bytes // 2**20}"
                )
            _write_private(temporary, jpeg)
            os.utime(temporary, (now, now))
            temporary.replace(self.folder / name)
        except OSError as error:
            temporary.unlink(missing_ok=True)
            return self._complain(f"cannot write snapshots to {self.folder}: {error.strerror}")
        with self._lock:
            self._bytes += len(jpeg) - self._files.pop(name, (0.0, 0))[1]
            self._files[name] = (now, len(jpeg))
        self.trouble = ""
        self.prune(now)
        return True

    def _complain(self, sentence: str) -> bool:
        if not self.trouble:
            log.warning("%s", sentence)
        self.trouble = sentence
        return False

    def prune(self, now: float) -> None:
        """Remove what is too old, or the oldest of what is too much."""
        with self._lock:
            while self._files:
                name, (modified, size) = next(iter(self._files.items()))
                if self._bytes <= self._max_bytes and modified >= now - self._max_age_s:
                    break
                try:
                    (self.folder / name).unlink(missing_ok=True)
                except OSError as error:
                    self._complain(f"cannot clear away snapshots in {self.folder}: {error.strerror}")
                    break
                del self._files[name]
                self._bytes -= size

    def exists(self, camera: str, event_id: str) -> bool:
        """Whether the event's picture is kept."""
        with self._lock:
            return file_name(camera, event_id) in self._files

    def read(self, camera: str, event_id: str) -> bytes | None:
        """The event's picture (JPEG), None where there is none."""
        name = file_name(camera, event_id)
        if name is None or not self.exists(camera, event_id):
            return None
        try:
            return (self.folder / name).read_bytes()
        except OSError as error:
            log.warning("cannot read the snapshot %s: %s", name, error.strerror)
            return None


def _write_private(path: Path, content: bytes) -> None:
    """A new file that only its owner may read."""
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600), "wb") as file:
        file.write(content)


def file_name(camera: str, event_id: str) -> str | None:
    """The picture's name in its folder; None for ids that could lead elsewhere."""
    name = f"{camera}-{event_id}.jpg"
    return name if SAFE_NAME.fullmatch(name) else None
