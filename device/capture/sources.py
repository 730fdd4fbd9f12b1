"""From the setting `source` to the source it names."""

from __future__ import annotations

import re
from pathlib import Path

from device import config
from device.capture.camera import Source
from device.capture.opencv import DeviceSource, StreamSource, VideoFileSource


def open_source(camera: config.Camera, base: Path, cache: Path) -> Source:
    """Make the source that a camera's settings name. It is not opened yet: `Source.open` does that.

    Args:
        camera: its settings.
        base: the folder that relative paths start from: that of the config file.
        cache: where fetched footage is kept, for `demo`.
    Raises:
        InputError: the footage folder cannot be used, or the source names nothing that could be opened.
    """
    named = camera.source
    if named.isdecimal():
        named = f"/dev/video{named}"
    if named.startswith("/dev/"):
        return DeviceSource(named, camera.width, camera.height, camera.hang_s)
    if re.match(r"(?i)(rtsps?|https?)://", named):
        return StreamSource(named, camera.hang_s)
    return VideoFileSource(base / named, loop=camera.loop)
