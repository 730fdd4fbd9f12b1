"""Frames of a camera, a stream or a recording, one by one, for the commands that look for faces in them."""

from __future__ import annotations

import logging
import time
from pathlib import Path

from pydantic import ValidationError

from device import config
from device.capture.reader import Reader
from device.capture.sources import open_source
from device.datatypes import Image
from device.errors import ConfigError, InputError

log = logging.getLogger(__name__)

WAIT_S = 15.0
"""A camera that gives no picture for so long is given up."""


def open_reader(source: str, fps: float) -> Reader:
    """The camera at work, once started; a recording is played as fast as it is looked at. Raises InputError,
    ConfigError."""
    try:
        camera = config.Camera.model_validate({"id": "command", "source": source, "pace": "fast", "fps": fps})
    except ValidationError as error:
        raise ConfigError(f"--source: {error.errors()[0]['msg'].removeprefix('Value error, ')}") from None
    cache = Path.home() / ".cache" / "sereno"
    reader = Reader(camera, lambda: open_source(camera, Path.cwd(), cache), _thread_died)
    reader.open()
    return reader


def next_image(reader: Reader) -> Image | None:
    """The next frame's picture; None at the end of a recording. Raises InputError where a camera stays away."""
    deadline = time.monotonic() + WAIT_S
    while time.monotonic() < deadline:
        frame = reader.take(0.5)
        if frame is not None:
            return frame.image
        if reader.ended:
            if reader.error is not None:
                log.warning("%s", reader.error)
            return None
    message = reader.health().message or "it gives no picture"
    raise InputError(f"{message}; given up after {WAIT_S:.0f} s")


def _thread_died(name: str, error: BaseException) -> None:
    log.error("%s ended: %s", name, error, exc_info=error)
