"""`sereno classify`: classes for images and folders."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click


@click.command(epilog="Example: sereno classify photos/ --model my-bundle --json | jq .label")
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--model", required=True, help="A bundle's folder or name, of task `classify`.")
@click.option("--threads", type=click.IntRange(1, 16), default=1, show_default=True, help="Threads of the interpreter.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line: one an image.")
@click.pass_context
def classify(ctx: click.Context, paths: tuple[Path, ...], model: str, threads: int, as_json: bool) -> None:
    """Name what images show: the five likeliest classes.

    An input that cannot be read is told (with --json as a line with "error"), the others are still done, and the exit
    code is 1.
    """
    from device.commands import inputs
    from device.detection.classifier import Classifier, as_row
    from device.inference.interpreter import open_interpreter
    from device.inference.manifest import find_bundle, load_bundle

    bundle = load_bundle(find_bundle(model))
    classifier = Classifier(bundle, open_interpreter(bundle, threads=threads))
    complete = inputs.describe_stills(
        paths, lambda name, image: as_row(name, classifier.classify(image)), _print, as_json
    )
    ctx.exit(0 if complete else 1)


def _print(line: dict[str, Any], as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(line, ensure_ascii=False))
    elif "error" in line:
        click.echo(f"sereno: {line['error']}", err=True)
    else:
        click.echo(f"{line['path']}: " + ", ".join(f"{top['label']} {top['confidence']:.2f}" for top in line["top"]))
