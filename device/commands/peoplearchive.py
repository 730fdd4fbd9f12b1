"""`sereno people export`, `import` and `reembed`: galleries that move to another machine, or to another model."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from device.commands.galleryfile import GalleryFile, file_options, model_option

if TYPE_CHECKING:
    from collections.abc import Callable

    from device.access.galleryrecords import Template
    from device.access.recognizer import Recognizer

SHORTEST = 12
"""Characters of a passphrase: templates are worth guessing for."""

secret_options = (
    click.option("--passphrase-stdin", is_flag=True, help="Read the passphrase from standard input, for scripts."),
    click.option(
        "--archive-key",
        type=click.Path(path_type=Path, dir_okay=False),
        help="Seal with the key in this file instead of a passphrase: 64 hexadecimal digits, mode 0400.",
    ),
)


def _with_secret(command: Callable[..., Any]) -> Callable[..., Any]:
    for option in reversed(secret_options):
        command = option(command)
    return command


@click.command("export")
@click.argument("archive", type=click.Path(path_type=Path, dir_okay=False))
@click.argument("names", nargs=-1)
@file_options
@_with_secret
def export_people(
    archive: Path, names: tuple[str, ...], file: GalleryFile, passphrase_stdin: bool, archive_key: Path | None
) -> None:
    """Write everybody, or those NAMED, to a new file ARCHIVE that opens with a passphrase or a key."""
    from device.access.galleryarchive import write_archive
    from device.errors import InputError

    gallery = file.look_after()
    chosen = [gallery.find(name) for name in dict.fromkeys(names)] or gallery.people()
    if not chosen:
        raise InputError(f"the gallery {file.path} is empty: there is nobody to export")
    secret = _secret(passphrase_stdin, archive_key, new=True)
    with file.recorded("people.export", "", people=[person.id for person in chosen]):
        write_archive(archive, gallery, chosen, secret)
    click.echo(f"{len(chosen)} people are in {archive}; keep it, and what opens it, in two places.")


@click.command("import")
@click.argument("archive", type=click.Path(path_type=Path, dir_okay=False))
@file_options
@_with_secret
def import_people(archive: Path, file: GalleryFile, passphrase_stdin: bool, archive_key: Path | None) -> None:
    """Add everybody in ARCHIVE, or nobody: names and ids must be new. Makes the gallery where there is none."""
    from device.access.gallery import Gallery
    from device.access.galleryarchive import read_archive
    from device.errors import InputError

    if not archive.exists():
        raise InputError(f"{archive}: there is no such file")
    model, entries = read_archive(archive, lambda _: _secret(passphrase_stdin, archive_key))
    gallery = Gallery.open(file.path, file.key(create=True), model, create=True)
    with file.recorded("people.import", "", people=[person.id for person, _, _ in entries]):
        gallery.add_all(entries)
    click.echo(f"{len(entries)} people were added to {file.path}.")


@click.command()
@file_options
@model_option
@click.option("--drop", is_flag=True, help="Forget those of whom no pictures were kept.")
def reembed(file: GalleryFile, model: str | None, drop: bool) -> None:
    """Make everybody's template anew with another model, from the pictures that were kept with consent.

    All or nobody: where somebody's pictures were not kept, nothing is changed, unless --drop says that they go.
    """
    from device.access import facemodels
    from device.errors import InputError

    gallery = file.look_after()
    recognizer = facemodels.open_recognizer(model or file.model)
    if recognizer.model_sha256 == gallery.vault.model:
        click.echo(f"{file.path} is of this model already: nothing to do.")
        return
    everybody = gallery.people()
    made = {person.id: _template(gallery.crops(person.id), recognizer) for person in everybody}
    templates = {person_id: template for person_id, template in made.items() if template is not None}
    without = [person for person in everybody if person.id not in templates]
    if without and not drop:
        names = ", ".join(person.name for person in without[:5]) + (" …" if len(without) > 5 else "")
        raise InputError(
            f"of {len(without)} people no pictures were kept ({names}): nothing was changed; with --drop they are "
            "forgotten, and can be enrolled anew"
        )
    dropped = [person.id for person in without]
    with file.recorded("people.reembed", "", people=sorted(templates), dropped=dropped):
        gallery.rebind(recognizer.model_sha256, templates)
    click.echo(f"{len(templates)} people have templates of {recognizer.name} now, {len(without)} are forgotten.")


def _template(crops: list[bytes], recognizer: Recognizer) -> Template | None:
    """Of the aligned faces that were kept; None for none."""
    from device.access.galleryrecords import template_of
    from device.capture.pictures import decode_picture

    embeddings = [recognizer.embed(decode_picture(crop, "a kept picture"), mirrored=True) for crop in crops]
    return template_of(embeddings) if embeddings else None


def _secret(from_stdin: bool, key_file: Path | None, *, new: bool = False) -> str | bytes:
    """What seals an archive: a key's 32 bytes, or a passphrase. Raises ConfigError, InputError."""
    from device.access.gallerykey import read_key
    from device.errors import ConfigError

    if key_file is not None:
        return read_key(key_file)
    if from_stdin:
        phrase = sys.stdin.readline().rstrip("\r\n")
    elif sys.stdin.isatty():
        phrase = click.prompt("Passphrase", hide_input=True, confirmation_prompt=new, err=True)
    else:
        raise ConfigError(
            "nobody can be asked here (no terminal): --passphrase-stdin or --archive-key gives the secret"
        )
    if new and len(phrase) < SHORTEST:
        raise ConfigError(f"the passphrase has {len(phrase)} characters: {SHORTEST} or more keep the faces safe")
    return phrase
