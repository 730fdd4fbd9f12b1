"""`sereno embed`: aligned face embeddings of photos."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from device.access.face_detector import FaceDetector
    from device.access.recognizer import Embedding, Recognizer
    from device.datatypes import Face, Image


@click.command(epilog="Example: sereno embed photos/ --json | jq '.faces[0].embedding'")
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--model", help="A bundle's folder or name, of task `embed`.  [default: sereno-arcface]")
@click.option(
    "--detector", help="The same, of task `face-detect`.  [default: yunet, or blazeface where it is not there]"
)
@click.option("--threads", type=click.IntRange(1, 16), default=1, show_default=True, help="Threads of each model.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line: one an image.")
@click.pass_context
def embed(
    ctx: click.Context, paths: tuple[Path, ...], model: str | None, detector: str | None, threads: int, as_json: bool
) -> None:
    """Find the faces of photos, align them, and print what the embedder makes of each: the largest face first.

    An embedding has unit length: the sum of the products of two is their cosine similarity. An input that cannot be
    read is told (with --json as a line with "error"), the others are still done, and the exit code is 1. A photo
    without a face is no error.
    """
    from device.access import facemodels
    from device.commands import inputs

    finder = facemodels.open_detector(detector, threads)
    recognizer = facemodels.open_recognizer(model, threads)

    def row(name: str, image: Image) -> dict[str, Any]:
        return {"path": name, "faces": [face_row(*found) for found in embed_faces(image, finder, recognizer)]}

    ctx.exit(0 if inputs.describe_stills(paths, row, _print, as_json) else 1)


def embed_faces(image: Image, detector: FaceDetector, recognizer: Recognizer) -> list[tuple[Face, Embedding]]:
    """Every face of a photo (HxWx3 uint8 RGB) with its embedding, the largest first."""
    from device.access.alignment import align

    return [
        (face, recognizer.embed(align(image, face.landmarks, detector.template)))
        for face in detector.detect(image, thorough=True)
    ]


def face_row(face: Face, embedding: Embedding) -> dict[str, Any]:
    """The JSON object of one face."""
    return {
        "xyxy": [round(value, 2) for value in face.xyxy],
        "confidence": round(face.confidence, 5),
        "embedding": [round(value, 7) for value in embedding.tolist()],
    }


def _print(line: dict[str, Any], as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(line, ensure_ascii=False))
    elif "error" in line:
        click.echo(f"sereno: {line['error']}", err=True)
    else:
        click.echo(f"{line['path']}: " + ("; ".join(map(_describe, line["faces"])) or "no face"))


def _describe(face: dict[str, Any]) -> str:
    box = " ".join(f"{value:.0f}" for value in face["xyxy"])
    first = " ".join(f"{value:+.3f}" for value in face["embedding"][:4])
    return f"face {face['confidence']:.2f} at {box}, {len(face['embedding'])} numbers: {first} …"
