"""From real pictures to events: detector, filters, tracker and lifecycle on clips whose people were counted by eye."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import cv2
import numpy as np
import pytest

from device.config import Camera
from device.datatypes import Detection, Frame, ObjectEvent
from device.detection.detector import Detector
from device.detection.filters import Filters
from device.detection.lifecycle import Lifecycle
from device.detection.tracker import LOW, Tracker
from device.inference.interpreter import open_interpreter
from device.inference.manifest import find_bundle, load_bundle

Looks = list[tuple[float, list[Detection]]]


@pytest.fixture(scope="module")
def detector() -> Detector:
    """The detector that ships."""
    bundle = load_bundle(find_bundle("sereno-coco-320"))
    return Detector(bundle, open_interpreter(bundle, threads=1), LOW)


@cache
def seen(detector: Detector, clip: Path, mirrored: bool) -> Looks:
    """What the detector finds in each frame of a clip, each with its time."""
    video = cv2.VideoCapture(str(clip))
    fps = video.get(cv2.CAP_PROP_FPS)
    looks: Looks = []
    while True:
        there, picture = video.read()
        if not there:
            return looks
        picture = np.ascontiguousarray(picture[:, :: -1 if mirrored else 1, ::-1])
        looks.append((len(looks) / fps, detector.detect(picture)))


def people(looks: Looks, size: tuple[int, int], every: int, first: int = 0) -> list[ObjectEvent]:
    """The `end` events of people, of every so many-th frame."""
    camera = Camera()
    filters, tracker, lifecycle = Filters(camera), Tracker(camera.tracking), Lifecycle(camera)
    blank = np.zeros((size[1], size[0], 3), np.uint8)
    events = []
    for index, (now, found) in enumerate(looks[first::every]):
        tracks = tracker.update(filters.keep(found, *size), now)
        events += lifecycle.update(Frame("front", index, blank, now, 1e9 + now), tracks)
    events += lifecycle.finish()
    return [e for e in events if isinstance(e, ObjectEvent) and e.type == "end"]


@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize(("every", "first"), [(1, 0), (2, 0), (2, 1), (4, 0)])
def test_ok__six_people_one_after_the_other(
    detector: Detector, shared_data: Path, mirrored: bool, every: int, first: int
) -> None:
    """They come in at the lower border, stand at a table and leave at the side: at 10, 5 and 2.5 frames a second."""
    clip = shared_data / "videos" / "one-by-one-person-detection.mp4"
    ended = people(seen(detector, clip, mirrored), (768, 432), every, first)
    assert len(ended) == 6
    begins = [6.2, 22.9, 50.3, 74.5, 92.5, 123.6]  # By eye, when a head is fully in the picture.
    assert [e.after.start_time - 1e9 for e in ended] == pytest.approx(begins, abs=1.0)
    assert all(e.after.top_score > 0.8 for e in ended)
    assert all(8 < (e.after.end_time or 0) - e.after.start_time < 30 for e in ended)
