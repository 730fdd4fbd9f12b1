"""`sereno models`: the bundles at hand."""

from __future__ import annotations

import click


@click.group()
def models() -> None:
    """List and verify model bundles: those of `$SERENO_MODELS`, the install's `models/` and `.cache/bundles`."""


@models.command("list")
def list_models() -> None:
    """What there is, and what each scores."""
    from device.inference.manifest import list_bundles

    found = list_bundles()
    if not found:
        click.echo("no bundles: `make export MODEL=yolov8n` makes some", err=True)
    for folder in found:
        _describe(folder)


@models.command()
@click.argument("names", nargs=-1)
@click.pass_context
def verify(ctx: click.Context, names: tuple[str, ...]) -> None:
    """Check every file's sha256 and that the runtime opens it; all bundles, or those of NAMES."""
    from device.commands.modelfiles import verify_bundle

    bad = sum(not verify_bundle(name) for name in names or _all_names())
    ctx.exit(1 if bad else 0)


def _all_names() -> list[str]:
    from device.inference.manifest import list_bundles

    return [str(folder) for folder in list_bundles()]


def _describe(folder: object) -> None:
    click.echo(str(folder))
