"""What `sereno run` refuses in a configuration that reads well, as far as it takes neither a model nor a camera."""

from __future__ import annotations

from typing import TYPE_CHECKING

from device.errors import ConfigError

if TYPE_CHECKING:
    from device.config import Config


def refuse(config: Config) -> None:
    """Raises ConfigError: a role that is not built, or a polygon of a zone or a mask that encloses nothing."""
    from device.detection.filters import Filters
    from device.detection.lifecycle import Lifecycle

    if config.device.role != "camera":
        raise ConfigError("device.role: the door unit is not built yet; this version has the role `camera`")
    for camera in config.cameras:
        Filters(camera)
        Lifecycle(camera)
