"""A clock that does not wait, and a live camera that follows a script."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

import numpy as np

from device.capture.camera import Raw
from device.capture.pacing import Clock
from device.datatypes import Image

PATIENCE_S = 20.0
"""How long a test waits for another thread before it fails; on a machine that works it is never used up."""


class FakeClock(Clock):
    """Passes only when told, or when somebody waits; remembers the waits."""

    def __init__(self, now: float = 1000.0) -> None:
        self.now = now
        self.waits: list[float] = []

    def monotonic(self) -> float:
        return self.now

    def wall(self) -> float:
        return self.now + 1_700_000_000.0

    def wait(self, stop: threading.Event, seconds: float) -> bool:
        self.waits.append(seconds)
        self.now += max(0.0, seconds)
        return stop.is_set()

    def advance(self, seconds: float) -> None:
        self.now += seconds


def picture(value: int, height: int = 48, width: int = 64) -> Image:
    """A picture of noise that differs for each value."""
    return np.random.default_rng(value).integers(0, 256, (height, width, 3), np.uint8)


class ScriptedSource:
    """Implements `Source`, live. Each step is a picture, an error to raise, or something to do before the next step.

    An error among the steps is raised by whatever call meets it. After the last step it hangs until `release` is set.
    """

    live = True
    queued = False
    loop = False
    description = "a scripted camera"

    def __init__(self, steps: Sequence[Image | Exception | Callable[[], object]]) -> None:
        self.steps = list(steps)
        self.release = threading.Event()
        self.hanging = threading.Event()
        self.openings = 0
        self.closings = 0
        self._image = picture(0)

    def open(self) -> None:
        self.openings += 1
        self._until_picture_or_error()

    def grab(self) -> None:
        self._until_picture_or_error()
        if not self.steps:
            self.hanging.set()
            self.release.wait(PATIENCE_S)
            return
        step = self.steps.pop(0)
        assert isinstance(step, np.ndarray)
        self._image = step

    def retrieve(self) -> Raw:
        return Raw(self._image, "RGB")

    def close(self) -> None:
        self.closings += 1

    def _until_picture_or_error(self) -> None:
        while self.steps and not isinstance(self.steps[0], np.ndarray):
            step = self.steps.pop(0)
            if isinstance(step, Exception):
                raise step
            assert not isinstance(step, np.ndarray)
            step()
