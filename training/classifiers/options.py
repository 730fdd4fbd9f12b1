"""Flags that all classifiers share, and what they mean to the framework."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

import click

from device.errors import ConfigError
from training.classifiers.augmentation import Augmentation

AUGMENTATIONS: dict[str, Augmentation] = {
    "none": Augmentation(),
    "flip": Augmentation(flip=True),
    "light": Augmentation(flip=True, shift=0.06, zoom=0.08, rotation=6.0, brightness=0.1),
    "standard": Augmentation(
        flip=True, smallest_area=0.5, stretch=1.3, rotation=10.0, brightness=0.2, contrast=0.2, saturation=0.2
    ),
}
"""Names that `--augment` takes before single techniques."""

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]


def shared_options(**defaults: Any) -> Decorator:
    """The flags of every classifier's command, with the family's defaults."""
    whole = click.IntRange(min=0)
    share = click.FloatRange(0, 1, max_open=True)
    positive = click.FloatRange(min=0)
    options = [
        click.option("--data", type=click.Path(path_type=Path), help="Folder of photos, a folder for each class."),
        click.option("--out", type=click.Path(path_type=Path), help="The run's folder (default: a new one in runs/)."),
        click.option("--resume", type=click.Path(path_type=Path), metavar="RUN", help="Go on with a run that stopped."),
        _option("seed", whole, "Of everything that is drawn.", defaults),
        _option("split-seed", whole, "Of the splits that the folder lacks.", defaults),
        _option("size", click.IntRange(16, 1024), "Side of the network's input, in pixels.", defaults),
        _option(
            "resize", click.Choice(["shorter-crop", "stretch"]), "Shorter side and centre crop, or stretch.", defaults
        ),
        _option("epochs", whole, "In all (cnn), or of the first stage (transfer; 0: fine-tune at once).", defaults),
        _option("batch", click.IntRange(1), "Photos a step.", defaults),
        _option("optimizer", click.Choice(["adam", "adamw", "sgd"]), "", defaults),
        _option("rate", positive, "Learning rate.", defaults),
        _option("schedule", click.Choice(["constant", "cosine"]), "Of the rate.", defaults),
        _option("warmup", positive, "Epochs over which the rate rises.", defaults),
        _option("weight-decay", positive, "Decoupled, of kernels.", defaults),
        _option("l1", positive, "Penalty on absolute weights.", defaults),
        _option("l2", positive, "Penalty on squared weights.", defaults),
        _option("dropout", share, "Share of the embedding dropped.", defaults),
        _option("label-smoothing", share, "Share of each target spread over all classes.", defaults),
        _option("average", share, "Momentum of averaged weights (0: off).", defaults),
        _option("early-stopping", whole, "Stop after so many epochs without a better one (0: never).", defaults),
        _option("reduce-on-plateau", whole, "Halve the rate after so many (0: never).", defaults),
        _option("monitor", click.Choice(["loss", "accuracy"]), "What is better, on val.", defaults),
        _option("augment", str, f"One of {', '.join(AUGMENTATIONS)} and techniques, as 'light cutout=0.3'.", defaults),
        click.option("--class-weights", is_flag=True, help="Weigh rare classes more."),
        click.option("--oversample", is_flag=True, help="Draw rare classes as often as the largest."),
        click.option("--allow-duplicates", is_flag=True, help="Train although a photo is in two splits."),
        _option("threads", whole, "Of TensorFlow (0: all processors). On one, a run is repeated to the bit.", defaults),
        click.option("--name", help="Of the bundle (default: made of the data's name and the network's)."),
        click.option("--bundle/--no-bundle", default=True, show_default=True, help="Quantize and verify at the end."),
    ]

    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


def _option(name: str, kind: Any, text: str, defaults: dict[str, Any]) -> Decorator:
    default = defaults.get(name.replace("-", "_"), _USUAL.get(name))
    return click.option(f"--{name}", type=kind, default=default, show_default=default is not None, help=text)


_USUAL: dict[str, Any] = {
    "seed": 0,
    "split-seed": 0,
    "resize": "shorter-crop",
    "batch": 32,
    "optimizer": "adam",
    "schedule": "constant",
    "warmup": 0.0,
    "weight-decay": 0.0,
    "l1": 0.0,
    "l2": 0.0,
    "label-smoothing": 0.0,
    "average": 0.0,
    "early-stopping": 0,
    "reduce-on-plateau": 0,
    "monitor": "loss",
    "augment": "none",
    "threads": 0,
}


def read_techniques(text: str) -> Augmentation:
    """`"light cutout=0.3"` -> a preset with one technique changed; without a preset, only the techniques named.

    Raises:
        ConfigError: an unknown technique, or a value that is no number.
    """
    known = {field.name: field.default for field in fields(Augmentation)}
    chosen: dict[str, Any] = {}
    for word in text.replace(",", " ").split():
        name, _, value = word.partition("=")
        name = name.replace("-", "_")
        if word in AUGMENTATIONS and not chosen:
            chosen = dict(AUGMENTATIONS[word].__dict__)
            continue
        if name not in known:
            raise ConfigError(
                f"--augment: there is no technique {name!r}; there are {', '.join((*AUGMENTATIONS, *known))}"
            )
        try:
            chosen[name] = value.lower() not in ("no", "off", "0") if name == "flip" else float(value)
        except ValueError:
            raise ConfigError(f"--augment: {word!r} should be {name}=NUMBER, as {name}=0.2") from None
    return Augmentation(**chosen)
