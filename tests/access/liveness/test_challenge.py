"""Being asked to blink or to look aside."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import cast

import numpy as np
import pytest

from device.access.liveness import open_liveness
from device.access.liveness.challenge import LIMIT_S, TASKS, Challenge, Task
from device.access.liveness.mesh import Expression, FaceMesh
from device.access.liveness.verdict import Verdict, View
from device.datatypes import Face, Frame, Image
from device.errors import InputError
from device.inference.interpreter import open_interpreter
from device.inference.manifest import find_bundle, load_bundle


class Reader:
    """In the place of the network: says what the face does."""

    def __init__(self) -> None:
        self.shows: Expression | None = Expression(0.3, 0.0)

    def read(self, _image: Image, _face: Face) -> Expression | None:
        return self.shows


def asked(task: Task, shown: Iterable[Expression | None]) -> list[Verdict]:
    """What the check says of a face that does this, ten times a second, after half a second of rest."""
    reader = Reader()
    check = Challenge(cast("FaceMesh", reader), lambda tasks: tasks[tasks.index(task)])
    face = Face((0, 0, 10, 10), 0.9, np.zeros((5, 2), np.float32))
    image = np.zeros((20, 20, 3), np.uint8)
    verdicts = []
    for index, expression in enumerate([Expression(0.3, 2.0)] * 5 + list(shown)):
        reader.shows = expression
        verdicts.append(check.look(View(Frame("door", index, image, index / 10, 0), face)))
        if index < 4:
            assert check.prompt == ""
        elif index == 4:
            assert check.prompt == task
    return verdicts[5:]


REST, SHUT = Expression(0.3, 2.0), Expression(0.08, 2.0)


def turned(yaw: float) -> Expression:
    return Expression(0.3, yaw)


@pytest.mark.parametrize(
    ("task", "shown"),
    [
        ("blink", [REST] * 3 + [SHUT, SHUT, REST]),
        ("blink", [REST, SHUT, Expression(0.2, 0), REST]),
        ("look left", [REST, turned(15), turned(26), turned(30)]),
        ("look right", [REST, turned(-25), turned(-26)]),
        ("look right", [REST, turned(30), turned(30), REST, turned(-25), turned(-26)]),
    ],
    ids=["a blink", "a blink that opens slowly", "to the left", "to the right", "first to the wrong side"],
)
def test_ok__done(task: Task, shown: list[Expression]) -> None:
    assert [one.answer for one in asked(task, shown)] == ["open"] * (len(shown) - 1) + ["yes"]


@pytest.mark.parametrize(
    ("task", "shown"),
    [
        ("blink", [REST] * 30),
        ("blink", [SHUT] * 30),
        ("blink", [REST, SHUT] + [SHUT] * 10 + [REST]),
        ("blink", [turned(30), turned(-30)] * 10),
        ("look left", [turned(-30)] * 20),
        ("look left", [turned(30), REST] * 10),
        ("look right", [REST, SHUT, REST] * 5),
        ("blink", [None] * 20),
    ],
    ids=["nothing", "eyes shut", "too long", "turned, not blinked", "wrong side", "flicker", "blinked", "no face"],
)
def test_fail__not_done(task: Task, shown: list[Expression | None]) -> None:
    assert "yes" not in {one.answer for one in asked(task, shown)}


def test_fail__too_late() -> None:
    said = [one.answer for one in asked("blink", [REST] * 62 + [SHUT, REST])]
    assert said[round(LIMIT_S * 10) - 2] == "open"
    assert said[-1] == "no"


def test_fail__sooner_than_anybody_can() -> None:
    """Done in the frame after the asking: it was not because of it."""
    assert "yes" not in {one.answer for one in asked("look left", [turned(30), REST, REST])}


def test_ok__believed_for_a_while_then_asked_anew() -> None:
    said = [one.answer for one in asked("blink", [REST, REST, SHUT, REST] + [REST] * 40)]
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
    found = mesh.read(view.frame.image, view.face)
    assert found is not None
    return found.yaw


def test_fail__a_wall_is_no_face(talking: list[View], mesh: FaceMesh) -> None:
    assert mesh.read(np.full((144, 176, 3), 120, np.uint8), talking[0].face) is None


def test_ok__the_chain_asks_and_says_what(talking: list[View]) -> None:
    chain = open_liveness("challenge")
    if chain.faults:
        pytest.skip(chain.faults[0])
    said = [chain.look(view.frame, 1, view.face, ()) for view in talking]
    assert chain.prompt(1) in (*TASKS, "")
    assert any(one.check == "challenge" for one in said)
    assert chain.prompt(2) == ""
