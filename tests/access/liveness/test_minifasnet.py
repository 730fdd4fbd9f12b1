"""The two networks: what they are shown, and how their answers become one."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from device.access.face_detector import FaceDetector
from device.access.liveness.minifasnet import (
    LivenessNetwork,
    MiniFASNet,
    Part,
    liveness_score,
    part_about,
)
from device.access.liveness.verdict import View
from device.datatypes import Face, Frame, Image
from device.errors import InputError
from device.inference.interpreter import open_interpreter
from device.inference.manifest import find_bundle, load_bundle


def networks() -> list[LivenessNetwork]:
    try:
        bundles = [load_bundle(find_bundle(name)) for name in ("minifasnet-v2", "minifasnet-v1se")]
    except InputError as error:
        pytest.skip(str(error))
    return [LivenessNetwork(bundle, open_interpreter(bundle)) for bundle in bundles]


@pytest.mark.parametrize(
    ("box", "expected"),
    [
        ((300, 200, 340, 250), Part(266, 157, 375, 293)),
        ((10, 200, 50, 250), Part(0, 157, 109, 293)),
        ((600, 430, 640, 480), Part(531, 344, 640, 480)),
        ((200, 100, 500, 400), Part(110, 0, 590, 480)),
    ],
    ids=["in the middle", "moved from the left edge", "moved from the lower corner", "shrunk: too large for 2.7"],
)
def test_ok__the_part_that_upstream_cuts_out(box: tuple[int, int, int, int], expected: Part) -> None:
    """Worked out by hand after upstream's rule: scaled about the middle, shrunk, moved inside, cut to whole pixels."""
    assert part_about(box, 2.7, 640, 480) == expected


def test_ok__every_part_lies_in_the_picture_and_holds_the_face() -> None:
    rng = np.random.default_rng(0)
    for _ in range(500):
        width, height = (int(side) for side in rng.integers(60, 900, 2))
        x1, y1 = rng.uniform(0, width - 20), rng.uniform(0, height - 20)
        x2, y2 = rng.uniform(x1 + 4, width), rng.uniform(y1 + 4, height)
        part = part_about((x1, y1, x2, y2), float(rng.choice([2.7, 4.0])), width, height)
        assert 0 <= part.left < part.right <= width
        assert 0 <= part.top < part.bottom <= height
        assert part.left <= x1 + 1
        assert part.right >= x2 - 2


def test_fail__a_box_without_size() -> None:
    with pytest.raises(ValueError, match="no surroundings"):
        part_about((5, 5, 5, 9), 2.7, 100, 100)


@pytest.mark.parametrize(
    ("probabilities", "live"), [((0.2, 0.5, 0.3), True), ((0.46, 0.36, 0.18), False), ((0.33, 0.33, 0.34), False)]
)
def test_ok__live_is_what_has_the_most(probabilities: tuple[float, float, float], live: bool) -> None:
    assert (liveness_score(np.array(probabilities, np.float32)) >= 0.5) == live


def test_ok__upstreams_own_three_pictures(shared_data: Path, yunet: FaceDetector) -> None:
    """One live, two presented: upstream's result. A smoke test; three pictures are no statistic."""
    asked = networks()
    verdicts = {}
    for name in ("T1", "F1", "F2"):
        picture = cv2.imread(str(shared_data / "antispoof" / f"image_{name}.jpg"))
        assert picture is not None
        image = np.ascontiguousarray(picture[..., ::-1])
        box = yunet.detect(image)[0].xyxy
        verdicts[name] = liveness_score(np.mean([one.judge(image, box) for one in asked], axis=0))
    assert verdicts["T1"] > 0.99
    assert verdicts["F1"] < 0.3
    assert verdicts["F2"] < 0.05


def test_ok__says_yes_after_five_frames_and_no_after_a_second(talking: list[View]) -> None:
    check = MiniFASNet(networks())
    assert [check.look(view).answer for view in talking[:5]] == ["open"] * 4 + ["yes"]
    grey: Image = np.full((480, 640, 3), 128, np.uint8)
    face = Face((200, 100, 400, 350), 0.9, talking[0].face.landmarks)
    check = MiniFASNet(networks())
    said = [check.look(View(Frame("door", index, grey, index / 10, 0), face)).answer for index in range(11)]
    assert said[:10] == ["open"] * 10
    assert said[10] == "no"


def test_fail__a_bundle_of_something_else(detectors: Path) -> None:
    bundle = load_bundle(detectors / "yunet")
    with pytest.raises(InputError, match="task 'liveness'"):
        LivenessNetwork(bundle, open_interpreter(bundle))
