"""`python -m export …`: trained models become bundles."""

from __future__ import annotations

import logging
import sys
from pathlib import Path

import click

from device.errors import InputError, SerenoError
from export.calibration import data_folder
from export.recipes import KNOWN, recipe_for


@click.command(context_settings={"max_content_width": 110})
@click.argument("models", nargs=-1, metavar="[MODEL]...")
@click.option(
    "--weights",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="detector.pt of a training run, for sereno-coco-320 [default: the newest].",
)
@click.option(
    "--data",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="Folder with coco/images/{train,val} and coco/labels/val [default: $SERENO_DATA or ../shared/data].",
)
@click.option(
    "--size",
    "sizes",
    multiple=True,
    type=click.IntRange(64, 1280),
    help="Side of the input in pixels, a multiple of 32; may be repeated [default: 320 and 640].",
)
def main(models: tuple[str, ...], weights: Path | None, data: Path | None, sizes: tuple[int, ...]) -> None:
    """Quantize each MODEL, measure it against its float network, and write it as a bundle for the device.

    \b
    MODEL is one of
      yolov8n           the official weights: bundles yolov8n-320, -640 (int8) and
                        yolov8n-320-fp32, -640-fp32 in .cache/bundles
      sereno-coco-320   the default detector, of a finished `make train-distill`, in models/
      PATH.pt           a YOLOv8 detector of your own, in .cache/bundles

    Without MODEL, all that are known are made. Each int8 file is calibrated on training photos and measured on
    validation photos, four views of each, by the device's own detector. A file that loses more than tests/floors.json
    allows is not written, and the exit code is 1.

    \b
    Try it:
      make export MODEL=yolov8n
      .venv/bin/sereno detect --model yolov8n-320 photo.jpg
    """
    # Ultralytics prints a line about each model that it folds.
    logging.getLogger("ultralytics").setLevel(logging.WARNING)
    from export.detector import export

    for size in sizes:
        if size % 32:
            raise click.BadParameter(f"{size} is not a multiple of 32, YOLOv8's largest stride", param_hint="--size")
    if not models and weights is not None:
        raise click.UsageError("--weights needs a MODEL: sereno-coco-320")
    for name in models or KNOWN:
        try:
            recipe = recipe_for(name, weights, sizes or (320, 640))
        except InputError as error:
            # Asked for everything: what was never trained here is left out, and said.
            if models:
                raise
            click.echo(f"left out: {error}", err=True)
            continue
        export(recipe, data or data_folder(), click.echo)


def run() -> int:
    """Run the command; foreseeable failures become one sentence and an exit code."""
    try:
        main.main(standalone_mode=False)
    except SerenoError as error:
        click.echo(f"error: {error}", err=True)
        return error.exit_code
    except click.ClickException as error:
        error.show()
        return 2
    except (click.Abort, KeyboardInterrupt):
        click.echo("stopped; nothing half-made was left", err=True)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(run())
