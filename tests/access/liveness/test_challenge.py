"""Being asked to look aside."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import cast

import numpy as np
import pytest

from device.access.face_detector import FaceDetector
from device.access.liveness import open_liveness
from device.access.liveness.challenge import LIMIT_S, TASKS, Challenge, Task
from device.access.liveness.mesh import FaceMesh
from device.access.liveness.verdict import Verdict, View
from device.datatypes import Face, Frame, Image
from device.errors import InputError
from device.inference.interpreter import open_interpreter
from device.inference.manifest import find_bundle, load_bundle
from tests.access.liveness.measure import clip_frames
from tests.access.liveness.scenes import attacks, photos

AHEAD = 2.0


class Reader:
    """In the place of the network: says where the face looks."""

    def __init__(self) -> None:
        self.shows: float | None = 0.0

    def yaw(self, _image: Image, _face: Face) -> float | None:
        return self.shows


def asked(task: Task, shown: Iterable[float | None]) -> list[Verdict]:
    """What the check says of a face that does this, ten times a second, after half a second of rest."""
    reader = Reader()
    check = Challenge(cast("FaceMesh", reader), lambda tasks: tasks[tasks.index(task)])
    face = Face((0, 0, 10, 10), 0.9, np.zeros((5, 2), np.float32))
    image = np.zeros((20, 20, 3), np.uint8)
    verdicts = []
    for index, yaw in enumerate([AHEAD] * 5 + list(shown)):
        reader.shows = yaw
        verdicts.append(check.look(View(Frame("door", index, image, index / 10, 0), face)))
        if index < 4:
            assert check.prompt == ""
        elif index == 4:
            assert check.prompt == task
    return verdicts[5:]


@pytest.mark.parametrize(
    ("task", "shown"),
    [
        ("look left", [AHEAD, 15, 26, 30]),
        ("look right", [AHEAD, -25, -26]),
        ("look right", [AHEAD, 30, 30, AHEAD, -25, -26]),
    ],
    ids=["to the left", "to the right", "first to the wrong side"],
)
def test_ok__done(task: Task, shown: list[float]) -> None:
    assert [one.answer for one in asked(task, shown)] == ["open"] * (len(shown) - 1) + ["yes"]


@pytest.mark.parametrize(
    ("task", "shown"),
    [
        ("look left", [AHEAD] * 30),
        ("look left", [-30] * 20),
        ("look right", [30] * 20),
        ("look left", [30, AHEAD] * 10),
        ("look left", [AHEAD + 18] * 20),
        ("look right", [None] * 20),
    ],
    ids=["nothing", "wrong side", "wrong side again", "flicker", "not far enough", "no face"],
)
def test_fail__not_done(task: Task, shown: list[float | None]) -> None:
    assert "yes" not in {one.answer for one in asked(task, shown)}


def test_fail__too_late() -> None:
    said = [one.answer for one in asked("look left", [AHEAD] * 62 + [30, 30])]
    assert said[round(LIMIT_S * 10) - 2] == "open"
    assert said[-1] == "no"


def test_fail__sooner_than_anybody_can() -> None:
    """Done in the frame after the asking: it was not because of it."""
    assert "yes" not in {one.answer for one in asked("look left", [30, 30, AHEAD])}


def test_ok__believed_for_a_while_then_asked_anew() -> None:
    said = [one.answer for one in asked("look left", [AHEAD, AHEAD, 30, 30] + [AHEAD] * 40)]
    assert said[3:33] == ["yes"] * 30
    assert said[-1] == "open"


def test_ok__nobody_can_foretell_what_is_asked() -> None:
    face = Face((0, 0, 10, 10), 0.9, np.zeros((5, 2), np.float32))
    image = np.zeros((20, 20, 3), np.uint8)
    prompts = []
    for _ in range(60):
        check = Challenge(cast("FaceMesh", Reader()))
        for index in range(5):
            check.look(View(Frame("door", index, image, index / 10, 0), face))
        prompts.append(check.prompt)
    assert set(prompts) == set(TASKS)


@pytest.fixture(scope="module")
def mesh() -> FaceMesh:
    try:
        bundle = load_bundle(find_bundle("face-mesh"))
    except InputError as error:
        pytest.skip(f"{error} (make models)")
    return FaceMesh(bundle, open_interpreter(bundle))


def test_ok__the_mesh_lies_on_the_face(talking: list[View], mesh: FaceMesh) -> None:
    """Its eyes and nose are where the detector's are, to within a tenth of the face."""
    for view in talking[::5]:
        points = mesh.points(view.frame.image, view.face)
        assert points is not None
        back = np.linalg.inv(np.vstack([mesh._crop(view.face), [0, 0, 1]]))
        seen = points[:, :2] @ back[:2, :2].T + back[:2, 2]
        width = view.face.xyxy[2] - view.face.xyxy[0]
        for index, ours in ((0, seen[[33, 133]].mean(axis=0)), (1, seen[[362, 263]].mean(axis=0)), (2, seen[1])):
            assert np.linalg.norm(ours - view.face.landmarks[index]) < 0.12 * width


