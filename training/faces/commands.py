"""`arcface`: face embeddings from photos in a folder for each person."""

from __future__ import annotations

import os
from pathlib import Path

import click

from device.errors import ConfigError
from training.runs import open_run

DEFAULT_RATE = {"fine-tuning": 3e-3, "scratch": 0.05}
DEFAULT_MARGIN = {"arcface": 0.5, "triplet": 0.2}


@click.command()
@click.option(
    "--data",
    type=click.Path(path_type=Path, file_okay=False),
    help="A folder for each person; or train/ and test/ with such folders, and perhaps LFW's pairs.txt.",
)
@click.option("--out", type=click.Path(path_type=Path), help="Run folder [default: runs/arcface-DATE].")
@click.option("--resume", type=click.Path(path_type=Path, file_okay=False), help="Go on with the run in this folder.")
@click.option("--weights", type=click.Path(path_type=Path, dir_okay=False), help="Begin with these [default: fetched].")
@click.option("--from-scratch", is_flag=True, help="Begin with nothing: a demonstration, it takes millions of faces.")
@click.option("--loss", type=click.Choice(["arcface", "triplet"]), default="arcface", show_default=True)
@click.option("--margin", type=click.FloatRange(0, 2), help="Radians [0.5]; of triplets, squared distance [0.2].")
@click.option("--scale", type=click.FloatRange(1, 256), default=32.0, show_default=True, help="Of ArcFace; paper: 64.")
@click.option(
    "--anchor", type=click.FloatRange(0), default=30.0, show_default=True, help="Weight of staying near the base."
)
@click.option(
    "--quantization-aware/--no-quantization-aware", default=True, show_default=True, help="Round as int8 will."
)
@click.option("--epochs", type=click.IntRange(1), default=6, show_default=True)
@click.option("--batch", type=click.IntRange(2), default=64, show_default=True)
@click.option("--rate", type=click.FloatRange(0, min_open=True), help="Learning rate [3e-3; from scratch 0.05].")
@click.option("--set-aside", type=click.IntRange(0), default=80, show_default=True, help="People to choose by.")
@click.option("--allow-duplicates", is_flag=True, help="Train although a photo is in train/ and in test/.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True)
@click.option("--threads", type=click.IntRange(1), default=max(1, (os.cpu_count() or 2) // 2), show_default=True)
@click.option("--export/--no-export", "bundle", default=True, show_default=True, help="Make RUN/bundle, quantized.")
@click.pass_context
def arcface(context: click.Context, **_: object) -> None:
    """Teach a network to tell people apart.

    By default the pretrained MobileFaceNet is fine-tuned with ArcFace's angular margin and kept near what it knew, and
    the run ends with an int8 bundle in RUN/bundle that `sereno embed --model RUN/bundle/…` opens. Faces are found and
    aligned as the device does it. A quarter of the people at most (80) is set aside and never trained on: thresholds
    are taken from them, and models are chosen by them. People in test/ are looked at once, for the report.
    """
    _fill_in(context)
    if context.params["data"] is None and context.params["resume"] is None:
        raise ConfigError("--data is missing: name a folder that holds a folder of photos for each person")
    data = context.params["data"]
    if data is not None and not data.is_dir():
        raise ConfigError(f"--data: there is no folder {data}; name one that holds a folder of photos for each person")
    run = open_run(context)
    # PyTorch takes seconds to import: mistakes in the flags are told before.
    import torch

    from training.faces.pipeline import prepare, settings_of, train

    torch.set_num_threads(run.config["threads"])
    torch.use_deterministic_algorithms(True)
    with run.refusable():
        settings_of(run.config)
        material = prepare(run)
        network = train(run, material)
    from training.faces.report import finish

    finish(run, material, network)
    click.echo(f"{run.path / 'embedder.pt'}\n{run.path / 'report.html'}")


def _fill_in(context: click.Context) -> None:
    """Defaults that depend on other flags."""
    given = context.params
    if given["resume"] is not None:
        return
    if given["margin"] is None:
        given["margin"] = DEFAULT_MARGIN[given["loss"]]
    if given["rate"] is None:
        given["rate"] = DEFAULT_RATE["scratch" if given["from_scratch"] else "fine-tuning"]
    if (
        given["from_scratch"]
        and context.get_parameter_source("quantization_aware") is click.core.ParameterSource.DEFAULT
    ):
        given["quantization_aware"] = False
