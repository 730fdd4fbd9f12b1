"""`sereno enrol`: people into the gallery, from photos, folders of them, videos or a camera."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from device.commands.galleryfile import GalleryFile, file_options, model_option

if TYPE_CHECKING:
    from device.access.face_detector import FaceDetector
    from device.access.gallery import Gallery
    from device.access.galleryrecords import Consent, Person
    from device.access.policy.rules import Rules
    from device.access.recognizer import Recognizer
    from device.commands.enrolphotos import Judges, Verdict

CONSENT = """\
From photos of {who} a template of the face is computed: numbers by which {who} can be recognised. It is kept \
encrypted in {gallery}, on this machine, to decide who may come in, until `sereno people forget` removes it. \
{crops}Whoever is enrolled (for a child, a parent) must know this and agree to it, and can take it back at any time."""
CROPS = "The small aligned pictures of the face are kept there, too, encrypted, so that another model can use them. "


@click.command(
    epilog="""\b
Examples: sereno enrol Ana photos/ana/
          sereno enrol Ana --source /dev/video0
          sereno enrol --people known/          (a folder for each person)"""
)
@click.argument("name", required=False)
@click.argument("paths", nargs=-1, type=click.Path(path_type=Path))
@click.option("--source", help="A camera or a stream's URL: NAME stands before it alone, and turns the head a little.")
@click.option(
    "--people",
    type=click.Path(path_type=Path, file_okay=False),
    help="A folder with a folder for each person, called as they are: enrols all of them.",
)
@file_options
@model_option
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
    source: str | None,
    people: Path | None,
    file: GalleryFile,
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
    The exit code is 0 where, of everybody, at least three photos were accepted in all.
    """
    from device.access import facemodels
    from device.access.identification import rules_for

    wanted = _who(name, paths, source, people)
    recognizer = facemodels.open_recognizer(model or file.model)
    rules = rules_for(recognizer, file.target_fmr)
    finder = facemodels.open_detector(detector)
    consent = _consent(list(wanted), file, keep_crops, yes)
    gallery = file.enrol_with(recognizer.model_sha256)
    enroller = _Enroller(gallery, file, recognizer, rules, finder, min_size, consent, despite_alike)
    complete = enroller.from_camera(name or "", source) if source else enroller.from_files(wanted)
    _warn(gallery, recognizer, rules)
    ctx.exit(0 if complete else 1)


def _who(
    name: str | None, paths: tuple[Path, ...], source: str | None, people: Path | None
) -> dict[str, tuple[Path, ...]]:
    """Whom to enrol, and from which files. Raises ConfigError, InputError."""
    from device.access.gallery import checked_name, fold
    from device.errors import ConfigError, InputError

    if people is None:
        if name is None or bool(paths) == bool(source):
            raise ConfigError("whom, and from what? NAME and PATHS, NAME and --source URI, or --people DIR")
        return {checked_name(name): paths}
    if name is not None or source is not None:
        raise ConfigError("--people enrols everybody in a folder: it goes without NAME, PATHS and --source")
    try:
        folders = sorted(path for path in people.iterdir() if path.is_dir() and not path.name.startswith("."))
    except OSError as error:
        raise InputError(f"{people} cannot be read: {error.strerror}") from None
    if not folders:
        raise InputError(f"{people} has no folder for any person: wanted {people}/NAME/photo.jpg")
    if len({fold(folder.name) for folder in folders}) < len(folders):
        raise InputError(f"two folders of {people} differ only in upper and lower case: whose are they?")
    return {checked_name(folder.name): (folder,) for folder in folders}


def _consent(names: list[str], file: GalleryFile, crops: bool, yes: bool) -> Consent:
    """Stated or asked for. Raises ConfigError where nobody can be asked, or it is refused."""
    from device.access.galleryrecords import Consent
    from device.errors import ConfigError

    who = names[0] if len(names) == 1 else f"these {len(names)} people"
    text = CONSENT.format(who=who, gallery=file.path, crops=CROPS if crops else "")
    click.echo(text, err=True)
    if not yes:
        if not sys.stdin.isatty():
            raise ConfigError("nobody can be asked here (no terminal): --yes states consent")
        if not click.confirm("Is that agreed?", err=True):
            raise ConfigError("without consent nobody is enrolled")
    return Consent(text, time.time(), "--yes" if yes else "asked", crops)


