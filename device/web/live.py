"""The newest picture of each camera, handed from the loop to whoever watches."""

from __future__ import annotations

import threading
from collections.abc import Iterable

from device.datatypes import Observation


class LiveView:
    """Keeps one observation a camera. `show` costs the loop a swap and a wake-up; nobody is ever waited for."""

    def __init__(self, cameras: Iterable[str]) -> None:
        self._latest: dict[str, Observation | None] = dict.fromkeys(cameras)
        self._changed = threading.Condition()

    def show(self, observation: Observation) -> None:
        """Replace the camera's picture. Raises KeyError for a camera that was not announced."""
        camera = observation.frame.camera
        with self._changed:
            if camera not in self._latest:
                raise KeyError(camera)
            self._latest[camera] = observation
            self._changed.notify_all()

    def cameras(self) -> list[str]:
        """See `LiveSource`."""
        return list(self._latest)

    def latest(self, camera: str) -> Observation | None:
        """See `LiveSource`."""
        return self._latest.get(camera)

    def wait(self, camera: str, after_index: int, timeout_s: float) -> Observation | None:
        """See `LiveSource`. Any other index counts as newer, so that a camera may count anew after it was reopened."""
        if camera not in self._latest:
            return None
        with self._changed:
            if self._changed.wait_for(lambda: self._is_other(camera, after_index), timeout_s):
                return self._latest[camera]
        return None

    def _is_other(self, camera: str, index: int) -> bool:
        latest = self._latest[camera]
        return latest is not None and latest.frame.index != index
