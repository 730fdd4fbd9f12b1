"""`sereno check`: will it run?"""

from __future__ import annotations

import errno
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from device.errors import SerenoError

if TYPE_CHECKING:
    from device.config import Camera, Config, Mqtt

CAMERA_S = 20.0
EARLIEST = 1_760_000_000
"""Seconds since 1970 of a day in 2025: a clock before that has never been set."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the table. `ok` None: not needed here, or no more than a hint."""

    what: str
    ok: bool | None
    text: str


@click.command()
@click.option(
    "--config", "config_path", type=click.Path(path_type=Path), required=True, help="The configuration (YAML)."
)
@click.pass_context
def check(ctx: click.Context, config_path: Path) -> None:
    """Will it run? Tries config, storage, models, cameras, broker, page and clock; of a door its gallery, access log
    and lock, too. The exit code is 0 only if all is well."""
    from device import configfile
    from device.commands.refusals import refuse

    config = configfile.load(config_path)
    refuse(config)
    bad = False
    for finding in findings(config, config_path):
        bad |= finding.ok is False
        mark, color = {True: ("ok", "green"), False: ("FAILED", "red"), None: ("-", "yellow")}[finding.ok]
        click.echo(
            f"{finding.what:<14} {click.style(f'{mark:<6}', fg=color)} {finding.text}", color=sys.stdout.isatty()
        )
    ctx.exit(1 if bad else 0)


def findings(config: Config, path: Path) -> Iterator[Finding]:
    """Try one thing after another; each is told as soon as it is known."""
    from device import configfile
    from device.publish.lock import holder

    base = path.parent
    yield Finding("config", True, str(path))
    yield _try("storage", lambda: _storage(config, base))
    running = holder(configfile.storage_path(config, base))
    if running is not None:
        yield Finding("running", None, f"already, as process {running}: what it holds may be busy below")
    if config.device.role == "door":
        from device.commands.checkdoor import door_findings

        yield from door_findings(config, base, running)
    else:
        yield _try("model", lambda: _model(config, base))
    for camera in config.cameras:
        yield _try(f"camera {camera.id}", partial(_camera, camera, base))
        if not camera.objects and config.device.role == "camera":
            yield Finding(f"camera {camera.id}", None, "its `objects` are empty: nothing that it sees makes an event")
    yield _broker(config, base) if config.mqtt.enabled else Finding("broker", None, "mqtt.enabled is false")
    yield _page(config, running) if config.web.enabled else Finding("page", None, "web.enabled is false")
    yield _clock()


def _try(what: str, look: Callable[[], str]) -> Finding:
    try:
        return Finding(what, True, look())
    except SerenoError as error:
        return Finding(what, False, str(error))


def _storage(config: Config, base: Path) -> str:
    from device.configfile import storage_path
    from device.publish.lock import cannot_write

    folder = storage_path(config, base)
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(bytes(4096))
    except OSError as error:
        raise cannot_write(folder, error) from None
    return f"{folder}, {shutil.disk_usage(folder).free // 2**20} MB free"


def _model(config: Config, base: Path) -> str:
    import numpy as np

    from device import app

    bundle, detector = app.open_detector(config.model, base)
    app.check_labels(config.cameras, bundle)
    detector.detect(np.zeros((480, 640, 3), np.uint8))
    return app.describe(bundle)


def _camera(camera: Camera, base: Path) -> str:
    from device.app import CACHE
    from device.capture.pixels import to_image
    from device.capture.sources import open_source
    from device.errors import InputError

    source = open_source(camera, base, CACHE)
    outcome: list[str | SerenoError] = []

    def look() -> None:
        try:
            source.open()
            source.grab()
            height, width = to_image(source.retrieve(), camera.rotate).shape[:2]
            outcome.append(f"{source.description}, {width}x{height}")
        except SerenoError as error:
            outcome.append(error)
        finally:
            source.close()

    # In a thread: a driver that hangs must not hang this command.
    worker = threading.Thread(target=look, daemon=True)
    worker.start()
    worker.join(CAMERA_S)
    if not outcome:
        raise InputError(f"{source.description} gave no picture within {CAMERA_S:.0f} s")
    if isinstance(outcome[0], SerenoError):
        raise outcome[0]
    return outcome[0]


def _broker(config: Config, base: Path) -> Finding:
    if config.mqtt.embedded:
        return Finding("broker", True, "embedded, started with `sereno run`")
    return _try("broker", lambda: _connect(config.mqtt, base))


def _connect(mqtt: Mqtt, base: Path) -> str:
    from paho.mqtt.enums import MQTTProtocolVersion

    from device.errors import InputError
    from device.publish.connection import Connection, ConnectionFailed, address, tls_context

    five, older = MQTTProtocolVersion.MQTTv5, MQTTProtocolVersion.MQTTv311
    for version in [older] if mqtt.protocol == "3.1.1" else [five] if mqtt.protocol == "5" else [five, older]:
        # An id of its own, so that a running daemon is not thrown out.
        connection = Connection(mqtt, "", version, tls_context(mqtt.tls, base), will=None)
        try:
            connection.open()
        except ConnectionFailed as error:
            sentence = str(error)
            continue
        connection.close()
        return f"{address(mqtt)}, MQTT {'5' if version == five else '3.1.1'}"
    raise InputError(sentence)


def _page(config: Config, running: str | None) -> Finding:
    from device.errors import InputError
    from device.web.server import listen

    where = f"http://{config.web.host}:{config.web.port}"
    try:
        listen(config.web.host, config.web.port).close()
    except InputError as error:
        busy = isinstance(error.__cause__, OSError) and error.__cause__.errno == errno.EADDRINUSE
        if busy and running is not None:
            return Finding("page", None, f"{where}: the port is taken, by process {running} as it seems")
        return Finding("page", False, str(error))
    return Finding("page", True, where)


def _clock() -> Finding:
    from device.system.clock import synchronized

    if time.time() < EARLIEST:
        return Finding(
            "clock", False, f"it is {time.strftime('%Y-%m-%d')} here: set the time, or install an NTP client"
        )
    words = {
        True: "synchronised",
        False: "not synchronised: events carry the times of this machine's own clock; is an NTP client running?",
        None: "nobody here can tell whether it is synchronised; is an NTP client installed?",
    }
    known = synchronized()
    return Finding("clock", known or None, words[known])
