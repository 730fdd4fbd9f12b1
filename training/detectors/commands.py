"""`detector` and `predict`: YOLOv8 on one's own labelled photos."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import click

from device.errors import ConfigError
from training.detectors.settings import Settings

SETTINGS = ("epochs", "batch", "rate", "freeze", "mosaic", "close_mosaic", "bfloat16")
"""Flags that are settings of the training; the others stand beside them in a run's config."""

FOLDER = click.Path(path_type=Path, file_okay=False)


class Side(click.IntRange):
    """A multiple of 32, YOLOv8's largest stride."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Refuse the rest."""
        number: int = super().convert(value, param, ctx)
        if number % 32:
            self.fail(f"{number} is not a multiple of 32, YOLOv8's largest stride", param, ctx)
        return number


def _named(context: click.Context, param: click.Parameter, name: str | None) -> str | None:
    """Refuse now what the manifest would refuse after hours."""
    if name is not None and not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", name):
        raise click.BadParameter(
            f"{name!r} is no bundle's name: letters, digits, dots, hyphens and underscores are", context, param
        )
    return name


@click.command(context_settings={"max_content_width": 110})
@click.option(
    "--data",
    type=click.Path(path_type=Path),
    help="Folder with images/ and labels/ (YOLO text files), or with a data.yaml, or that file.",
)
@click.option(
    "--names", default=None, help="Class names in the order of their ids, a,b,c, where no data.yaml says them."
)
@click.option(
    "--model", type=click.Choice(["n", "s", "m", "l", "x"]), default="n", show_default=True, help="YOLOv8's size."
)
@click.option(
    "--size", type=Side(64, 1280), default=320, show_default=True, help="Side of the network's input in pixels."
)
@click.option(
    "--weights",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="Earlier weights to go on from, of these classes or of others  [default: Ultralytics' own, of COCO].",
)
@click.option(
    "--epochs", type=click.IntRange(1), default=Settings.epochs, show_default=True, help="Times through the photos."
)
@click.option("--batch", type=click.IntRange(2), default=Settings.batch, show_default=True, help="Photos a step.")
@click.option(
    "--rate",
    type=click.FloatRange(0, 1, min_open=True),
    default=Settings.rate,
    show_default=True,
    help="AdamW's learning rate.",
)
@click.option(
    "--freeze",
    type=click.IntRange(0, 22),
    default=Settings.freeze,
    show_default=True,
    help="First layers that keep their weights; 10 is the backbone.",
)
@click.option(
    "--mosaic",
    type=click.FloatRange(0, 1),
    default=Settings.mosaic,
    show_default=True,
    help="Share of pictures made of four photos.",
)
@click.option(
    "--close-mosaic",
    type=click.IntRange(0),
    default=Settings.close_mosaic,
    show_default=True,
    help="Last epochs without them.",
)
@click.option(
    "--bfloat16", is_flag=True, help="Multiply in bfloat16: half the time on processors with AVX512-BF16 or AMX."
)
@click.option(
    "--hold",
    type=click.FloatRange(0, 0.5),
    default=0.0,
    show_default=True,
    help="Share of train to choose the epoch by, where there is no test split.",
)
@click.option("--allow-duplicates", is_flag=True, help="Train although a photo is in two splits.")
@click.option(
    "--seed",
    type=click.IntRange(0),
    default=0,
    show_default=True,
    help="Of the order, the augmentation, the new heads, the splits.",
)
@click.option(
    "--threads",
    type=click.IntRange(1),
    default=max(1, (os.cpu_count() or 2) // 2),
    show_default=True,
    help="Threads of PyTorch; the same to the bit is promised for the same number.",
)
@click.option(
    "--name", default=None, callback=_named, help="The bundle's name  [default: the data's folder and the size]."
)
@click.option("--out", type=FOLDER, help="Run folder  [default: runs/detector-DATE].")
@click.option("--resume", type=FOLDER, help="Go on with the run in this folder.")
@click.pass_context
def detector(context: click.Context, **options: Any) -> None:
    """Train YOLOv8 to find your own objects, and make a bundle of it for the device.

    \b
    The photos lie in images/train and images/val (and images/test), or all in images/;
    labels/… holds for each a text file of lines `class x y width height`, 0 to 1.
    `python -m training data check` looks them through, `data convert` makes them of
    LabelImg's XML and of COCO's JSON.

    Ends with RUN/bundle/NAME, calibrated on training photos, measured on held-out ones by the device's own detector,
    and RUN/report.html. Ctrl-C or worse stops it; `--resume RUN` goes on and ends with the same weights. To teach it
    new photos or classes later, give RUN/detector.pt as --weights.
    """
    if options["data"] is None and options["resume"] is None:
        raise ConfigError("--data is missing: name a folder with images/ and labels/, or one with a data.yaml")
    from training.runs import Run, asked, fresh_folder

    told = asked(context)
    settings = {name: told.pop(name) for name in SETTINGS if name in told}
    resume: Path | None = options["resume"]
    if resume is None:
        settings = {**{name: getattr(Settings, name) for name in Settings.names()}, **settings}
        told["names"] = [name.strip() for name in told["names"].split(",")] if told["names"] else None
    elif options["out"] is not None and options["out"].absolute() != resume.absolute():
        raise ConfigError(f"--resume {resume} goes on in its own folder: leave --out {options['out']} out")
    run = Run(
        resume or options["out"] or fresh_folder("detector"), {**told, "settings": settings}, resume=resume is not None
    )
    from training.detectors.train import train

    with run.refusable():
        page = train(run)
    click.echo(f"{page.parent}\n{page}")


@click.command(context_settings={"max_content_width": 110})
@click.argument("model", type=click.Path(path_type=Path))
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--save", type=FOLDER, required=True, help="Write pictures and videos with boxes drawn there.")
@click.option(
    "--confidence", type=click.FloatRange(0, 1), help="Leave out detections below it  [default: the bundle's]."
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line: one a picture or a frame.")
@click.pass_context
def predict(
    context: click.Context, model: Path, paths: tuple[Path, ...], save: Path, confidence: float | None, as_json: bool
) -> None:
    """Draw what a trained detector sees in pictures, folders and videos.

    MODEL is a run of `detector` or a bundle. The device's own detector looks, on the quantized file: this is
    `sereno detect --save` that also takes a run.
    """
    from device.commands.detect import detect
    from export.trained import bundle_of

    context.invoke(
        detect,
        paths=paths,
        model=str(bundle_of(model)),
        confidence=confidence,
        runtime="auto",
        threads=1,
        as_json=as_json,
        save=save,
    )
