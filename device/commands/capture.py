"""`sereno capture`: face crops of one person from a camera or a video, for a dataset."""

from __future__ import annotations

import logging
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from collections.abc import Callable

    from device.access.collector import Collector, Identity
    from device.access.face_detector import FaceDetector
    from device.access.recognizer import Embedding
    from device.capture.reader import Reader
    from device.commands.cropfolder import CropFolder
    from device.datatypes import Image

log = logging.getLogger(__name__)

CONSENT = """\
Photos of {name}'s face will be cut from {source} and kept in {folder}, on this machine, unencrypted, \
until somebody deletes that folder. They are meant for training and trying face recognition, and show who {name} is. \
{name} (for a child, a parent) must know this and agree to it; consent can be taken back at any time by deleting the \
folder. What is agreed to is written down in its capture.json."""

SHARP = 0.018
"""Least `quality.Quality.sharpness` of a crop: stricter than for recognising."""
OTHERS_MOST = 200
"""Only so many other people of a dataset are compared with."""
PHOTOS_EACH = 3


@click.command(epilog="Example: sereno capture Ana --source /dev/video0 --out faces/")
@click.argument("name")
@click.option("--source", required=True, help="A camera, a stream's URL, a video, or a folder of photos.")
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    required=True,
    help="The dataset: a folder for each person. The crops go to OUT/NAME, the contact sheet beside it.",
)
@click.option("--count", type=click.IntRange(1, 100_000), default=300, show_default=True, help="Crops to have in all.")
@click.option("--min-size", type=click.IntRange(20, 2000), default=40, show_default=True, help="Of a face, in pixels.")
@click.option("--fps", type=click.FloatRange(0.5, 60), default=10, show_default=True, help="Frames looked at a second.")
@click.option("--model", help="A bundle of task `embed`, to tell people apart.  [default: sereno-arcface, if there]")
@click.option("--detector", help="One of task `face-detect`.  [default: yunet, or blazeface where it is not there]")
@click.option("--yes", is_flag=True, help="State that the person agrees, without being asked.")
@click.pass_context
def capture(
    ctx: click.Context,
    name: str,
    source: str,
    out: Path,
    count: int,
    min_size: int,
    fps: float,
    model: str | None,
    detector: str | None,
    yes: bool,
) -> None:
    """Collect face crops of NAME: sharp, frontal to three-quarter, and each different from the others.

    Move a little: turn your head, come nearer, smile, change the light. Frames with two faces or another person are
    not used. Ctrl-C ends it and keeps what is there; the same command goes on, up to COUNT crops in all. The exit code
    is 1 where not one was kept.
    """
    from device.access import facemodels
    from device.access.collector import Collector
    from device.access.quality import Limits
    from device.commands.cropfolder import CropFolder, check_name
    from device.commands.sourceframes import open_reader

    name = check_name(name)
    folder = CropFolder(out, name)
    before = len(folder.crops)
    if before >= count:
        click.echo(f"{folder.path}: {before} crops are there already; a larger --count adds to them")
        return
    finder = facemodels.open_detector(detector)
    limits = Limits(confidence=finder.clear, size_px=min_size, sharpness=SHARP)
    reader = open_reader(source, fps)
    try:
        shown = _shown(source)
        text = CONSENT.format(name=name, source=shown, folder=folder.path)
        _ask(text, yes)
        collector = Collector(finder, limits, _identity(model, finder, folder, out, name), name)
        _remember(collector, folder)
        stopped = _collect(reader, collector, folder, count - before, lambda: folder.agree(text, shown))
    finally:
        reader.stop()
    _summarise(collector, folder, before, count)
    if stopped:
        raise click.Abort
    ctx.exit(0 if collector.kept else 1)


def _shown(source: str) -> str:
    from device.capture.opencv import without_password

    return without_password(source)


def _ask(text: str, yes: bool) -> None:
    """Consent, stated or asked for. Raises ConfigError where nobody can be asked, Abort where it is refused."""
    from device.errors import ConfigError

    click.echo(text, err=True)
    if yes:
        return
    if not sys.stdin.isatty():
        raise ConfigError("nobody can be asked here (no terminal): --yes states that the person agrees")
    if not click.confirm("Does the person agree?", err=True):
        raise ConfigError("without consent nothing is captured")


