"""`sereno detect`: boxes for images, folders and videos."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from device.commands.inputs import Picture
    from device.datatypes import Detection


class Fraction(click.FloatRange):
    """A number of a range. `nan` compares with nothing, so a plain range lets it through."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Refuse what is no number."""
        number: float = super().convert(value, param, ctx)
        if math.isnan(number):
            self.fail(f"{value} is not in the range 0<=x<=1.", param, ctx)
        return number


@click.command(
    epilog="Example: sereno detect photos/ --save drawn/    sereno detect clip.mp4 --json | jq .detections[].label"
)
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--model", "model", default=None, help="A bundle's folder or name.  [default: the one that ships]")
@click.option("--confidence", type=Fraction(0, 1), help="Leave out detections below it.  [default: the bundle's]")
@click.option(
    "--runtime",
    type=click.Choice(["auto", "litert", "onnxruntime"]),
    default="auto",
    help="Which of the bundle's files to run.",
)
@click.option("--threads", type=click.IntRange(1, 16), default=1, show_default=True, help="Threads of the interpreter.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line: one an image or a frame.")
@click.option(
    "--save", type=click.Path(path_type=Path, file_okay=False), help="Write pictures and videos with boxes drawn there."
)
@click.pass_context
def detect(
    ctx: click.Context,
    paths: tuple[Path, ...],
    model: str | None,
    confidence: float | None,
    runtime: str,
    threads: int,
    as_json: bool,
    save: Path | None,
) -> None:
    """Find objects in images, folders and videos.

    An input that cannot be read is told (with --json as a line with "error"), the others are still done, and the exit
    code is 1.
    """
    from device.commands import inputs
    from device.commands.save import Saver
    from device.config import Model
    from device.detection.detector import Detector
    from device.inference.interpreter import open_interpreter
    from device.inference.manifest import find_bundle, load_bundle

    settings = Model.model_validate({"runtime": runtime, "threads": threads} | ({"path": model} if model else {}))
    bundle = load_bundle(find_bundle(settings.path))
    detector = Detector(bundle, open_interpreter(bundle, runtime=settings.runtime, threads=threads), confidence)
    files = inputs.expand(paths, videos=True)
    failed = False
    with ExitStack() as finishing:
        saver = finishing.enter_context(Saver(save, files)) if save else None
        for picture in progress((p for path in files for p in inputs.pictures(path)), len(files), quiet=as_json):
            found = detector.detect(picture.image) if picture.image is not None else []
            failed |= bool(picture.error)
            _print(picture, found, as_json)
            if saver is not None and picture.image is not None:
                saver.add(picture, found)
    ctx.exit(1 if failed else 0)


def progress(pictures: Iterator[Picture], files: int, quiet: bool) -> Iterator[Picture]:
    """A progress bar over files on a terminal's stderr, where stdout doesn't go to the same terminal line by line."""
    if files < 2 or not sys.stderr.isatty() or (sys.stdout.isatty() and not quiet):
        yield from pictures
        return
    from tqdm import tqdm

    last = None
    with tqdm(total=files, unit="file", file=sys.stderr) as bar:
        for picture in pictures:
            yield picture
            if picture.path != last:
                bar.update()
                last = picture.path


def _print(picture: Picture, found: list[Detection], as_json: bool) -> None:
    from device.commands.inputs import printable

    if as_json:
        click.echo(json.dumps(row(picture, found), ensure_ascii=False))
    elif picture.error:
        click.echo(f"sereno: {printable(picture.error)}", err=True)
    else:
        name = printable(picture.path) + ("" if picture.frame is None else f" frame {picture.frame}")
        boxes = ", ".join(f"{d.label} {d.confidence:.2f} at {' '.join(f'{v:.0f}' for v in d.xyxy)}" for d in found)
        click.echo(f"{name}: {boxes or 'nothing'}")


def row(picture: Picture, found: list[Detection]) -> dict[str, Any]:
    """The JSON object of one picture."""
    from device.commands.inputs import printable

    line: dict[str, Any] = {"path": printable(picture.path)}
    if picture.frame is not None:
        line["frame"] = picture.frame
    if picture.image is None:
        return line | {"error": printable(picture.error)}
    height, width = picture.image.shape[:2]
    detections = [
        {
            "label": d.label,
            "class_id": d.class_id,
            "confidence": round(d.confidence, 5),
            "xyxy": [round(v, 2) for v in d.xyxy],
        }
        for d in found
    ]
    return line | {"width": width, "height": height, "detections": detections}