def test_ok__a_mirror_turns_the_other_way(talking: list[View], mesh: FaceMesh) -> None:
    view = max(talking, key=lambda one: abs(_yaw(mesh, one)))
    width = view.frame.image.shape[1]
    order = [1, 0, 2, 4, 3]
    landmarks = view.face.landmarks[order] * (-1, 1) + (width - 1, 0)
    x1, y1, x2, y2 = view.face.xyxy
    face = Face((width - x2, y1, width - x1, y2), 0.9, landmarks.astype(np.float32))
    image = np.ascontiguousarray(view.frame.image[:, ::-1])
    mirrored = View(replace(view.frame, image=image), face)
    assert _yaw(mesh, view) * _yaw(mesh, mirrored) < 0
    assert abs(_yaw(mesh, view) + _yaw(mesh, mirrored)) < 8


def _yaw(mesh: FaceMesh, view: View) -> float:
    found = mesh.yaw(view.frame.image, view.face)
    assert found is not None
    return found


def test_fail__a_wall_is_no_face(talking: list[View], mesh: FaceMesh) -> None:
    assert mesh.yaw(np.full((144, 176, 3), 120, np.uint8), talking[0].face) is None


def test_ok__the_chain_asks_and_says_what(talking: list[View]) -> None:
    chain = open_liveness("challenge")
    if chain.faults:
        pytest.skip(chain.faults[0])
    said = [chain.look(view.frame, 1, view.face, ()) for view in talking]
    assert chain.prompt(1) in (*TASKS, "")
    assert any(one.check == "challenge" for one in said)
    assert chain.prompt(2) == ""


def test_ok__a_speaker_who_turns_his_head(shared_data: Path, yunet: FaceDetector, mesh: FaceMesh) -> None:
    """From the second second on he looks ahead, then far to the right of the picture: his own left."""
    pictures = clip_frames(shared_data / "videos" / "obama.mp4")[18:32]
    views = [
        View(Frame("door", index, picture, index / 10, 0), yunet.detect(picture)[0])
        for index, picture in enumerate(pictures)
    ]
    left, right = (Challenge(mesh, lambda tasks, wanted=task: tasks[tasks.index(wanted)]) for task in TASKS)  # type: ignore[misc]
    assert [left.look(view).answer for view in views][-1] == "yes"
    assert "yes" not in {right.look(view).answer for view in views}


def test_fail__a_picture_that_is_turned(shared_data: Path, yunet: FaceDetector, mesh: FaceMesh) -> None:
    """By up to 30 degrees to both sides, and bent: it shows the same side of the face."""
    for scene in attacks(photos(shared_data / "lfw" / "train", "choose"), 2, 31, ["tilted", "bent"]):
        prompts = set()
        checks = [Challenge(mesh, lambda tasks, wanted=task: tasks[tasks.index(wanted)]) for task in TASKS]  # type: ignore[misc]
        for frame in scene.frames():
            faces = yunet.detect(frame.image)
            if faces:
                assert "yes" not in {check.look(View(frame, faces[0])).answer for check in checks}
                prompts |= {check.prompt for check in checks}
        assert prompts <= {"", *TASKS}
