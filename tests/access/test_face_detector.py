"""Faces found, against OpenCV's own decoder of the same network, and in pictures that are odd."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from device.access.face_detector import FaceDetector
from device.capture.pictures import read_picture
from device.datatypes import Face, Image
from device.errors import InputError
from device.inference.interpreter import open_interpreter
from device.inference.manifest import load_bundle
from export.weights import weights


def padded(face: Image, side: int = 320) -> Image:
    """A picture of the network's own size: no resizing stands between the two decoders."""
    canvas = np.full((side, side, 3), 90, np.uint8)
    large = cv2.resize(face, None, fx=1.7, fy=1.7)
    canvas[: large.shape[0], : large.shape[1]] = large
    return canvas


def distance_of_eyes(landmarks: np.ndarray) -> float:
    return float(np.linalg.norm(landmarks[1] - landmarks[0]))


def test_ok__as_opencv_reads_the_same_network(yunet: FaceDetector, face: Image) -> None:
    picture = padded(face)
    path = str(weights("face_detection_yunet_2023mar.onnx"))
    theirs = cv2.FaceDetectorYN.create(path, "", (320, 320), 0.6, 0.3, 5000)
    _, [row] = theirs.detect(cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
    [ours] = yunet._look(picture, _whole(picture), 0.6)
    x, y, width, height = row[:4]
    assert ours.xyxy == pytest.approx((x, y, x + width, y + height), abs=0.05)
    assert ours.landmarks.ravel() == pytest.approx(row[4:14], abs=0.05)
    assert ours.confidence == pytest.approx(float(row[14]), abs=1e-3)


def _whole(picture: Image) -> object:
    from device.access.face_detector import _View

    return _View(0, 0, picture.shape[1], picture.shape[0])


def test_ok__two_networks_see_the_same_face(yunet: FaceDetector, blazeface: FaceDetector, face: Image) -> None:
    [first], [second] = yunet.detect(face), blazeface.detect(face)
    apart = np.linalg.norm(first.landmarks - second.landmarks, axis=1)
    assert apart.max() < 0.3 * distance_of_eyes(first.landmarks)


@pytest.mark.parametrize(("scale", "slack"), [(0.5, 0.25), (2.0, 0.15), (6.0, 0.15), (12.0, 0.15)])
def test_ok__landmarks_keep_their_place_at_any_size(
    yunet: FaceDetector, face: Image, scale: float, slack: float
) -> None:
    [known] = yunet.detect(face)
    [found] = yunet.detect(cv2.resize(face, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA))
    apart = np.linalg.norm((found.landmarks + 0.5) / scale - 0.5 - known.landmarks, axis=1)
    assert apart.max() < slack * distance_of_eyes(known.landmarks)


@pytest.mark.parametrize("degrees", [-60, -30, 15, 30, 45])
@pytest.mark.parametrize("name", ["yunet", "blazeface"])
def test_ok__landmarks_of_a_face_that_leans(
    request: pytest.FixtureRequest, name: str, face: Image, degrees: float
) -> None:
    detector: FaceDetector = request.getfixturevalue(name)
    [known] = detector.detect(face)
    turn = cv2.getRotationMatrix2D((88, 72), degrees, 1)
    [found] = detector.detect(cv2.warpAffine(face, turn, (176, 144)))
    expected = known.landmarks @ turn[:, :2].T + turn[:, 2]
    apart = np.linalg.norm(found.landmarks - expected, axis=1)
    assert apart.max() < 0.25 * distance_of_eyes(known.landmarks)


def test_ok__a_face_that_leant_in_the_frame_before_is_looked_at_once_and_as_exactly(
    yunet: FaceDetector, face: Image, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs: list[float] = []
    plain = yunet._run
    monkeypatch.setattr(yunet, "_run", lambda square, confidence: runs.append(0) or plain(square, confidence))

    def seen(degrees: float, *before: Face) -> tuple[Face, int]:
        runs.clear()
        turn = cv2.getRotationMatrix2D((88, 72), degrees, 1)
        [found] = yunet.detect(cv2.warpAffine(face, turn, (176, 144)), before=before)
        return found, len(runs)

    (alone, cost), (same, less) = seen(-31), seen(-31, seen(-29)[0])
    assert (cost, less) == (3, 2), "the whole picture, and from near"
    assert np.abs(alone.landmarks - same.landmarks).max() < 0.05 * distance_of_eyes(alone.landmarks)
    # What is known of another place, or is wrong by far, does no harm.
    elsewhere = replace(alone, xyxy=(0.0, 0.0, 20.0, 20.0))
    upside_down = replace(alone, landmarks=alone.landmarks[::-1].copy())
    for wrong in (elsewhere, upside_down):
        found, _ = seen(-31, wrong)
        assert np.abs(alone.landmarks - found.landmarks).max() < 0.05 * distance_of_eyes(alone.landmarks)


def test_ok__small_faces_of_a_large_photo_by_a_thorough_search(yunet: FaceDetector, face: Image) -> None:
    """Forty faces, 27 pixels wide each in 1,600: too small for the whole, found in its parts, and each only once."""
    photo = np.full((900, 1600, 3), 120, np.uint8)
    one = cv2.resize(face, None, fx=0.6, fy=0.6, interpolation=cv2.INTER_AREA)
    middles = []
    for row in range(5):
        for column in range(8):
            top, left = 30 + row * 170, 30 + column * 190
            photo[top : top + one.shape[0], left : left + one.shape[1]] = one
            middles.append((left, top))
    quick, thorough = yunet.detect(photo), yunet.detect(photo, thorough=True)
    assert len(quick) < 40
    assert len(thorough) == 40
    areas = [(f.xyxy[2] - f.xyxy[0]) * (f.xyxy[3] - f.xyxy[1]) for f in thorough]
    assert areas == sorted(areas, reverse=True)
    cells = {(int((f.xyxy[0] - 30) // 190), int((f.xyxy[1] - 30) // 170)) for f in thorough}
    assert len(cells) == 40


@pytest.mark.parametrize(
    "picture",
    [
        np.zeros((100, 100, 3), np.uint8),
        np.full((100, 100, 3), 255, np.uint8),
        np.zeros((1, 1, 3), np.uint8),
        np.zeros((1, 4000, 3), np.uint8),
        np.random.default_rng(0).integers(0, 255, (480, 640, 3), np.uint8),
    ],
    ids=["black", "white", "one pixel", "a strip", "noise"],
)
@pytest.mark.parametrize("name", ["yunet", "blazeface"])
def test_ok__nobody_there(request: pytest.FixtureRequest, name: str, picture: Image) -> None:
    detector: FaceDetector = request.getfixturevalue(name)
    assert detector.detect(picture, thorough=True) == []


def test_ok__grey_and_cut_faces_are_found(yunet: FaceDetector, face: Image) -> None:
    grey = np.repeat(cv2.cvtColor(face, cv2.COLOR_RGB2GRAY)[..., None], 3, axis=2)
    [known] = yunet.detect(face)
    [found] = yunet.detect(grey)
    assert np.abs(found.landmarks - known.landmarks).max() < 3
    middle = int((known.xyxy[0] + known.xyxy[2]) / 2)
    [cut] = yunet.detect(np.ascontiguousarray(face[:, middle - 4 :]))
    assert cut.xyxy[0] < 3
    assert cut.landmarks[0, 0] < 4, "an eye beyond the edge"


def test_fail__not_a_picture(yunet: FaceDetector) -> None:
    with pytest.raises(ValueError, match="uint8"):
        yunet.detect(np.zeros((10, 10), np.uint8))


def test_fail__bundle_of_another_task(root: Path) -> None:
    bundle = load_bundle(root / "models" / "sereno-coco-320")
    with pytest.raises(InputError, match="'detect'; finding faces needs one of task 'face-detect'"):
        FaceDetector(bundle, open_interpreter(bundle))


def test_ok__people_of_a_scene(shared_data: Path, yunet: FaceDetector, blazeface: FaceDetector) -> None:
    folder = shared_data / "faces" / "bbt"
    for name, people in (("group1.jpg", 4), ("group3.jpg", 5)):
        photo = read_picture(folder / name)
        assert len(yunet.detect(photo, thorough=True)) == people
        assert len(blazeface.detect(photo, thorough=True)) == people


def test_ok__every_face_of_the_labelled_crops(shared_data: Path, yunet: FaceDetector) -> None:
    photos = sorted((shared_data / "lfw" / "train").glob("*/*.jpg"))[::40]
    assert len(photos) > 50
    assert all(yunet.detect(read_picture(path)) for path in photos)
