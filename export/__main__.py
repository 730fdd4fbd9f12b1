"""`python -m export …`: trained models become bundles."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import click

from device.errors import ConfigError, InputError
from export import console
from export.calibration import data_folder
from export.recipes import KNOWN as DETECTORS
from export.recipes import Untrained, recipe_for
from export.runs import OWN, export_any, export_own

LIVENESS = "minifasnet"
KNOWN = (*DETECTORS, LIVENESS, *OWN)


@click.command(context_settings={"max_content_width": 110})
@click.argument("models", nargs=-1, metavar="[MODEL]...")
@click.option(
    "--weights",
    type=click.Path(path_type=Path, exists=True),
    help="What to make MODEL of, where it is one of Sereno's own: the folder of a finished run, or its detector.pt for "
    "sereno-coco-320 [default: the newest run that fits].",
)
@click.option(
    "--data",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="For yolov8n, sereno-coco-320 and PATH.pt: folder with coco/images/{train,val} and coco/labels/val; for "
    "minifasnet: with lfw/train [default: $SERENO_DATA or ../shared/data]. Runs know their photos.",
)
@click.option(
    "--size",
    "sizes",
    multiple=True,
    type=click.IntRange(64, 1280),
    help="For yolov8n and PATH.pt: side of the input in pixels, a multiple of 32; may be repeated [default: 320 and "
    "640].",
)
def main(models: tuple[str, ...], weights: Path | None, data: Path | None, sizes: tuple[int, ...]) -> None:
    """Quantize each MODEL, measure it against its float network, and write it as a bundle for the device.

    \b
    MODEL is one of
      yolov8n                the official weights: bundles yolov8n-320, -640 (int8) and
                             yolov8n-320-fp32, -640-fp32 in .cache/bundles
      sereno-coco-320        the default detector, of a finished `make train-distill`, in models/
      minifasnet             the liveness networks: minifasnet-v2, minifasnet-v1se and their int8 twins,
                             in .cache/bundles
      sereno-cats-dogs       MobileNetV2, of a finished `make train-transfer`, in models/
      sereno-cats-dogs-cnn   a small network, of a finished `make train-cnn`, in models/
      sereno-cacao           a detector, of a finished `make train-detector`, in models/
      sereno-arcface         the face embedder, of a finished `make train-arcface`, in models/
      runs/NAME              any finished run of yours, in .cache/bundles
      PATH.pt                a YOLOv8 detector of your own, in .cache/bundles

    Without MODEL, all that are known are made. Each int8 file is calibrated on training photos and measured on
    held-out ones by the device's own code. A file that loses more than tests/floors.json allows is not written, and
    the exit code is 1.

    \b
    Try it:
      make export MODEL=yolov8n
      .venv/bin/sereno detect --model yolov8n-320 photo.jpg
    """
    # Ultralytics prints a line about each model that it folds.
    logging.getLogger("ultralytics").setLevel(logging.WARNING)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    for size in sizes:
        if size % 32:
            raise click.BadParameter(f"{size} is not a multiple of 32, YOLOv8's largest stride", param_hint="--size")
    if weights is not None and (len(models) != 1 or models[0] not in ("sereno-coco-320", *OWN)):
        raise click.UsageError(f"--weights needs one MODEL: sereno-coco-320, {', '.join(OWN)}")
    for name in models or KNOWN:
        try:
            _make(name, weights, data, sizes or (320, 640))
        except InputError as error:
            # Asked for everything: what was never trained here is left out, and said.
            if models or not isinstance(error, Untrained):
                raise
            click.echo(f"left out: {error}", err=True)


def _make(name: str, weights: Path | None, data: Path | None, sizes: Sequence[int]) -> None:
    """One of the list, a run's folder, or a checkpoint."""
    if name in OWN:
        export_own(name, weights.parent if weights and weights.is_file() else weights, click.echo)
    elif name == LIVENESS:
        _make_liveness(data or data_folder())
    elif Path(name).is_dir():
        export_any(Path(name), click.echo)
    elif name not in DETECTORS and not name.endswith(".pt"):
        raise ConfigError(
            f"no model called {name!r}: there are {', '.join(KNOWN)}, or give a run's folder or a YOLOv8 .pt"
        )
    else:
        from export.detector import export

        try:
            recipe = recipe_for(name, weights, sizes)
        except InputError as error:  # What it is made of is not here.
            raise Untrained(str(error)) from error
        export(recipe, data or data_folder(), click.echo)


def _make_liveness(data: Path) -> None:
    from export.liveness import export_minifasnet

    try:
        export_minifasnet(data, click.echo)
    except InputError as error:  # Its weights or the faces to compare by are not here.
        raise Untrained(str(error)) from error


def run() -> int:
    """Run the command; foreseeable failures become one sentence and an exit code."""
    return console.run(main, "stopped; nothing half-made was left")


if __name__ == "__main__":
    sys.exit(run())
