"""The gallery that a command means: which file, which key, and where acts upon it are logged."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from device.access.gallery import Gallery

NAME = "gallery.db"
"""Of the gallery in the storage folder."""
AUDIT = "audit"
"""The access log's folder in the storage folder."""


@dataclass(frozen=True, slots=True)
class GalleryFile:
    """Where a gallery is. `storage` is the state folder, whose outbox and snapshots may name its people, and which
    holds the access log."""

    path: Path
    key_file: Path | None
    storage: Path
    model: str | None = None
    """The embedder of the door whose configuration was named; None: none was."""
    target_fmr: float = 1e-4
    """The rate at which that door may take a stranger for somebody, `door.target_fmr`."""

    def key(self, *, create: bool = False) -> bytes:
        """Its key; see `device.access.gallerykey.find_key`. Raises InputError."""
        from device.access.gallerykey import find_key

        return find_key(self.path, self.key_file, create=create)

    def look_after(self, *, repair: bool = False) -> Gallery:
        """Open it whichever model it is of, and `repair` also where a record does not open. Raises InputError."""
        from device.access.gallery import Gallery
        from device.access.gallerystore import absent

        if not self.path.exists():
            raise absent(self.path)
        return Gallery.open(self.path, self.key(), None, repair=repair)

    @contextmanager
    def recorded(self, act: str, person: str, **more: Any) -> Iterator[None]:
        """Write to the access log what is about to be done and, where that fails, that it failed. A gallery that lies
        outside of the storage folder is no door's, see `choose`: nothing is written.

        Raises:
            InputError: the log cannot be written; then nothing is done.
        """
        from device.access.audit import recorded

        with recorded(self._append, act, person, **more):
            yield

    def _append(self, kind: str, body: Mapping[str, Any]) -> None:
        if any(place.is_relative_to(self.storage.resolve()) for place in _places(self.path)):
            append(self.storage, kind, body)

    def enrol_with(self, model_sha256: str) -> Gallery:
        """Open it for a model, making it and its key where there is none. Raises InputError."""
        from device.access.gallery import Gallery

        return Gallery.open(self.path, self.key(create=True), model_sha256, create=True)


def append(storage: Path, kind: str, body: Mapping[str, Any]) -> None:
    """Write a record to the access log of a state folder, and make the log where there is none.

    Root gives the log's files to the state folder's owner: a command of root's must not lock the daemon out.

    Raises:
        InputError: it cannot be written.
    """
    from device.access.audit import Audit

    folder = storage / AUDIT
    try:
        audit = Audit.open(folder)
        try:
            audit.append(kind, body)
        finally:
            audit.close()
    finally:
        hand_over(folder)


def is_door(storage: Path) -> bool:
    """Whether a state folder is, or was, a door's."""
    from device.access.auditmemory import AuditMemory

    return (storage / AUDIT).is_dir() or AuditMemory(storage / AUDIT).path.exists()


def hand_over(folder: Path) -> None:
    """Give what root made of the log in `folder` to the owner of the state folder around it. Raises InputError."""
    from device.access.auditmemory import AuditMemory
    from device.errors import InputError

    if os.geteuid() != 0 or not folder.exists():
        return
    storage, memory = folder.parent, AuditMemory(folder).path
    try:
        owner = storage.stat()
        for path in (folder, *folder.iterdir(), *([memory] if memory.exists() else [])):
            made = path.lstat()
            if made.st_uid == 0 != owner.st_uid and (path == folder or made.st_nlink == 1):
                os.chown(path, owner.st_uid, owner.st_gid, follow_symlinks=False)
    except OSError as error:
        raise InputError(f"the access log in {folder} cannot be given to the owner of {storage}: {error}") from None


model_option = click.option("--model", help="A bundle's folder or name, of task `embed`.  [default: sereno-arcface]")


def file_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options that choose a gallery; the command gets it as `file`. Raises ConfigError."""

    @click.option(
        "--gallery",
        type=click.Path(path_type=Path, dir_okay=False),
        help="The gallery's file. What is called gallery.db, or lies beside an access log, is a door's, and each "
        "change to it is written to the log in its folder; to that of any other, none is.  "
        "[default: gallery.db in the storage folder]",
    )
    @click.option(
        "--key",
        "key_file",
        type=click.Path(path_type=Path, dir_okay=False),
        help="Its key's file.  [default: DB.key beside it, or the credential `gallery-key`]",
    )
    @click.option(
        "--config",
        "config_path",
        type=click.Path(path_type=Path, dir_okay=False),
        help="The configuration whose storage is meant; without it, the default storage.",
    )
    @functools.wraps(command)
    def chosen(
        *args: Any, gallery: Path | None, key_file: Path | None, config_path: Path | None, **options: Any
    ) -> Any:
        return command(*args, file=choose(gallery, key_file, config_path), **options)

    return chosen


def choose(gallery: Path | None, key_file: Path | None, config_path: Path | None) -> GalleryFile:
    """The gallery that was named, or that of the storage folder. Raises ConfigError.

    A named one that is a door's has its folder for the storage: one in a folder where a door has an access log, and
    one of the name that each door's has, because somebody may be enrolled before the door's first start.
    """
    from device import configfile

    storage = configfile.storage_of(config_path)
    path = gallery or storage / NAME
    if gallery is not None:
        storage = next((place.parent for place in _places(gallery) if _of_door(place)), storage)
    if config_path is None:
        return GalleryFile(path, key_file, storage)
    door = configfile.load(config_path, secrets=False).door
    model = door.model if "/" not in door.model else str(configfile.resolve_path(door.model, config_path.parent))
    return GalleryFile(path, key_file, storage, model, door.target_fmr)


def _of_door(gallery: Path) -> bool:
    from device.configfile import SERVICE_STATE

    return gallery.name == NAME or gallery.parent == SERVICE_STATE or is_door(gallery.parent)


def _places(path: Path) -> tuple[Path, Path]:
    """Where a file lies, and where what it links to does."""
    return path.parent.resolve() / path.name, path.resolve()
