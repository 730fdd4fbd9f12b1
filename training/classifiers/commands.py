"""`python -m training cnn` and `transfer`: classifiers from photos in folders."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from device.errors import ConfigError
from training.classifiers.options import read_techniques, shared_options
from training.runs import open_run

BACKBONES = (
    "mobilenetv2",
    "efficientnetlite0",
    "efficientnetlite2",
    "vgg16",
    "resnet50",
    "inceptionv3",
    "efficientnetb0",
)
NETWORKS = ("textbook", "compact", "compact-wide")

COMPACT: dict[str, Any] = {
    "size": 128,
    "epochs": 120,
    "optimizer": "sgd",
    "rate": 0.05,
    "schedule": "cosine",
    "warmup": 3.0,
    "weight_decay": 0.01,
    "label_smoothing": 0.1,
    "dropout": 0.2,
    "augment": "flip smallest_area=0.35 stretch=1.3 rotation=10 brightness=0.3 contrast=0.3 saturation=0.3 hue=10 "
    "mixup=0.2",
}
"""What the compact networks take where no flag says otherwise, chosen on the validation part of 1,600 photos of cats
and dogs. The flags' own defaults are the textbook's."""


@click.command()
@click.option(
    "--network",
    type=click.Choice(NETWORKS),
    default="textbook",
    show_default=True,
    help="The compact ones bring their own schedule, size and augmentation; flags change each of these.",
)
@shared_options(size=150, epochs=30, rate=1e-4, dropout=None, augment="light")
@click.pass_context
def cnn(context: click.Context, network: str, **_: Any) -> None:
    """Train a classifier from scratch on your own photos.

    DATA holds a folder of photos for each class, or train/, val/ and test/ with such folders, or sheets of CIFAR-10.
    The defaults below are the textbook network's; a compact one learns with SGD at 0.05 on a cosine, for 120 epochs at
    128 pixels, with mixup and strong augmentation.
    """
    if network != "textbook":
        unsaid = {key for key in COMPACT if context.get_parameter_source(key) is ParameterSource.DEFAULT}
        context.params.update({key: value for key, value in COMPACT.items() if key in unsaid})
    _train(context)


@click.command()
@click.option("--backbone", type=click.Choice(BACKBONES), default="mobilenetv2", show_default=True)
@click.option(
    "--fine-tune-layers",
    type=click.IntRange(-1),
    default=20,
    show_default=True,
    help="How many of the backbone's last layers learn in the second stage (0: none, -1: all).",
)
@click.option("--fine-tune-epochs", type=click.IntRange(1), default=12, show_default=True)
@click.option("--fine-tune-rate", type=click.FloatRange(min=0), default=3e-5, show_default=True)
@click.option("--fine-tune-batch", type=click.IntRange(1), default=32, show_default=True)
@click.option("--fine-tune-schedule", type=click.Choice(["constant", "cosine"]), default="cosine", show_default=True)
@click.option("--fine-tune-warmup", type=click.FloatRange(min=0), default=0.5, show_default=True)
@click.option("--fine-tune-norms", is_flag=True, help="Fine-tune BatchNorm, too: for thousands of photos.")
@click.option(
    "--variants",
    type=click.IntRange(1),
    default=6,
    show_default=True,
    help="Of each photo (as it is, mirrored, augmented) whose frozen activations are computed once and kept.",
)
@click.option("--cache-mb", type=click.IntRange(0), default=2000, show_default=True, help="Most that these may take.")
@shared_options(
    size=224,
    epochs=30,
    batch=64,
    rate=1e-3,
    dropout=0.2,
    augment="standard",
    early_stopping=5,
)
@click.pass_context
def transfer(context: click.Context, **_: Any) -> None:
    """Train a classifier from a backbone that has learnt ImageNet.

    First its last layer on frozen features, then the last layers of the backbone at a lower rate.
    """
    _train(context)


def _train(context: click.Context) -> None:
    """Open the run, then load what takes seconds to load, and train."""
    if context.params["data"] is None and context.params["resume"] is None:
        raise click.UsageError("--data names the folder of photos; --resume RUN goes on with a run")
    if context.params["augment"]:
        read_techniques(context.params["augment"])
    data = context.params["data"]
    if data is not None and not Path(data).is_dir():
        raise ConfigError(f"--data: there is no folder {data}")
    run = open_run(context)
    from training.classifiers.framework import start_tensorflow

    start_tensorflow(run.config["seed"], run.config["threads"] or None)
    from training.classifiers.session import train

    with run.refusable():
        train(run)
