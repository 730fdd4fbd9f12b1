"""ONNX Runtime as the device drives it, on a real export."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from device.errors import InputError
from device.inference.interpreter import open_interpreter
from device.inference.manifest import Bundle, load_bundle
from tests.inference.samples import a_file, a_manifest, write_bundle


@pytest.fixture
def real_bundle(bundles: dict[str, Bundle]) -> Bundle:
    return bundles["tiny-64"]


def a_scene(side: int, seed: int) -> np.ndarray:
    """Soft shapes: closer to a photo than noise is."""
    small = np.random.default_rng(seed).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    return np.ascontiguousarray(cv2.resize(small, (side, side), interpolation=cv2.INTER_CUBIC))


def test_ok__buffers_are_reused_and_nothing_of_a_picture_is_left(real_bundle: Bundle) -> None:
    interpreter = open_interpreter(real_bundle, runtime="onnxruntime")
    side = real_bundle.manifest.input.width
    answers = []
    for seed in (1, 2, 1):
        interpreter.write(a_scene(side, seed))
        outputs = interpreter.invoke()
        answers.append([head.copy() for head in outputs])
        assert outputs[0] is interpreter.invoke()[0]
    assert not np.array_equal(answers[0][1], answers[1][1])
    for first, third in zip(answers[0], answers[2], strict=True):
        np.testing.assert_array_equal(first, third)


def test_ok__both_runtimes_see_the_same_in_a_picture(real_bundle: Bundle) -> None:
    square = a_scene(real_bundle.manifest.input.width, 5)
    meant = []
    for runtime in ("litert", "onnxruntime"):
        interpreter = open_interpreter(real_bundle, runtime=runtime)  # type: ignore[arg-type]
        interpreter.write(square)
        heads = interpreter.invoke()
        infos = interpreter.outputs
        assert [info.shape for info in infos] == [head.shape for head in heads]
        meant.append([(h.astype(np.float32) - i.zero_point) * i.scale for h, i in zip(heads, infos, strict=True)])
        del heads
    # Class logits range over ten and more; two quantizations of one network differ by a fraction of one.
    for lite, onnx in zip(meant[0][1::2], meant[1][1::2], strict=True):
        near = np.maximum(onnx, -9)  # Below, calibration clips: such a logit is a score of 0.0001.
        assert np.abs(np.maximum(lite, -9) - near).mean() < 0.5


def test_fail__a_truncated_model_whose_sha256_matches(tmp_path: Path, real_bundle: Bundle) -> None:
    file = next(file for file in real_bundle.manifest.files if file.runtime == "onnxruntime")
    content = real_bundle.read(file)[: file.bytes // 2]
    manifest = a_manifest(files=[a_file("model.tflite", content, "onnxruntime")])
    with pytest.raises(InputError, match="onnxruntime refuses"):
        open_interpreter(load_bundle(write_bundle(tmp_path, manifest, content)))
