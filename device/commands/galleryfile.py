"""The gallery that a command means: which file, which key, and where acts upon it are logged."""

from __future__ import annotations

import functools
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
        """Write to the access log what is about to be done and, where that fails, that it failed.

        Raises:
            InputError: the log cannot be written; then nothing is done.
        """
        from device.access.audit import recorded

        with recorded(self._append, act, person, **more):
            yield

    def record(self, act: str, person: str, **more: Any) -> None:
        """Write an act upon the door's own gallery to its access log; a gallery that lies elsewhere, or whose storage
        has no log, is no door's. Raises InputError where it cannot be written."""
        self._append("admin", {"act": act, "person": person, **more})

    def _append(self, kind: str, body: Mapping[str, Any]) -> None:
        from device.access.audit import FILE, Audit

        folder = self.storage / AUDIT
        if not self.path.absolute().is_relative_to(self.storage.absolute()) or not (folder / FILE).exists():
            return
        audit = Audit.open(folder)
        try:
            audit.append(kind, body)
        finally:
            audit.close()

    def enrol_with(self, model_sha256: str) -> Gallery:
        """Open it for a model, making it and its key where there is none. Raises InputError."""
        from device.access.gallery import Gallery

        return Gallery.open(self.path, self.key(create=True), model_sha256, create=True)


model_option = click.option("--model", help="A bundle's folder or name, of task `embed`.  [default: sereno-arcface]")


def file_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options that choose a gallery; the command gets it as `file`. Raises ConfigError."""

    @click.option(
        "--gallery",
        type=click.Path(path_type=Path, dir_okay=False),
        help="The gallery's file.  [default: gallery.db in the storage folder]",
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
    """The gallery that was named, or that of the storage folder. Raises ConfigError."""
    from device import configfile

    storage = configfile.storage_of(config_path)
    path = gallery or storage / NAME
    if config_path is None:
        return GalleryFile(path, key_file, storage)
    door = configfile.load(config_path, secrets=False).door
    model = door.model if "/" not in door.model else str(configfile.resolve_path(door.model, config_path.parent))
    return GalleryFile(path, key_file, storage, model, door.target_fmr)
