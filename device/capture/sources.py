"""From the setting `source` to the source it names."""

from __future__ import annotations

import re
from pathlib import Path

from device import config
from device.capture.camera import Source
from device.capture.demo import demo_source
from device.capture.opencv import DeviceSource, StreamSource
from device.capture.picamera import PicameraSource
from device.capture.replay import replay
from device.configfile import resolve_source
from device.errors import InputError

STREAMS = ("rtsp", "rtsps", "http", "https")
"""How the addresses of network cameras begin."""


def open_source(camera: config.Camera, base: Path, cache: Path) -> Source:
    """Make the source that a camera's settings name. It is not opened yet: `Source.open` does that.

    Args:
        camera: its settings.
        base: the folder that relative paths start from: that of the config file.
        cache: where fetched footage is kept, for `demo`.
    Raises:
        ConfigError: the source is empty.
        InputError: it names nothing of a known kind, or a folder without anything to play.
    """
    named = resolve_source(camera.source, base)
    if named == "demo":
        return demo_source(camera, cache)
    if named == "picamera2":
        return PicameraSource(camera.width, camera.height, camera.fps, camera.picamera_stream)
    if named.startswith("/dev/"):
        return DeviceSource(named, camera.width, camera.height, camera.hang_s)
    scheme = re.match(r"([A-Za-z][A-Za-z0-9+.-]*)://", named)
    if scheme is None:
        return replay(Path(named), camera.fps, loop=camera.loop)
    if scheme[1].lower() not in STREAMS:
        raise InputError(
            f"camera {camera.id}: a source cannot begin with {scheme[0]}; streams begin with {', '.join(STREAMS)}://, "
            "files are named by their path"
        )
    return StreamSource(named, camera.hang_s)
