"""`sereno watch`: events as they arrive."""

from __future__ import annotations

import sys
import threading
from pathlib import Path

import click


@click.command(epilog="Example: sereno watch --host 192.168.1.10 --json | jq .after.label")
@click.option(
    "--config", "config_path", type=click.Path(path_type=Path), help="Take the broker from this configuration."
)
@click.option("--host", help="The broker's name or address.  [default: 127.0.0.1]")
@click.option("--port", type=click.IntRange(1, 65535), help="The broker's port.  [default: 1883]")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line, as it came.")
@click.option("--count", type=click.IntRange(min=1), help="Stop after so many events.")
def watch(config_path: Path | None, host: str | None, port: int | None, as_json: bool, count: int | None) -> None:
    """Print events as they arrive from the broker, until Ctrl-C."""
    from device import configfile
    from device.config import Mqtt
    from device.publish.watch import watch as follow

    mqtt, device_id = Mqtt(), None
    if config_path is not None:
        config = configfile.load(config_path)
        mqtt, device_id = config.mqtt, config.device.id
    given = {key: value for key, value in {"host": host, "port": port}.items() if value is not None}
    follow(
        mqtt.model_copy(update=given),
        device_id,
        as_json=as_json,
        out=sys.stdout,
        color=sys.stdout.isatty(),
        stop=threading.Event(),
        count=count,
        base=config_path.parent if config_path else None,
    )
