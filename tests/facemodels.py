"""The face models that a user has after `make models`, and pictures of a face that may be had by anybody."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import cv2
import pytest

from device.access.face_detector import FaceDetector
from device.capture.footage import face_clip
from device.datatypes import Image
from device.errors import InputError
from device.inference.interpreter import open_interpreter
from device.inference.manifest import find_bundle, load_bundle
from export.face_bundles import FACE_BUNDLES, write_face_bundle
from export.weights import FOOTAGE_CACHE, WEIGHTS, weights


def write_detectors(folder: Path) -> Path:
    """The bundles yunet and blazeface in `folder`; skips the test where their weights cannot be had."""
    for asset in WEIGHTS:
        if asset.name in FACE_BUNDLES:
            try:
                write_face_bundle(weights(asset.name), asset, folder)
            except InputError as error:
                pytest.skip(str(error))
    return folder


def open_detector(folder: Path, name: str) -> FaceDetector:
    """One of them, at work."""
    bundle = load_bundle(folder / name)
    return FaceDetector(bundle, open_interpreter(bundle))


def clip() -> Path:
    """The free clip of a talking face, 176x144; skips the test where it cannot be had."""
    try:
        return face_clip(FOOTAGE_CACHE)
    except InputError as error:
        pytest.skip(str(error))


def frames(path: Path, every: int = 1) -> Iterator[Image]:
    """Each so many frames of a video, HxWx3 RGB."""
    capture = cv2.VideoCapture(str(path))
    index = 0
    while True:
        ok, picture = capture.read()
        if not ok:
            capture.release()
            return
        if index % every == 0:
            yield cv2.cvtColor(picture, cv2.COLOR_BGR2RGB)  # type: ignore[misc]
        index += 1


def embedder() -> Path:
    """The bundle of the face embedder that ships; skips the test in a checkout without it."""
    try:
        return find_bundle("sereno-arcface").resolve()
    except InputError as error:
        pytest.skip(str(error))
