"""`sereno models`: the bundles at hand."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from device.errors import InputError

if TYPE_CHECKING:
    from device.inference.manifest import Bundle


@click.group()
def models() -> None:
    """List and verify model bundles: those of `$SERENO_MODELS`, the install's `models/` and `.cache/bundles`."""


@models.command("list")
@click.option("--labels", is_flag=True, help="Print the labels of each, too.")
@click.option("--scores", is_flag=True, help="Print everything that was measured of each.")
@click.pass_context
def list_models(ctx: click.Context, labels: bool, scores: bool) -> None:
    """What there is, and what each was measured to score."""
    from device.inference.manifest import list_bundles

    found = list_bundles()
    if not found:
        raise InputError("there is no bundle: `make export MODEL=yolov8n` makes some")
    for listed in found:
        if listed.bundle is None:
            click.echo(f"{listed.path}: {listed.error}", err=True)
        else:
            _describe(listed.bundle, labels, scores)
    ctx.exit(0 if all(listed.bundle for listed in found) else 1)


def _describe(bundle: Bundle, labels: bool, scores: bool) -> None:
    manifest = bundle.manifest
    files = ", ".join(f"{file.runtime} {file.precision} {file.bytes / 1e6:.1f} MB" for file in manifest.files)
    click.echo(f"{manifest.name} {manifest.version}  {manifest.task}  {manifest.input.width}x{manifest.input.height}")
    click.echo(f"    {bundle.path}: {files}")
    for row in manifest.metrics if scores else manifest.headline:
        click.echo(f"    {score_line(row)}")
    if labels:
        click.echo(f"    {', '.join(manifest.labels)}")


def score_line(row: Mapping[str, Any]) -> str:
    """One measurement: on which pictures, how many of them and how they were shown, and what came of it."""
    pictures = f"{row.get('dataset')} {row.get('split')}"
    pictures += f", {row['images']} images" if row.get("images") else ""
    pictures += f", {row['view']}" if row.get("view") else ""
    return f"{pictures}: {row.get('metric')} {row.get('quantized')} (float {row.get('float')})"


@models.command()
@click.argument("names", nargs=-1)
@click.pass_context
def verify(ctx: click.Context, names: tuple[str, ...]) -> None:
    """Check every file's sha256 and that its runtime opens and runs it: all bundles, or those of NAMES."""
    from device.inference.manifest import list_bundles

    bad = 0
    for name in names or [str(listed.path) for listed in list_bundles()]:
        try:
            click.echo(f"{name}: ok ({_verify(name)})")
        except InputError as error:
            bad += 1
            click.echo(f"sereno: {error}", err=True)
    ctx.exit(1 if bad else 0)


def _verify(name: str) -> str:
    """Open and run each file of a bundle once; what was run. Raises InputError."""
    import numpy as np

    from device.inference.interpreter import open_interpreter
    from device.inference.manifest import find_bundle, load_bundle

    bundle = load_bundle(find_bundle(name))
    size = bundle.manifest.input
    for file in bundle.manifest.files:
        interpreter = open_interpreter(bundle, runtime=file.runtime)
        interpreter.write(np.zeros((size.height, size.width, 3), np.uint8))
        interpreter.invoke()
    return ", ".join(f"{file.runtime} {file.precision}" for file in bundle.manifest.files)
