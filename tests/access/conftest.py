"""Real detectors, a real face, keepers of a mock lock, and a gallery of made-up people."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from device.access.face_detector import FaceDetector
from device.access.gallery import Gallery
from device.access.keeper.settings import KeeperSettings
from device.access.keeperlink import KeeperLink
from device.datatypes import Image
from tests import facemodels
from tests.access.galleryhouse import KEY, MODEL
from tests.access.mocklock import PIN


@pytest.fixture(scope="session")
def detectors(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the bundles yunet and blazeface."""
    return facemodels.write_detectors(tmp_path_factory.mktemp("bundles"))


@pytest.fixture(scope="session")
def yunet(detectors: Path) -> FaceDetector:
    return facemodels.open_detector(detectors, "yunet")


@pytest.fixture(scope="session")
def blazeface(detectors: Path) -> FaceDetector:
    return facemodels.open_detector(detectors, "blazeface")


@pytest.fixture(scope="session")
def face() -> Image:
    """144x176x3: one man, looking at the camera, his face 45 pixels wide."""
    return next(facemodels.frames(facemodels.clip()))


@pytest.fixture
def journal_path(tmp_path: Path) -> Path:
    """Where a keeper writes."""
    return tmp_path / "lock" / "journal.jsonl"


@pytest.fixture
def opened(journal_path: Path) -> Iterator[Callable[..., KeeperLink]]:
    """Starts keepers with a mock of the pins, and ends them."""
    links: list[KeeperLink] = []

    def open_link(**given: Any) -> KeeperLink:
        links.append(KeeperLink(KeeperSettings(**{"journal": journal_path, "driver": "mock", "pin": PIN, **given})))
        return links[-1]

    yield open_link
    for link in links:
        link.close()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Of the gallery."""
    return tmp_path / "state" / "gallery.db"


@pytest.fixture
def gallery(path: Path) -> Iterator[Gallery]:
    """An empty one."""
    opened = Gallery.open(path, KEY, MODEL, create=True)
    yield opened
    opened.close()
