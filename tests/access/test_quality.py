"""Good and bad pictures of a face, and the reasons."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest

from device.access.alignment import ARCFACE_TEMPLATE
from device.access.face_detector import FaceDetector
from device.access.quality import EYES_TO_MOUTH, NOSE_DEPTH, NOSE_DOWN, Limits, Reason, assess, estimate_pose
from device.datatypes import Face, Image

SMALL = Limits(size_px=40)


def judge(detector: FaceDetector, picture: Image, limits: Limits = SMALL) -> tuple[Reason, ...]:
    face, *others = detector.detect(picture)
    return assess(picture, face, others, detector.template, replace(limits, confidence=detector.clear)).reasons


def test_ok__a_good_face(yunet: FaceDetector, face: Image) -> None:
    assert judge(yunet, face) == ()
    [found] = yunet.detect(face)
    quality = assess(face, found, (), yunet.template, SMALL)
    assert 40 < quality.size_px < 60
    assert quality.outside == 0
    assert abs(quality.pose.yaw) < 20


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda p: cv2.GaussianBlur(p, (0, 0), 3), "blurred"),
        (lambda p: (p * 0.25).astype(np.uint8), "too dark"),
        (lambda p: np.clip(p * 1.2 + 90, 0, 255).astype(np.uint8), "too bright"),
        (lambda p: (p * 0.3 + 90).astype(np.uint8), "flat"),
        (lambda p: cv2.resize(p, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA), "too small"),
        (lambda p: cv2.warpAffine(p, cv2.getRotationMatrix2D((88, 72), 45, 1), (176, 144)), "tilted"),
    ],
    ids=["blurred", "dark", "bright", "flat", "small", "tilted"],
)
def test_ok__a_spoilt_face_has_its_reason(yunet: FaceDetector, face: Image, spoil, reason: Reason) -> None:  # type: ignore[no-untyped-def]
    assert reason in judge(yunet, spoil(face))


def test_ok__cut_by_the_edge(yunet: FaceDetector, face: Image) -> None:
    [found] = yunet.detect(face)
    middle = int((found.xyxy[0] + found.xyxy[2]) / 2)
    assert "cut off" in judge(yunet, np.ascontiguousarray(face[:, middle:]))


def test_ok__two_in_one_place(yunet: FaceDetector, face: Image) -> None:
    [found] = yunet.detect(face)
    x1, y1, x2, y2 = found.xyxy
    near = replace(found, xyxy=(x1 + 20, y1, x2 + 20, y2))
    far = replace(found, xyxy=(x1 + 100, y1, x2 + 100, y2))
    assert "crowded" in assess(face, found, [near], yunet.template, SMALL).reasons
    assert "crowded" not in assess(face, found, [far], yunet.template, SMALL).reasons


def test_ok__a_face_that_is_hardly_one(yunet: FaceDetector, face: Image) -> None:
    [found] = yunet.detect(face)
    assert assess(face, replace(found, confidence=0.5), (), yunet.template, SMALL).reasons == ("unclear",)


def turned(yaw: float, pitch: float, roll: float) -> np.ndarray:
    """Landmarks of a solid face of the proportions that the estimate assumes, seen from afar."""
    x, y = np.radians(yaw), np.radians(pitch)
    eyes, mouth = -NOSE_DOWN * EYES_TO_MOUTH, (1 - NOSE_DOWN) * EYES_TO_MOUTH
    # x right, y down, z towards the camera; the nose's tip stands out of the others' plane.
    solid = np.array([[-0.5, eyes, 0], [0.5, eyes, 0], [0, 0, NOSE_DEPTH], [-0.4, mouth, 0], [0.4, mouth, 0]])
    about_x = np.array([[1, 0, 0], [0, np.cos(y), np.sin(y)], [0, -np.sin(y), np.cos(y)]])
    about_y = np.array([[np.cos(x), 0, np.sin(x)], [0, 1, 0], [-np.sin(x), 0, np.cos(x)]])
    seen = (solid @ (about_x @ about_y).T)[:, :2] * 60
    z = np.radians(roll)
    return seen @ np.array([[np.cos(z), -np.sin(z)], [np.sin(z), np.cos(z)]]).T + 100


@pytest.mark.parametrize("yaw", [-40, -15, 0, 25])
@pytest.mark.parametrize("pitch", [-20, 0, 15])
@pytest.mark.parametrize("roll", [-30, 0, 45])
def test_ok__pose_of_a_solid_face(yaw: float, pitch: float, roll: float) -> None:
    pose = estimate_pose(turned(yaw, pitch, roll))
    # Both turns at once lean the line of the eyes, which is taken for roll.
    slack = 2 + abs(yaw * pitch) / 42
    assert pose.yaw == pytest.approx(yaw, abs=slack)
    assert pose.pitch == pytest.approx(pitch, abs=slack)
    assert pose.roll == pytest.approx(roll, abs=slack)


def test_ok__profile_is_turned_away(face: Image) -> None:
    landmarks = turned(70, 0, 0).astype(np.float32)
    profile = Face((60, 60, 140, 140), 0.9, landmarks)
    assert "turned away" in assess(face, profile, (), ARCFACE_TEMPLATE, SMALL).reasons
