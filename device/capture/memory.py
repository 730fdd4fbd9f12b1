"""A camera whose pictures are in memory: for tests and for measuring the rest of the device without a decoder."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from device.capture.camera import EndOfSource, Raw
from device.datatypes import Image


class MemorySource:
    """Plays pictures that are already RGB.

    Args:
        images: HxWx3 uint8, RGB, contiguous; read anew at each opening where it is a list, once where it is a
            generator.
        fps: pictures a second of the recording: picture i is presented at i / fps.
        loop: start again at the end.
    """

    live = False
    queued = False

    def __init__(self, images: Iterable[Image], fps: float = 10.0, *, loop: bool = False) -> None:
        self.loop = loop
        self.description = "pictures in memory"
        self.openings = 0
        """How often it was opened."""
        self._images = images
        self._fps = fps
        self._left: Iterator[Image] = iter(())
        self._image: Image | None = None
        self._count = 0

    def open(self) -> None:
        """Begin at the first picture."""
        self.openings += 1
        self._left = iter(self._images)
        self._count = 0

    def grab(self) -> float:
        """See `Source`."""
        self._image = next(self._left, None)
        if self._image is None:
            raise EndOfSource
        self._count += 1
        return (self._count - 1) / self._fps

    def retrieve(self) -> Raw:
        """See `Source`."""
        assert self._image is not None
        return Raw(self._image, "RGB")

    def close(self) -> None:
        """See `Source`."""
        self._left = iter(())
