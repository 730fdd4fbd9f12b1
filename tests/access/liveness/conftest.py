"""A real face that moves, and the models that a door has."""

from __future__ import annotations

import pytest

from device.access.face_detector import FaceDetector
from device.access.liveness import LivenessChain, open_liveness
from device.access.liveness.verdict import View
from device.datatypes import Frame
from tests import facemodels


@pytest.fixture(scope="session")
def talking(yunet: FaceDetector) -> list[View]:
    """Two seconds of a talking face, ten frames a second."""
    views = []
    for index, picture in enumerate(facemodels.frames(facemodels.clip(), every=3)):
        if index == 20:
            break
        faces = yunet.detect(picture)
        if faces:
            views.append(View(Frame("door", index, picture, index / 10, 1.7e9 + index / 10), faces[0]))
    assert len(views) == 20
    return views


@pytest.fixture
def passive() -> LivenessChain:
    """The chain as a door opens it; skips the test where its networks were never exported."""
    chain = open_liveness("passive")
    if chain.faults:
        pytest.skip(f"{chain.faults[0]} (make export MODEL=minifasnet)")
    return chain
