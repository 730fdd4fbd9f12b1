"""`sereno run`: the daemon."""

from __future__ import annotations

import signal
import sys
import threading
from pathlib import Path
from types import FrameType

import click


@click.command(epilog="Example: sereno run --config config/camera.yaml --source clip.mp4 --pace fast")
@click.option(
    "--config", "config_path", type=click.Path(path_type=Path), required=True, help="The configuration (YAML)."
)
@click.option("--source", help="Watch this instead of the first camera's source: a device, a URL, a file or a folder.")
@click.option("--pace", type=click.Choice(["real", "fast"]), help="Of a file: at its own speed, or as fast as it goes.")
@click.option("--max-frames", type=click.IntRange(min=1), help="Stop after so many frames.")
def run(config_path: Path, source: str | None, pace: str | None, max_frames: int | None) -> None:
    """Watch: a camera box tells what it sees, a door unit lets in who may come; to MQTT and to the page.

    Runs until Ctrl-C, SIGTERM, or the end of a file source. Then open events get their `end`, what is left for the
    broker is sent (for up to 10 s; the rest stays for the next start), `offline` is published, and the exit code is 0.
    """
    from device import app, configfile

    config = configfile.load(config_path, app.overrides(source, pace))
    stop = threading.Event()
    _stop_on_signals(stop)
    box = app.Box(config, config_path, max_frames=max_frames, terminal=sys.stderr.isatty())
    box.run(stop)


def _stop_on_signals(stop: threading.Event) -> None:
    """Turn SIGTERM and SIGINT into `stop`; a second one ends at once.

    Set explicitly: a shell that starts a command in the background lets it ignore SIGINT, and Python then
    installs no handler of its own.
    """

    def handle(number: int, _frame: FrameType | None) -> None:
        if stop.is_set():
            sys.exit(128 + number)
        stop.set()

    signal.signal(signal.SIGTERM, handle)
    signal.signal(signal.SIGINT, handle)
