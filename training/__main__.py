"""`python -m training …`: each command trains one of Sereno's models into a run folder."""

from __future__ import annotations

import sys

import click

from device.errors import SerenoError
from training.detector import detector_distill


@click.group()
def main() -> None:
    """Train Sereno's own models on a workstation. Each run gets a folder under runs/ with its report."""


main.add_command(detector_distill)

if __name__ == "__main__":
    try:
        main.main(standalone_mode=True)
    except SerenoError as error:
        click.echo(f"error: {error}", err=True)
        sys.exit(error.exit_code)
