"""What `sereno run` refuses in a configuration that reads well, as far as it takes neither a model nor a camera."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from device.config import Config


def refuse(config: Config) -> None:
    """Raises ConfigError: a polygon of a zone or a mask that encloses nothing, or rules that make no sense together."""
    from device.detection.filters import Filters
    from device.detection.lifecycle import Lifecycle

    if config.device.role == "door":
        from device import door

        door.zone(config.door)
        return
    for camera in config.cameras:
        Filters(camera)
        Lifecycle(camera)
