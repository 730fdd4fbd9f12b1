"""Which frames are kept for a dataset."""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np
import pytest

from device.access.collector import AGREE, Collector, Identity, Kept, Refused, crop_square
from device.access.face_detector import FaceDetector
from device.access.quality import Limits
from device.datatypes import Face, Image
from device.errors import InputError
from tests import facemodels

LIMITS = Limits(size_px=40)


def unit(*values: float) -> np.ndarray:
    vector = np.array(values, np.float32)
    return vector / np.linalg.norm(vector)


@pytest.fixture(scope="module")
def talking() -> list[Image]:
    return list(facemodels.frames(facemodels.clip(), every=10))


def scripted(*embeddings: np.ndarray) -> Iterator[np.ndarray]:
    yield from embeddings
    while True:
        yield embeddings[-1]


def who(embeddings: Iterator[np.ndarray], expected: np.ndarray | None, **others: np.ndarray) -> Identity:
    return Identity(lambda _: next(embeddings), expected, others, alike=0.3, surely=0.5)


def test_ok__the_same_frame_is_kept_once(yunet: FaceDetector, talking: list[Image]) -> None:
    collector = Collector(yunet, LIMITS, None, "Ana")
    assert isinstance(collector.look(talking[0]), Kept)
    assert collector.look(talking[0]) == Refused("like an earlier one")
    brighter = np.clip(talking[0].astype(int) + 12, 0, 255).astype(np.uint8)
    assert collector.look(brighter) == Refused("like an earlier one")
    kept = [collector.look(frame) for frame in talking]
    assert collector.kept > 5
    assert all(verdict.crop.shape[0] == verdict.crop.shape[1] for verdict in kept if isinstance(verdict, Kept))
    assert sum(collector.refusals.values()) + collector.kept == len(talking) + 3


def test_ok__what_was_kept_before_counts(yunet: FaceDetector, talking: list[Image]) -> None:
    first = Collector(yunet, LIMITS, None, "Ana")
    verdict = first.look(talking[0])
    assert isinstance(verdict, Kept)
    second = Collector(yunet, LIMITS, None, "Ana")
    second.remember(verdict.crop, verdict.landmarks)
    assert second.look(talking[0]) == Refused("like an earlier one")


def test_ok__nobody_and_two(yunet: FaceDetector, face: Image) -> None:
    collector = Collector(yunet, LIMITS, None, "Ana")
    assert collector.look(np.zeros((100, 100, 3), np.uint8)) == Refused("no face")
    assert collector.look(np.hstack([face, face])) == Refused("more than one face")
    assert collector.look(cv2.resize(face, None, fx=0.6, fy=0.6)) == Refused("too small")
    assert dict(collector.refusals) == {"no face": 1, "more than one face": 1, "too small": 1}


def test_fail__another_persons_folder(yunet: FaceDetector, talking: list[Image]) -> None:
    collector = Collector(yunet, LIMITS, who(scripted(unit(0, 1)), expected=unit(1, 0)), "Ana")
    verdicts = [collector.look(frame) for frame in talking[: AGREE - 1]]
    assert verdicts == [Refused("another person")] * (AGREE - 1)
    with pytest.raises(InputError, match="crops of Ana that are there show another person"):
        collector.look(talking[AGREE - 1])


def test_ok__one_mistaken_frame_is_none(yunet: FaceDetector, talking: list[Image]) -> None:
    seen = scripted(unit(0, 1), unit(1, 0.1))
    collector = Collector(yunet, LIMITS, who(seen, expected=unit(1, 0)), "Ana")
    for frame in talking:
        collector.look(frame)
    assert collector.refusals["another person"] == 1
    assert collector.kept > 3


def test_ok__somebody_who_steps_in_is_left_out(yunet: FaceDetector, talking: list[Image]) -> None:
    seen = scripted(unit(1, 0), unit(0, 1), unit(0, 1), unit(0, 1), unit(0, 1), unit(1, 0.2))
    collector = Collector(yunet, LIMITS, who(seen, expected=None), "Ana")
    for frame in talking:
        collector.look(frame)
    assert collector.refusals["another person"] == 4
    assert collector.kept > 2


def test_fail__a_second_name_for_somebody(yunet: FaceDetector, talking: list[Image]) -> None:
    collector = Collector(yunet, LIMITS, who(scripted(unit(0, 1)), None, Bea=unit(0.1, 1), Carl=unit(1, 0)), "Ana")
    for frame in talking[: AGREE - 1]:
        collector.look(frame)
    assert collector.kept == 0
    with pytest.raises(InputError, match=r"looks like Bea.*capture Bea to add to them"):
        collector.look(talking[AGREE - 1])


@pytest.mark.parametrize(
    ("box", "shape", "side"),
    [((40, 40, 60, 70), (200, 200), 51), ((0, 0, 40, 50), (200, 200), 85), ((10, 10, 90, 90), (100, 180), 100)],
)
def test_ok__crops_are_square_and_inside(box: tuple[float, ...], shape: tuple[int, int], side: int) -> None:
    picture = np.zeros((*shape, 3), np.uint8)
    kept = crop_square(picture, Face(box, 1.0, np.full((5, 2), 50, np.float32)))  # type: ignore[arg-type]
    assert kept.crop.shape == (side, side, 3)
    assert (kept.landmarks <= 50).all()
