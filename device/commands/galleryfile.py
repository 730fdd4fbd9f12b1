"""The gallery that a command means: which file, which key, which model."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from device.access.gallery import Gallery

NAME = "gallery.db"
"""Of the gallery in the storage folder."""


@dataclass(frozen=True, slots=True)
class GalleryFile:
    """Where a gallery is. `storage` is the state folder whose outbox and snapshots may name its people."""

    path: Path
    key_file: Path | None
    storage: Path

    def key(self, *, create: bool = False) -> bytes:
        """Its key; see `device.access.gallerykey.find_key`. Raises InputError."""
        from device.access.gallerykey import find_key

        return find_key(self.path, self.key_file, create=create)

    def open(self, model: str | None, *, create: bool = False, repair: bool = False) -> Gallery:
        """Open it for the embedder called `model` (None: the one that ships). Raises InputError."""
        from device.access.gallery import Gallery
        from device.errors import InputError

        if not create and not self.path.exists():
            raise InputError(
                f"there is no gallery at {self.path}: `sereno enrol NAME photos/` makes one, --gallery names another"
            )
        return Gallery.open(self.path, self.key(create=create), model_sha256(model), create=create, repair=repair)


def gallery_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options that choose a gallery, for a command that hands them to `choose`."""
    options = [
        click.option(
            "--gallery",
            type=click.Path(path_type=Path, dir_okay=False),
            help="The gallery's file.  [default: gallery.db in the storage folder]",
        ),
        click.option(
            "--key",
            "key_file",
            type=click.Path(path_type=Path, dir_okay=False),
            help="Its key's file.  [default: DB.key beside it, or the credential `gallery-key`]",
        ),
        click.option(
            "--config",
            "config_path",
            type=click.Path(path_type=Path, dir_okay=False),
            help="The configuration whose storage is meant; without it, the default storage.",
        ),
        click.option("--model", help="A bundle's folder or name, of task `embed`.  [default: sereno-arcface]"),
    ]
    for option in reversed(options):
        command = option(command)
    return command


def choose(gallery: Path | None, key_file: Path | None, config_path: Path | None) -> GalleryFile:
    """The gallery that was named, or that of the storage folder. Raises ConfigError."""
    from device import configfile

    storage = configfile.storage_of(config_path)
    return GalleryFile(gallery or storage / NAME, key_file, storage)


def model_sha256(model: str | None) -> str:
    """What a gallery is bound to, without loading the model. Raises InputError where there is none."""
    from device.commands.facemodels import EMBEDDER
    from device.inference.manifest import find_bundle, load_bundle

    return load_bundle(find_bundle(model or EMBEDDER)).manifest.files[0].sha256
