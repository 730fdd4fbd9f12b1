"""From a network's numbers to unit vectors."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from device.access.recognizer import Recognizer, similarity
from device.errors import InputError
from device.inference.fake import FakeInterpreter
from device.inference.manifest import Bundle, load_bundle
from device.inference.tensors import TensorInfo
from tests.inference.samples import a_manifest, write_bundle

FACE = np.random.default_rng(0).integers(0, 255, (112, 112, 3), np.uint8)


def a_bundle(folder: Path, **changes: Any) -> Bundle:
    manifest = a_manifest(
        112,
        task="embed",
        labels=[],
        output={"decode": "embedding"},
        thresholds={"fmr_1e-3": 0.31, "fmr_1e-4": 0.4},
    )
    return load_bundle(write_bundle(folder, json.loads(json.dumps(manifest | changes))))


def a_recognizer(
    folder: Path, answer: np.ndarray, info: TensorInfo | None = None
) -> tuple[Recognizer, FakeInterpreter]:
    bundle = a_bundle(folder)
    interpreter = FakeInterpreter(bundle.manifest.input, [answer], outputs=[info] if info else None)
    return Recognizer(bundle, interpreter), interpreter


def test_ok__quantized_numbers_become_a_unit_vector(tmp_path: Path) -> None:
    info = TensorInfo((1, 4), np.dtype(np.int8), 0.5, -10)
    recognizer, _ = a_recognizer(tmp_path, np.array([[-4, -10, -2, -10]], np.int8), info)
    embedding = recognizer.embed(FACE)
    assert embedding == pytest.approx([0.6, 0, 0.8, 0])
    assert embedding.dtype == np.float32
    assert recognizer.size == 4


def test_ok__mirrored_shows_both_sides(tmp_path: Path) -> None:
    recognizer, interpreter = a_recognizer(tmp_path, np.array([[3.0, 4.0]], np.float32))
    assert recognizer.embed(FACE, mirrored=True) == pytest.approx([0.6, 0.8])
    first, second = interpreter.inputs
    assert (first[0] == second[0][:, ::-1]).all()
    assert not (first == second).all()


def test_ok__thresholds_by_rate(tmp_path: Path) -> None:
    recognizer, _ = a_recognizer(tmp_path, np.ones((1, 2), np.float32))
    assert recognizer.threshold(1e-4) == 0.4
    assert recognizer.threshold(0.001) == 0.31
    with pytest.raises(InputError, match="no usable threshold 'fmr_1e-5'"):
        recognizer.threshold(1e-5)


@pytest.mark.parametrize("answer", [[[0.0, 0.0]], [[np.nan, 1.0]]])
def test_fail__a_network_that_says_nothing(tmp_path: Path, answer: list[list[float]]) -> None:
    recognizer, _ = a_recognizer(tmp_path, np.array(answer, np.float32))
    with pytest.raises(InputError, match="instead of an embedding"):
        recognizer.embed(FACE)


@pytest.mark.parametrize("face", [np.zeros((96, 112, 3), np.uint8), np.zeros((112, 112, 3), np.float32)])
def test_fail__a_face_of_another_size_or_type(tmp_path: Path, face: np.ndarray) -> None:
    recognizer, _ = a_recognizer(tmp_path, np.ones((1, 2), np.float32))
    with pytest.raises(ValueError, match="112x112x3 uint8"):
        recognizer.embed(face)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"task": "face-detect"}, "needs one of task 'embed'"),
        ({"output": {"decode": "magic"}}, "decoder 'magic'"),
        ({"input": a_manifest(96)["input"]}, "takes 96x96 pixels"),
    ],
)
def test_fail__bundle_for_something_else(tmp_path: Path, changes: dict[str, Any], words: str) -> None:
    bundle = a_bundle(tmp_path, **changes)
    interpreter = FakeInterpreter(bundle.manifest.input, [np.ones((1, 2), np.float32)])
    with pytest.raises(InputError, match=words):
        Recognizer(bundle, interpreter)


def test_ok__similarity_is_the_cosine() -> None:
    first, second = np.array([1, 0], np.float32), np.array([0.6, 0.8], np.float32)
    assert similarity(first, second) == pytest.approx(0.6)
    assert similarity(first, -first) == -1
