"""What the rest of the device sees of a camera, and what every kind of camera must offer to be driven."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy.typing as npt

from device.datatypes import CameraHealth, Frame

Pixels = Literal["BGR", "RGB", "GREY", "I420"]
"""How the numbers of a raw picture lie in memory; `device.capture.pixels` turns each into RGB."""


class EndOfSource(Exception):
    """A file, a folder or a list of pictures has been played to its end."""


@dataclass(frozen=True, slots=True)
class Raw:
    """A picture as the source has it.

    `array` is HxWx3 uint8 (BGR, RGB), HxW (GREY) or 1.5HxS (I420, S the row stride); it may be reused at the next
    `grab` unless `pixels` is RGB. `width` crops I420 rows that were padded; 0 for none.
    """

    array: npt.NDArray[Any]
    pixels: Pixels
    width: int = 0


class Source(Protocol):
    """One kind of camera, or a file that stands for one. Driven by one thread; knows no clock and no frame rate.

    `grab` is cheap and `retrieve` is not: pictures that are not looked at are never decoded further than they must be.
    """

    @property
    def description(self) -> str:
        """What it is, for people and logs. Never shows a password."""

    @property
    def live(self) -> bool:
        """Whether it shows the present: a lost one is reopened. Otherwise it is a recording with an end and times of
        its own."""

    @property
    def loop(self) -> bool:
        """Of a recording: whether it starts again at its end."""

    @property
    def queued(self) -> bool:
        """Whether pictures may have waited on their way here, as over a network."""

    def open(self) -> None:
        """Open it, so far that the first picture is certain.

        Raises:
            InputError: it is not there, or gives no picture; one sentence says which and what would help.
        """

    def grab(self) -> float | None:
        """Go to the next picture, waiting for it where it is live.

        Returns:
            Of a recording its presentation time: seconds since the first picture, strictly increasing. Of a live one
            when it was taken, in seconds on a clock of its own; None where it doesn't say.
        Raises:
            EndOfSource: a recording is over.
            InputError: the source was lost.
        """

    def retrieve(self) -> Raw:
        """The picture last grabbed. Raises InputError where it cannot be decoded."""

    def close(self) -> None:
        """Let go of the device or file. Harmless when it is not open; `open` may follow."""


class Camera(Protocol):
    """A camera at work: delivers its newest frame and says how it is."""

    @property
    def id(self) -> str:
        """Its name in the configuration."""

    def start(self) -> None:
        """Begin. Raises InputError where a file or folder cannot be read; a camera that is away is retried instead."""

    def take(self, timeout_s: float | None = 0.0) -> Frame | None:
        """The newest frame that was not taken yet; None if none came within `timeout_s` (None: wait until the end)."""

    def health(self) -> CameraHealth:
        """How it is doing now. Never blocks."""

    def stop(self) -> None:
        """End, and let go of the source."""
