"""Real detectors, and a real face."""

from __future__ import annotations

from pathlib import Path

import pytest

from device.access.face_detector import FaceDetector
from device.datatypes import Image
from tests import facemodels


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
