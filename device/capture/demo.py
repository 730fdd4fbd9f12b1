"""`source: demo`: the first camera where there is one, else footage, else a drawn scene; the log says which."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

from device import config
from device.capture.camera import Source
from device.capture.footage import demo_clip
from device.capture.opencv import DeviceSource, VideoFileSource
from device.capture.scene import SceneSource
from device.errors import InputError

log = logging.getLogger(__name__)

FIRST_CAMERA = "/dev/video0"


def demo_source(
    camera: config.Camera, cache: Path, device: str = FIRST_CAMERA, footage: Callable[[Path], Path] = demo_clip
) -> Source:
    """Choose what the demonstration shows; what it chose is its `description`.

    Args:
        camera: its settings.
        cache: where the footage is kept, and fetched to.
        device: the camera that is tried first. One that is there but does not work is said, and passed over.
        footage: fetches the clip into `cache`; raises InputError where it cannot.
    """
    if Path(device).exists():
        first = DeviceSource(device, camera.width, camera.height, camera.hang_s)
        try:
            first.open()
        except InputError as error:
            log.warning("%s; showing footage instead", error)
        else:
            first.close()
            return first
    try:
        clip = footage(cache)
    except InputError as error:
        log.warning("no camera at %s, and no footage (%s): showing a drawn scene", device, error)
        return SceneSource(camera.width, camera.height, camera.fps)
    log.info("no camera at %s: playing %s again and again", device, clip.name)
    return VideoFileSource(clip, loop=True)