@dataclass(frozen=True, slots=True)
class _Enroller:
    gallery: Gallery
    file: GalleryFile
    recognizer: Recognizer
    rules: Rules
    detector: FaceDetector
    min_size_px: int
    consent: Consent
    despite_alike: bool

    def from_camera(self, name: str, source: str) -> bool:
        """One person, who stands before a camera. Returns whether there are photos enough."""
        from device.access.registration import known_as
        from device.capture.opencv import without_password

        known = known_as(self.gallery, name)
        judges = self._judges(name, known)
        return self._enrol(name, known, judges, judges.camera(source, without_password(source)))

    def from_files(self, wanted: dict[str, tuple[Path, ...]]) -> bool:
        """Everybody, one after the other, each kept before the next. Returns whether there are photos enough of all."""
        from tqdm import tqdm

        from device.access.registration import known_as
        from device.commands.inputs import expand
        from device.errors import InputError

        files: dict[str, list[Path]] = {}
        complete = True
        for name, paths in wanted.items():
            try:
                files[name] = expand(paths, videos=True)
            except InputError as error:
                complete = _failed(name, str(error))
        total = sum(map(len, files.values()))
        hidden = total < 2 or not sys.stderr.isatty()
        with tqdm(total=total, unit="file", file=sys.stderr, disable=hidden) as bar:
            for name, paths_of in files.items():
                known = known_as(self.gallery, name)
                judges = self._judges(name, known)
                complete &= self._enrol(name, known, judges, judges.files(paths_of, bar))
        return complete

    def _judges(self, name: str, known: Person | None) -> Judges:
        from device.access.collector import Collector
        from device.access.enrolment import LIMITS, PhotoJudge
        from device.commands.enrolphotos import Judges

        limits = replace(LIMITS, size_px=self.min_size_px, confidence=self.detector.clear)
        return Judges(
            PhotoJudge(self.detector, self.recognizer, limits, known.pictures if known else ()),
            lambda: Collector(self.detector, limits, identity=None, name=name),
        )

    def _enrol(self, name: str, known: Person | None, judges: Judges, looked: Iterable[Verdict]) -> bool:
        """Enrol one person, and say what came of it."""
        from device.access.galleryrecords import LEAST_PHOTOS
        from device.access.identification import needed_among
        from device.access.registration import enter, sift

        surely = None if self.despite_alike else needed_among(len(self.gallery.people()), self.rules).cosine
        sifted = sift(looked, self.gallery, known, self.recognizer, surely)
        for photo in sifted.refused:
            _say(f"refused: {photo.name}: {photo.reason}", err=True)
        if known and not sifted.accepted and judges.photos.known:
            _say(f"{name}: nothing new, {known.photos} photos in all")
            return known.photos >= LEAST_PHOTOS
        if sifted.shortage:
            return _failed(name, sifted.shortage)
        count = len(sifted.accepted)
        person = enter(
            self.gallery,
            known,
            name,
            sifted.accepted,
            self.consent,
            lambda who: self.file.recorded("enrol", who.id, photos=count),
        )
        _say(f"{name}: {count} photos accepted, {len(sifted.refused)} refused; {person.photos} in all")
        return True


def _warn(gallery: Gallery, recognizer: Recognizer, rules: Rules) -> None:
    """Say where so many people need a rate of false matches that was never measured."""
    from device.access.identification import needed_among

    count = len(gallery.people())
    needed = needed_among(count, rules)
    if not needed.measured:
        lowest = recognizer.thresholds[-1][0]
        _say(
            f"with {count} people the door's target asks for one false match in {1 / needed.fmr:,.0f} comparisons; "
            f"{recognizer.name} was measured to one in {1 / lowest:,.0f}, so the threshold {needed.cosine:.3f} is an "
            "extrapolation, and strangers may get in more often than the target says",
            err=True,
        )


def _failed(name: str, reason: str) -> bool:
    _say(f"{name}: not enrolled: {reason}", err=True)
    return False


def _say(text: str, *, err: bool = False) -> None:
    """A line, above the progress bar where there is one."""
    from tqdm import tqdm

    tqdm.write(text, file=sys.stderr if err else sys.stdout)
