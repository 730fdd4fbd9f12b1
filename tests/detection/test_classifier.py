"""Names and how sure they are, from logits and from probabilities; pictures fitted as the manifest says."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from device.detection.classifier import Classifier, as_row
from device.errors import InputError
from device.inference.fake import FakeInterpreter
from device.inference.tensors import TensorInfo
from tests.inference.samples import a_bundle, quantize

LABELS = ["cat", "dog", "owl", "fox", "elk", "bat", "ant"]


def a_classifier(
    answer: np.ndarray, decode: str = "logits", info: TensorInfo | None = None, **changes: Any
) -> tuple[Classifier, FakeInterpreter]:
    """A classifier of 32 pixel pictures whose network answers `answer`."""
    spec = {"width": 32, "height": 32, **changes.pop("input", {})}
    given = {"task": "classify", "labels": LABELS, "input": spec, "output": {"decode": decode}}
    bundle = a_bundle(**(given | changes))
    fake = FakeInterpreter(bundle.manifest.input, [answer], outputs=[info] if info else None)
    return Classifier(bundle, fake), fake


LOGITS = np.array([[1, 4, -2, 3, 0.5, -1, 0]], np.float32)
SHARES = np.exp(LOGITS[0]) / np.exp(LOGITS[0]).sum()


def test_ok__five_names_best_first_with_the_softmax_of_all() -> None:
    found = a_classifier(LOGITS)[0].classify(np.zeros((50, 40, 3), np.uint8))
    assert [one.label for one in found] == ["dog", "fox", "cat", "elk", "ant"]
    assert [one.confidence for one in found] == pytest.approx([SHARES[i] for i in (1, 3, 0, 4, 6)], rel=1e-5)


def test_ok__probabilities_are_taken_as_they_are() -> None:
    answer = np.array([[0.1, 0.05, 0.6, 0.25, 0, 0, 0]], np.float32)
    found = a_classifier(answer, "probabilities")[0].classify(np.zeros((50, 40, 3), np.uint8))
    assert [(one.label, round(one.confidence, 3)) for one in found[:2]] == [("owl", 0.6), ("fox", 0.25)]


def test_ok__quantized_logits_are_read_with_their_scale() -> None:
    stored, info = quantize(LOGITS, 0.05, 7)
    found = a_classifier(stored, info=info)[0].classify(np.zeros((50, 40, 3), np.uint8))
    assert found[0].confidence == pytest.approx(SHARES[1], abs=0.01)


def test_ok__logits_far_out_do_not_overflow() -> None:
    with np.errstate(all="raise", under="ignore"):
        found = a_classifier(LOGITS * 1e4)[0].classify(np.zeros((50, 40, 3), np.uint8))
    assert found[0].confidence == 1


def test_ok__two_labels_give_two_names() -> None:
    classifier, _ = a_classifier(np.array([[0.0, 1.0]], np.float32), labels=["cat", "dog"])
    assert [one.label for one in classifier.classify(np.zeros((9, 9, 3), np.uint8))] == ["dog", "cat"]


@pytest.mark.parametrize(
    ("changes", "white"),
    [({}, 1 / 3), ({"resize": "shorter-crop"}, 1.0), ({"letterbox": {"value": 0}}, 1 / 9)],
)
def test_ok__the_picture_is_fitted_as_the_manifest_says(changes: dict[str, Any], white: float) -> None:
    classifier, fake = a_classifier(LOGITS, input={"width": 36, "height": 36, **changes})
    image = np.zeros((100, 300, 3), np.uint8)
    image[:, 100:200] = 255
    classifier.classify(image)
    share = (fake.inputs[0].astype(float) + 128).mean() / 255
    assert share == pytest.approx(white, abs=0.02)


def test_ok__the_row_is_what_the_command_promises() -> None:
    found = a_classifier(LOGITS)[0].classify(np.zeros((50, 40, 3), np.uint8))
    row = json.loads(json.dumps(as_row("a.jpg", found)))
    assert list(row) == ["path", "label", "confidence", "top"]
    assert row["path"] == "a.jpg"
    assert row["top"][0] == {"label": row["label"], "confidence": row["confidence"]}
    assert len(row["top"]) == 5


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"task": "detect"}, "task 'detect'"),
        ({"decode": "yolov8-heads"}, "decoder 'yolov8-heads'"),
        ({"labels": ["cat", "dog"]}, "2 labels, and its model's output is"),
    ],
)
def test_fail__a_bundle_that_is_no_classifier_for_this_model(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        a_classifier(LOGITS, **changes)
