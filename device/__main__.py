"""The `sereno` command. Each subcommand lives in `device.commands` and is imported only when it is called."""

from __future__ import annotations

import errno
import importlib
import logging
import os
import sys
from typing import Any

import click

from device import __version__
from device.errors import SerenoError

# Name of the command -> the module under device.commands that holds it, as an attribute of the same name.
COMMANDS = {
    "run": ("run", "Watch: the daemon."),
    "watch": ("watch", "Print events as they arrive."),
    "check": ("check", "Will it run? Config, model, cameras, broker, clock."),
    "detect": ("detect", "Boxes for images, folders or videos."),
    "classify": ("classify", "Classes for images or folders."),
    "recognize": ("recognize", "Names for the faces in images, folders or videos."),
    "embed": ("embed", "Embeddings of the faces in photos."),
    "compare": ("compare", "Do two photos show the same person?"),
    "capture": ("capture", "Face crops of a person from a camera or a video, for a dataset."),
    "enrol": ("enrol", "Teach the door who somebody is, from photos."),
    "people": ("people", "Who the door knows: list, forget, export."),
    "audit": ("audit", "Who came to the door: show, verify, export or begin the access log."),
    "models": ("models", "List and verify model bundles."),
    "config": ("config", "Show the effective configuration, or its schema."),
    "users": ("users", "Who may see the page."),
    "token": ("users", "Keys for programs that use the API."),
}


class LazyGroup(click.Group):
    """A group that knows its commands without importing them: `sereno --help` stays instant."""

    def list_commands(self, _ctx: click.Context) -> list[str]:
        """The commands in the order in which a person needs them."""
        return list(COMMANDS)

    def get_command(self, _ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import and return one command; None where there is no such command."""
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"device.commands.{COMMANDS[cmd_name][0]}")
        command = getattr(module, cmd_name)
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, _ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands from the table alone."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])

    def resolve_command(self, ctx: click.Context, args: list[str]) -> Any:
        """Find the command, with a did-you-mean for a typing slip."""
        name = args[0]
        if name not in COMMANDS and not name.startswith("-"):
            from difflib import get_close_matches  # only a slip pays for it

            close = get_close_matches(name, COMMANDS, n=1)
            hint = f"; did you mean {close[0]!r}?" if close else f"; there are: {', '.join(COMMANDS)}."
            ctx.fail(f"no such command {name!r}{hint}")
        return super().resolve_command(ctx, args)


def set_up_logging(verbose: int) -> None:
    """Log to stderr: warnings of everybody and Sereno's own news; all of Sereno's with `-v`, everybody's with `-vv`.

    Under systemd the journal stamps each line itself.
    """
    stamp = "" if "JOURNAL_STREAM" in os.environ else "%(asctime)s "
    logging.basicConfig(
        stream=sys.stderr,
        format=f"{stamp}%(levelname).1s %(message)s",
        datefmt="%H:%M:%S",
        level=logging.DEBUG if verbose > 1 else logging.WARNING,
    )
    logging.getLogger("device").setLevel(logging.DEBUG if verbose else logging.INFO)


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__, prog_name="sereno")
@click.option("-v", "--verbose", count=True, help="Say more; twice for the libraries' words too.")
def sereno(verbose: int) -> None:
    """The night watchman: sees what moves and says so over MQTT.

    Start with `sereno run --config config/demo.yaml`, then `sereno watch` in a second terminal.
    `sereno COMMAND --help` explains each command with examples.
    """
    set_up_logging(verbose)


def main() -> None:
    """Run the command line. Foreseeable failures are one sentence on stderr; exit code 1: input or machine, 2: usage or
    configuration."""
    try:
        code = sereno.main(prog_name="sereno", standalone_mode=False)
        if sys.stdout is not None:
            sys.stdout.flush()
        sys.exit(code if isinstance(code, int) else 0)
    except SerenoError as error:
        click.echo(f"sereno: {error}", err=True)
        sys.exit(error.exit_code)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except click.exceptions.Exit as done:
        sys.exit(done.exit_code)
    except (click.Abort, KeyboardInterrupt):
        click.echo("stopped", err=True)
        sys.exit(130)
    except BrokenPipeError:
        # Whoever read our output has left (`sereno detect … | head`): not an error of ours.
        _drop_output()
        sys.exit(0)
    except OSError as error:
        logging.getLogger(__name__).debug("where it came from", exc_info=True)
        click.echo(f"sereno: {_reason(error)}", err=True)
        _drop_output()
        sys.exit(1)


def _drop_output() -> None:
    """What is still in the buffer of a stdout that takes nothing more must not fail again at the exit."""
    if sys.stdout is not None:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _reason(error: OSError) -> str:
    """What the machine refused, as a sentence."""
    text = error.strerror or str(error)
    if error.filename is not None:
        return f"{error.filename}: {text}"
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EBADF):
        return f"cannot write the output: {text}"
    return f"the machine refused something: {text}; `sereno -v` shows where"


if __name__ == "__main__":
    main()
