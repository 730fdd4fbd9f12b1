"""`sereno config`: what is in force."""

from __future__ import annotations

import json
from pathlib import Path

import click


@click.group()
def config() -> None:
    """Show the effective configuration (secrets masked), or the schema of the file."""


@config.command()
@click.option(
    "--config", "config_path", type=click.Path(path_type=Path), required=True, help="The configuration (YAML)."
)
def show(config_path: Path) -> None:
    """Every setting in force, defaults included; secrets are masked.

    A configuration that `sereno run` would refuse is refused here, too, with the exit code 2.
    """
    from device import configfile
    from device.commands.refusals import refuse

    config = configfile.load(config_path)
    refuse(config)
    click.echo(configfile.show(config), nl=False)


@config.command()
def schema() -> None:
    """The JSON schema, for editors that check YAML while you type."""
    from device import configfile

    click.echo(json.dumps(configfile.schema(), indent=2, ensure_ascii=False))
