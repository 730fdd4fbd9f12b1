"""Small real videos, and what a test has started is stopped."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from device import config
from device.capture.camera import Source
from device.capture.reader import Reader
from tests.capture.doubles import FakeClock, ScriptedSource

MakeClip = Callable[..., Path]
MakeReader = Callable[..., Reader]


@pytest.fixture
def make_clip(tmp_path: Path) -> MakeClip:
    """Writes a video in which frame i shows a bar at place i and a grey level of its own."""

    def make(name: str = "clip.mp4", frames: int = 30, fps: float = 30.0, size: tuple[int, int] = (160, 120)) -> Path:
        path = tmp_path / name
        codec = "MJPG" if name.endswith(".avi") else "mp4v"
        writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*codec), fps, size)
        assert writer.isOpened(), "OpenCV cannot write the test's video"
        for number in range(frames):
            image = np.full((size[1], size[0], 3), 40 + number * 3 % 160, np.uint8)
            image[:, (number * 4) % size[0] :][:, :8] = (0, 0, 255)
            writer.write(image)
        writer.release()
        return path

    return make


@pytest.fixture
def clock() -> FakeClock:
    """A clock that passes when told."""
    return FakeClock()


@pytest.fixture
def failures() -> list[tuple[str, BaseException]]:
    """What threads died of."""
    return []


@pytest.fixture
def make_reader(failures: list[tuple[str, BaseException]]) -> Iterator[MakeReader]:
    """Makes readers; the sources they were given are released and the readers stopped at the end."""
    readers: list[Reader] = []
    scripted: list[Source] = []

    def make(
        *sources: Source,
        clock: FakeClock | None = None,
        changed: object = None,
        stale_s: float | None = None,
        **settings: object,
    ) -> Reader:
        scripted.extend(sources)
        left = list(sources)
        camera = config.Camera.model_validate({"id": "front", **settings})
        made = Reader(
            camera,
            lambda: left.pop(0),
            lambda name, error: failures.append((name, error)),
            clock=clock,
            changed=changed,  # type: ignore[arg-type]
            stale_s=stale_s,
        )
        readers.append(made)
        return made

    yield make
    for source in scripted:
        if isinstance(source, ScriptedSource):
            source.release.set()
    for reader in readers:
        reader.stop()