def _identity(model: str | None, detector: FaceDetector, folder: CropFolder, out: Path, name: str) -> Identity | None:
    """What tells the person from others; None (and said so) where there is no embedder."""
    from device.access import facemodels
    from device.access.collector import Identity
    from device.commands.cropfolder import people_in
    from device.errors import InputError

    try:
        recognizer = facemodels.open_recognizer(model)
    except InputError as error:
        if model is not None:
            raise
        log.warning("whether it is always the same person is not checked: %s", error)
        return None
    templates = _Templates(detector, recognizer.embed)
    others = people_in(out, but=name)
    if len(others) > OTHERS_MOST:
        log.warning("compared with the first %d of the %d people in %s only", OTHERS_MOST, len(others), out)
    known = {other: templates.of(paths) for other, paths in list(others.items())[:OTHERS_MOST]}
    return Identity(
        recognizer.embed,
        expected=templates.of(folder.crops),
        others={other: template for other, template in known.items() if template is not None},
        alike=recognizer.threshold(1e-2),
        surely=recognizer.threshold(1e-4),
    )


class _Templates:
    """Mean embeddings of people by some of their photos."""

    def __init__(self, detector: FaceDetector, embed: Callable[[Image], Embedding]) -> None:
        self._detector = detector
        self._embed = embed

    def of(self, paths: list[Path]) -> Embedding | None:
        """Of photos evenly spread over `paths`; None where none of them shows a face."""
        import numpy as np

        from device.access.alignment import align
        from device.capture.pictures import read_picture
        from device.errors import InputError

        found = []
        for path in paths[:: max(1, len(paths) // PHOTOS_EACH)][:PHOTOS_EACH]:
            with suppress(InputError):
                image = read_picture(path)
                faces = self._detector.detect(image)[:1]
                found += [self._embed(align(image, face.landmarks, self._detector.template)) for face in faces]
        if not found:
            return None
        mean: Embedding = np.mean(found, axis=0)
        return mean / np.linalg.norm(mean)


def _remember(collector: Collector, folder: CropFolder) -> None:
    """Show the collector what is there; what cannot be read is left alone."""
    from device.capture.pictures import read_picture
    from device.errors import InputError

    for path in folder.crops:
        with suppress(InputError):
            collector.remember(read_picture(path), folder.landmarks(path))


def _collect(reader: Reader, collector: Collector, folder: CropFolder, wanted: int, agree: Callable[[], None]) -> bool:
    """Look at frames until there are enough or no more; `agree` comes before the first crop is kept. Returns whether
    Ctrl-C ended it."""
    from tqdm import tqdm

    from device.access.collector import Kept
    from device.commands.sourceframes import next_image

    terminal = sys.stderr.isatty()
    with tqdm(total=wanted, unit="crop", file=sys.stderr, disable=not terminal) as bar:
        try:
            reader.start()
            while collector.kept < wanted:
                image = next_image(reader)
                if image is None:
                    return False
                verdict = collector.look(image)
                if isinstance(verdict, Kept):
                    if collector.kept == 1:
                        agree()
                    folder.add(verdict)
                    bar.update()
                    if not terminal and collector.kept % 25 == 0:
                        log.info("%d of %d crops", collector.kept, wanted)
                else:
                    bar.set_postfix_str(verdict.reason)
        except KeyboardInterrupt:
            return True
    return False


def _summarise(collector: Collector, folder: CropFolder, before: int, count: int) -> None:
    """What came of it, and why frames were not kept."""
    folder.write_sheet()
    now = len(folder.crops)
    click.echo(f"{folder.path}: {now - before} new crops, {now} of {count} in all")
    if now:
        click.echo(f"look at them: {folder.sheet}")
    if collector.refusals:
        reasons = ", ".join(f"{number} {reason}" for reason, number in collector.refusals.most_common())
        click.echo(f"not kept: {reasons}")
    if now < count:
        click.echo("for more, give the same command another video or more time; move and turn your head meanwhile")
