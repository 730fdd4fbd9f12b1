"""How the workstation's commands end: foreseeable failures are one sentence and an exit code."""

from __future__ import annotations

import click

from device.errors import SerenoError


def run(command: click.Command, stopped: str = "", *, told: type[KeyboardInterrupt] | None = None) -> int:
    """Run a command with the process's arguments.

    Args:
        command: what to run.
        stopped: said when it was stopped.
        told: a stop that has said so itself already.
    Returns:
        0, 1 or 2 as everywhere, 130 when stopped.
    """
    try:
        command.main(standalone_mode=False)
    except SerenoError as error:
        click.echo(f"error: {error}", err=True)
        return error.exit_code
    except click.ClickException as error:
        error.show()
        return 2
    except (click.Abort, KeyboardInterrupt) as error:
        # click makes an Abort of every KeyboardInterrupt, and keeps what it was as the cause.
        if stopped and not (told and isinstance(error.__cause__, told)):
            click.echo(stopped, err=True)
        return 130
    return 0
