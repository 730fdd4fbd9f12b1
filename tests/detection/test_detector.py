"""Objects are found where they are, in the frame's pixels, by a made-up network and by a real one."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from device.datatypes import Detection
from device.detection.detector import Detector
from device.errors import InputError
from device.inference.boxes import iou
from device.inference.fake import FakeInterpreter
from device.inference.interpreter import open_interpreter
from device.inference.manifest import Bundle, find_bundle, load_bundle
from tests.inference.samples import a_bundle, empty_heads, put_object, quantize

SIZE = 320


def a_detector(heads: list[np.ndarray], confidence: float | None = None, **changes: Any) -> Detector:
    """A detector whose network answers `heads`."""
    bundle = a_bundle(size=SIZE, **changes)
    return Detector(bundle, FakeInterpreter(bundle.manifest.input, heads), confidence)


def a_frame(width: int = 640, height: int = 480) -> np.ndarray:
    return np.zeros((height, width, 3), np.uint8)


def one_object(logit: float = 2.0) -> list[np.ndarray]:
    """A `car` over 96 x 64 to 192 x 128 in the square: row 2, column 4 of stride 32, middle at 144, 80."""
    heads = empty_heads(SIZE, 3)
    # Row and column so that the sides are whole cells of 32 pixels around (4.5, 2.5) cells.
    put_object(heads, 2, 2, 4, class_id=1, logit=logit, sides=(1, 1, 2, 1))
    return heads


def test_ok__an_object_is_reported_in_pixels_of_the_frame() -> None:
    [found] = a_detector(one_object()).detect(a_frame())
    # In the square: x 112 to 208, y 48 to 112; the frame lies in it at y 40 to 280, scaled by a half.
    assert found.xyxy == pytest.approx((224, 16, 416, 144), abs=0.01)
    assert found.label == "car"
    assert found.class_id == 1
    assert found.confidence == pytest.approx(1 / (1 + np.exp(-2)))


def test_ok__numbers_are_plain_python_ones_that_json_takes() -> None:
    [found] = a_detector(one_object()).detect(a_frame())
    assert json.loads(json.dumps([found.xyxy, found.confidence, found.class_id]))[2] == 1


def test_ok__the_frame_is_letterboxed_and_quantized_for_the_network() -> None:
    bundle = a_bundle(size=SIZE)
    fake = FakeInterpreter(bundle.manifest.input, empty_heads(SIZE, 3))
    frame = a_frame()
    frame[:, :, 0] = 255
    assert Detector(bundle, fake).detect(frame) == []
    [shown] = fake.inputs
    assert (shown[0, 40:280] == [127, -128, -128]).all()
    assert (shown[0, :40] == 114 - 128).all()
    assert not frame[:, :, 1:].any()


def test_ok__a_box_is_clipped_to_the_frame() -> None:
    heads = empty_heads(SIZE, 3)
    put_object(heads, 2, 2, 0, class_id=0, logit=2, sides=(9, 9, 15, 15))
    [found] = a_detector(heads).detect(a_frame())
    assert found.xyxy == pytest.approx((0, 0, 640, 480))


def test_ok__what_lies_in_the_padding_alone_is_dropped() -> None:
    heads = empty_heads(SIZE, 3)
    put_object(heads, 0, 0, 10, class_id=0, logit=5, sides=(1, 0, 1, 2))
    assert a_detector(heads).detect(a_frame()) == []
    assert len(a_detector(heads).detect(a_frame(320, 320))) == 1


@pytest.mark.parametrize(("confidence", "count"), [(None, 1), (0.7, 1), (0.75, 0), (0.0, 300)])
def test_ok__the_bundles_confidence_holds_unless_another_is_given(confidence: float | None, count: int) -> None:
    heads = one_object(logit=1.0)  # 0.731; the bundle's threshold is 0.25.
    assert len(a_detector(heads, confidence).detect(a_frame(320, 320))) == count
    assert len(a_detector(heads).detect(a_frame(320, 320), confidence=confidence)) == count


def test_ok__duplicates_of_one_class_are_suppressed_and_those_of_two_are_not() -> None:
    heads = empty_heads(SIZE, 3)
    put_object(heads, 2, 2, 4, class_id=0, logit=2, sides=(2, 2, 2, 2))
    put_object(heads, 2, 2, 5, class_id=0, logit=1, sides=(3, 2, 1, 2))  # The very same box.
    assert [one.label for one in a_detector(heads).detect(a_frame())] == ["person"]
    put_object(heads, 2, 3, 4, class_id=2, logit=3, sides=(2, 3, 2, 1))
    assert [one.label for one in a_detector(heads).detect(a_frame())] == ["dog", "person"]


def test_ok__the_threshold_for_suppression_is_the_bundles() -> None:
    heads = empty_heads(SIZE, 3)
    put_object(heads, 2, 2, 4, class_id=0, logit=2, sides=(2, 2, 2, 2))
    put_object(heads, 2, 2, 5, class_id=0, logit=1, sides=(2, 2, 2, 2))  # IoU 12 / 20 with the first.
    for threshold, count in ((0.59, 1), (0.61, 2)):
        detector = a_detector(heads, thresholds={"confidence": 0.25, "iou": threshold})
        assert len(detector.detect(a_frame(320, 320))) == count


def test_ok__a_box_of_two_classes_gives_the_better_or_on_demand_both() -> None:
    heads = one_object()
    heads[5][0, 2, 4, 2] = 1.0
    detector = a_detector(heads)
    assert [one.label for one in detector.detect(a_frame())] == ["car"]
    assert [one.label for one in detector.detect(a_frame(), multi_label=True)] == ["car", "dog"]


def test_ok__int8_heads_give_what_float_heads_give() -> None:
    heads = one_object()
    stored = [quantize(head, 0.25 if i % 2 else 0.24, 10) for i, head in enumerate(heads)]
    bundle = a_bundle(size=SIZE)
    fake = FakeInterpreter(bundle.manifest.input, [head for head, _ in stored], outputs=[info for _, info in stored])
    [found] = Detector(bundle, fake).detect(a_frame())
    [expected] = a_detector(heads).detect(a_frame())
    assert found.confidence == pytest.approx(expected.confidence, abs=0.02)
    assert found.xyxy == pytest.approx(expected.xyxy, abs=0.5)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"task": "classify"}, "task 'classify'"),
        ({"output": {"decode": "yolov5"}}, "decoder 'yolov5'"),
        ({"labels": ["person"]}, "class head of shape"),
    ],
)
def test_fail__a_bundle_that_is_no_detector_for_this_model(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        a_detector(empty_heads(SIZE, 3), **changes)


def test_fail__a_detector_without_letterbox() -> None:
    given = {"width": SIZE, "height": SIZE, "letterbox": False}
    with pytest.raises(InputError, match=r"no input\.letterbox"):
        a_detector(empty_heads(SIZE, 3), input=given)


@pytest.fixture(scope="module")
def real() -> Bundle:
    """The detector that ships."""
    return load_bundle(find_bundle("sereno-coco-320"))


def photo(shared_data: Path, stem: str) -> tuple[np.ndarray, np.ndarray]:
    """A photo of COCO val, and its labels: class id and box in pixels."""
    path = next((shared_data / "coco" / "images" / "val").glob(f"{stem}.*"))
    image = np.ascontiguousarray(cv2.imread(str(path))[..., ::-1])
    rows = np.loadtxt(shared_data / "coco" / "labels" / "val" / f"{stem}.txt", ndmin=2)
    middles, sides = rows[:, 1:3], rows[:, 3:5]
    boxes = np.concatenate([middles - sides / 2, middles + sides / 2], axis=1)
    return image, np.concatenate([rows[:, :1], boxes * np.tile(image.shape[1::-1], 2)], axis=1)


def test_ok__large_objects_of_real_photos_are_found(real: Bundle, shared_data: Path) -> None:
    detector = Detector(real, open_interpreter(real), 0.25)
    wanted = found = 0
    for path in sorted((shared_data / "coco" / "labels" / "val").glob("*.txt")):
        image, truth = photo(shared_data, path.stem)
        seen = detector.detect(image)
        for class_id, *box in truth:
            if (box[2] - box[0]) * (box[3] - box[1]) < 0.1 * image.shape[0] * image.shape[1]:
                continue
            wanted += 1
            found += any(one.class_id == class_id and overlap(one, box) > 0.5 for one in seen)
    assert wanted > 40
    assert found / wanted > 0.7


def overlap(one: Detection, box: list[float]) -> float:
    """IoU of a detection with a labelled box."""
    return float(iou(np.array([one.xyxy], np.float32), np.array([box], np.float32))[0, 0])


def test_ok__several_cameras_share_one_detector(real: Bundle, shared_data: Path) -> None:
    detector = Detector(real, open_interpreter(real), 0.25)
    stems = [path.stem for path in sorted((shared_data / "coco" / "labels" / "val").glob("*.txt"))[:4]]
    frames = [photo(shared_data, stem)[0] for stem in stems]
    alone = [detector.detect(frame) for frame in frames]
    together: dict[int, list[list[Detection]]] = {}

    def look(index: int) -> None:
        together[index] = [detector.detect(frames[index]) for _ in range(10)]

    threads = [threading.Thread(target=look, args=(index,)) for index in range(len(frames))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert together == {index: [alone[index]] * 10 for index in range(len(frames))}
    assert detector.last_invoke_s > 0


def test_ok__importing_the_detector_brings_no_runtime() -> None:
    code = "import sys, device.detection.detector; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert "cv2" in loaded
    assert not loaded & {"onnxruntime", "ai_edge_litert"}
