"""The two models of everything that looks at faces, by name or by default."""

from __future__ import annotations

from device.access.face_detector import FaceDetector
from device.access.recognizer import Recognizer
from device.errors import InputError
from device.inference.interpreter import open_interpreter
from device.inference.manifest import find_bundle, load_bundle

EMBEDDER = "sereno-arcface"
DETECTORS = ("yunet", "blazeface")
"""The first of them that is there is used: the second can be fetched by any machine with a network."""


def open_detector(name: str | None, threads: int = 1) -> FaceDetector:
    """The face detector called `name`, or the best that is there. Raises InputError where there is none."""
    if name is not None:
        bundle = load_bundle(find_bundle(name))
        return FaceDetector(bundle, open_interpreter(bundle, threads=threads))
    for known in DETECTORS:
        try:
            place = find_bundle(known)
        except InputError:
            continue
        return open_detector(str(place), threads)
    raise InputError(
        f"no face detector is there ({' or '.join(DETECTORS)}): `make models` fetches both; "
        "or name a bundle of task 'face-detect' with --detector, or as door.detector"
    )


def open_recognizer(name: str | None, threads: int = 1) -> Recognizer:
    """The face embedder called `name`, or the one that ships. Raises InputError where it is missing."""
    bundle = load_bundle(find_bundle(name or EMBEDDER))
    return Recognizer(bundle, open_interpreter(bundle, threads=threads))
