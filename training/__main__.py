"""`python -m training …`: trains Sereno's models, each run in a folder of its own, and tells what came of it."""

from __future__ import annotations

import importlib
import os
import sys

import click

from export import console
from training.interruption import Stopped

COMMANDS = {
    "cnn": ("training.classifiers.commands:cnn", "A classifier from scratch on your own photos."),
    "transfer": (
        "training.classifiers.commands:transfer",
        "A classifier from ImageNet weights: MobileNetV2 and others.",
    ),
    "detector": ("training.detectors.commands:detector", "YOLOv8 on your own labelled pictures."),
    "arcface": ("training.faces.commands:arcface", "Face embeddings: ArcFace or triplet loss on MobileFaceNet."),
    "detector-distill": ("training.distill.command:detector_distill", "The default detector, quantization-aware."),
    "evaluate": ("training.evaluation.commands:evaluate", "Measure a run or a bundle on held-out data."),
    "compare": ("training.evaluation.commands:compare", "One table and picture of several runs."),
    "compare-faces": ("training.facemodels.commands:compare_faces", "Face models side by side: people and strangers."),
    "identify": ("training.facemodels.commands:identify", "A face model as a door uses it: a gallery and strangers."),
    "predict": ("training.detectors.commands:predict", "Draw what a trained detector sees."),
    "data": ("training.data.commands:data", "Check a dataset, or convert annotations."),
}
"""Where each command is, and what `--help` says of it: only the one that is used is imported."""


class Lazy(click.Group):
    """Imports a command when it is called: each brings its own framework, and they take seconds."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """In the order of the table."""
        del ctx
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import it."""
        del ctx
        if cmd_name not in COMMANDS:
            return None
        module, name = COMMANDS[cmd_name][0].split(":")
        command: click.Command = getattr(importlib.import_module(module), name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The table's own sentences."""
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl([(name, sentence) for name, (_, sentence) in COMMANDS.items()])


@click.command(cls=Lazy)
def main() -> None:
    """Train models on a workstation, from photos in folders to a verified bundle for the device.

    Each run gets a folder under runs/ with its settings, log, checkpoints and a report to open in a browser. Ctrl-C
    stops a run; `--resume RUN` goes on with it.
    """


def run() -> int:
    """Run the command; foreseeable failures become one sentence and an exit code."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    return console.run(main, "stopped; --resume with the run's folder goes on", told=Stopped)


if __name__ == "__main__":
    sys.exit(run())
