"""`sereno compare`: do two photos show the same person."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from device.access.face_detector import FaceDetector
    from device.access.recognizer import Embedding, Recognizer

RATES = ("1e-2", "1e-3", "1e-4", "1e-5")


@click.command(epilog="Example: sereno compare passport.jpg visitor.jpg")
@click.argument("first", metavar="A", type=click.Path(path_type=Path))
@click.argument("second", metavar="B", type=click.Path(path_type=Path))
@click.option("--model", help="A bundle's folder or name, of task `embed`.  [default: sereno-arcface]")
@click.option(
    "--detector", help="The same, of task `face-detect`.  [default: yunet, or blazeface where it is not there]"
)
@click.option(
    "--fmr",
    type=click.Choice(RATES),
    default="1e-4",
    show_default=True,
    help="Rate of false matches to bear: of so many pairs of two people one is taken for the same.",
)
@click.option("--threads", type=click.IntRange(1, 16), default=1, show_default=True, help="Threads of each model.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def compare(
    first: Path, second: Path, model: str | None, detector: str | None, fmr: str, threads: int, as_json: bool
) -> None:
    """Compare the largest faces of photos A and B: how alike they are, and whether that is one person.

    The exit code is 0 whatever the verdict, and 1 where there is none: a photo cannot be read or shows no face.
    """
    from device.access import facemodels
    from device.access.recognizer import similarity

    finder = facemodels.open_detector(detector, threads)
    recognizer = facemodels.open_recognizer(model, threads)
    threshold = recognizer.threshold(float(fmr))
    alike = similarity(*(_largest(path, finder, recognizer) for path in (first, second)))
    verdict = {
        "a": str(first),
        "b": str(second),
        "similarity": round(alike, 5),
        "threshold": threshold,
        "fmr": float(fmr),
        "same": alike >= threshold,
    }
    click.echo(json.dumps(_printable(verdict), ensure_ascii=False) if as_json else _sentence(verdict, fmr))


def _largest(path: Path, detector: FaceDetector, recognizer: Recognizer) -> Embedding:
    """Of the largest face in a photo; says on stderr what makes the comparison doubtful. Raises InputError."""
    from device.access.alignment import align
    from device.access.quality import Limits, assess
    from device.capture.pictures import read_picture
    from device.commands.inputs import printable
    from device.errors import InputError

    image = read_picture(path)
    faces = detector.detect(image, thorough=True)
    name = printable(path)
    if not faces:
        raise InputError(f"{name}: no face was found; it must show one upright, not covered, not turned far away")
    face, *others = faces
    limits = Limits(confidence=detector.clear)
    doubts = [f"{len(faces)} faces, the largest is compared"] if others else []
    doubts += [f"the face is {reason}" for reason in assess(image, face, others, detector.template, limits).reasons]
    if doubts:
        click.echo(f"sereno: {name}: {'; '.join(doubts)}", err=True)
    return recognizer.embed(align(image, face.landmarks, detector.template))


def _sentence(verdict: dict[str, Any], fmr: str) -> str:
    words = "the same person" if verdict["same"] else "two people"
    return f"{words}: similarity {verdict['similarity']:.3f}, threshold {verdict['threshold']:.3f} (FMR {fmr})"


def _printable(verdict: dict[str, Any]) -> dict[str, Any]:
    from device.commands.inputs import printable

    return verdict | {key: printable(verdict[key]) for key in ("a", "b")}
