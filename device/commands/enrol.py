"""`sereno enrol`: people into the gallery, from photos, folders of them, or videos."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from device.commands.galleryfile import gallery_options

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from device.access.enrolment import Accepted, PhotoJudge, Refused
    from device.access.gallery import Gallery
    from device.access.galleryrecords import Consent, Person
    from device.commands.galleryfile import GalleryFile

CONSENT = """\
From photos of {who} a template of the face is computed: numbers by which {who} can be recognised. It is kept \
encrypted in {gallery}, on this machine, to decide who may come in, until `sereno people forget` removes it. \
{crops}{who} (for a child, a parent) must know this and agree to it, and can take it back at any time."""
CROPS = "The small aligned pictures of the face are kept there, too, encrypted, so that another model can use them. "


@dataclass(frozen=True, slots=True)
class _Rules:
    """By what photos are judged: similarities from which on a face may be one's own, and surely is somebody's."""

    lenient: float
    strict: float
    doubles: bool


@click.command(
    epilog="""\b
Examples: sereno enrol Ana photos/ana/
          sereno enrol --people known/          (a folder for each person)
          sereno enrol Ana --source /dev/video0"""
)
@click.argument("name", required=False)
@click.argument("paths", nargs=-1, type=click.Path(path_type=Path))
@click.option(
    "--people",
    type=click.Path(path_type=Path, file_okay=False),
    help="A folder with a folder for each person, called as they are: enrols all of them.",
)
@gallery_options
@click.option("--detector", help="One of task `face-detect`.  [default: yunet, or blazeface where it is not there]")
@click.option("--min-size", type=click.IntRange(20, 2000), default=40, show_default=True, help="Of a face, in pixels.")
@click.option("--keep-crops", is_flag=True, help="Keep the aligned faces, too, for a later model: consent covers it.")
@click.option("--despite-alike", is_flag=True, help="Enrol also who looks like somebody who is enrolled: twins.")
@click.option("--yes", is_flag=True, help="State that the people agree, without being asked.")
@click.pass_context
def enrol(
    ctx: click.Context,
    name: str | None,
    paths: tuple[Path, ...],
    people: Path | None,
    gallery: Path | None,
    key_file: Path | None,
    config_path: Path | None,
    model: str | None,
    detector: str | None,
    min_size: int,
    keep_crops: bool,
    despite_alike: bool,
    yes: bool,
) -> None:
    """Teach the door who NAME is, from at least three good photos: upright, sharp, not all the same.

    PATHS are photos, folders of them, or videos of NAME alone. Photos that are no good, show more than one face, or
    another person than the others, are refused and listed with the reason. Who is enrolled already gets more photos.
    The exit code is 0 where at least three photos were accepted, of everybody.
    """
    from device.access.enrolment import LIMITS, PhotoJudge
    from device.commands import facemodels
    from device.commands.galleryfile import choose

    groups = _who(name, paths, people)
    file = choose(gallery, key_file, config_path)
    recognizer = facemodels.open_recognizer(model)
    finder = facemodels.open_detector(detector)
    consent = _consent(list(groups), file, keep_crops, yes)
    rules = _Rules(recognizer.threshold(1e-2), recognizer.threshold(1e-4), doubles=despite_alike)
    opened = file.open(model, create=True)
    complete = True
    for person, given in groups.items():
        judge = PhotoJudge(finder, recognizer, replace(LIMITS, size_px=min_size))
        complete &= _enrol(opened, person, _look(given, judge), consent, rules)
    ctx.exit(0 if complete else 1)


def _who(name: str | None, paths: tuple[Path, ...], people: Path | None) -> dict[str, list[Path]]:
    """Whom to enrol, and from what. Raises ConfigError, InputError."""
    from device.access.gallery import checked_name, fold
    from device.errors import ConfigError, InputError

    if people is not None:
        if name is not None:
            raise ConfigError("--people enrols everybody in a folder: it goes without NAME and PATHS")
        folders = sorted(path for path in _entries(people) if path.is_dir() and not path.name.startswith("."))
        if not folders:
            raise InputError(f"{people} has no folder for any person: wanted {people}/NAME/photo.jpg")
        named = {checked_name(folder.name): [folder] for folder in folders}
        if len({fold(folder.name) for folder in folders}) < len(folders):
            raise InputError(f"two folders of {people} differ only in upper and lower case: which is whose?")
        return named
    if name is None or not paths:
        raise ConfigError("whom, and from what? NAME and PATHS, or --people DIR")
    return {checked_name(name): list(paths)}


def _entries(folder: Path) -> list[Path]:
    from device.errors import InputError

    try:
        return list(folder.iterdir())
    except OSError as error:
        raise InputError(f"{folder} cannot be read: {error.strerror}") from None


def _consent(names: list[str], file: GalleryFile, crops: bool, yes: bool) -> Consent:
    """Stated or asked for. Raises ConfigError where nobody can be asked, or it is refused."""
    from device.access.galleryrecords import Consent
    from device.errors import ConfigError

    who = names[0] if len(names) == 1 else f"each of the {len(names)} people"
    text = CONSENT.format(who=who, gallery=file.path, crops=CROPS if crops else "")
    click.echo(text, err=True)
    if not yes:
        if not sys.stdin.isatty():
            raise ConfigError("nobody can be asked here (no terminal): --yes states consent")
        if not click.confirm("Is that agreed?", err=True):
            raise ConfigError("without consent nobody is enrolled")
    return Consent(text, time.time(), "--yes" if yes else "asked", crops)


def _look(paths: Iterable[Path], judge: PhotoJudge) -> Iterator[Accepted | Refused]:
    """What each photo is good for; one that cannot be read is refused."""
    from device.access.enrolment import Refused
    from device.commands.detect import progress
    from device.commands.inputs import expand, pictures, printable

    files = expand(tuple(paths), videos=True)
    shown = (picture for path in files for picture in pictures(path))
    for picture in progress(shown, len(files), quiet=True):
        name = printable(picture.path)
        if picture.image is None:
            yield Refused(name, printable(picture.error))
        else:
            yield judge.look(name, picture.image)


def _enrol(gallery: Gallery, name: str, looked: Iterable[Accepted | Refused], consent: Consent, rules: _Rules) -> bool:
    """Enrol one person, and say what came of it. Returns whether there are photos enough."""
    from device.access.enrolment import Accepted, agreeing, others_than
    from device.access.galleryrecords import LEAST_PHOTOS
    from device.errors import InputError

    known = _known(gallery, name)
    accepted: list[Accepted] = []
    refused: list[Refused] = []
    try:
        for verdict in looked:
            if isinstance(verdict, Accepted):
                accepted.append(verdict)
            else:
                refused.append(verdict)
        accepted, odd = agreeing(accepted, rules.lenient, gallery.template(known.id).unit if known else None)
        refused += odd
        if not rules.doubles:
            accepted, doubles = others_than(accepted, gallery, rules.strict, known.id if known else None)
            refused += doubles
    except InputError as error:
        _list(refused)
        click.echo(f"{name}: not enrolled: {error}", err=True)
        return False
    _list(refused)
    wanted = 1 if known else LEAST_PHOTOS
    if len(accepted) < wanted:
        click.echo(f"{name}: not enrolled: {len(accepted)} photos are good, {wanted} are needed", err=True)
        return False
    person = _keep(gallery, known, name, accepted, consent)
    click.echo(f"{name}: {len(accepted)} photos accepted, {len(refused)} refused; {person.photos} in all")
    return True


def _known(gallery: Gallery, name: str) -> Person | None:
    from device.access.gallery import fold

    return next((person for person in gallery.people() if fold(person.name) == fold(name)), None)


def _keep(gallery: Gallery, known: Person | None, name: str, accepted: list[Accepted], consent: Consent) -> Person:
    """Into the gallery with it. Raises InputError where the disk refuses, or somebody was quicker."""
    from device.access.enrolment import png_of
    from device.access.gallery import new_id
    from device.access.galleryrecords import Person

    embeddings = [photo.embedding for photo in accepted]
    crops = [png_of(photo.aligned) for photo in accepted] if consent.crops else []
    if known is None:
        return gallery.add(Person(new_id(), name, consent.at, consents=(consent,)), embeddings, crops)
    return gallery.extend(replace(known, consents=(*known.consents, consent)), embeddings, crops)


def _list(refused: list[Refused]) -> None:
    for photo in refused:
        click.echo(f"refused: {photo.name}: {photo.reason}", err=True)
