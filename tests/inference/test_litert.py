"""LiteRT, on a hand-made model that echoes its picture and on a real detector."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from device.errors import InputError
from device.inference.interpreter import open_interpreter
from device.inference.litert import _without_greeting
from device.inference.manifest import Bundle, load_bundle
from device.inference.tensors import Interpreter
from tests.inference.samples import a_file, a_manifest, write_bundle
from tests.inference.tiny import echo_model

SIZE = 32


def opened(folder: Path, content: bytes, **changes: Any) -> Interpreter:
    """An interpreter of a bundle whose one file has that content."""
    manifest = a_manifest(SIZE, files=[a_file("model.tflite", content, **changes)])
    return open_interpreter(load_bundle(write_bundle(folder, manifest, content)))


def a_picture(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (SIZE, SIZE, 3), dtype=np.uint8)


def test_ok__the_network_sees_the_picture_each_time(tmp_path: Path) -> None:
    interpreter = opened(tmp_path, echo_model(SIZE))
    assert interpreter.input.shape == (1, SIZE, SIZE, 3)
    assert interpreter.input.zero_point == -128
    for seed in range(3):
        interpreter.write(a_picture(seed))
        seen, negative = interpreter.invoke()
        np.testing.assert_allclose(seen[0], a_picture(seed) / 255, atol=1e-6)
        np.testing.assert_allclose(negative[0], a_picture(seed) / -255, atol=1e-6)
        del seen, negative


def test_ok__outputs_come_in_the_order_of_the_manifest(tmp_path: Path) -> None:
    interpreter = opened(tmp_path, echo_model(SIZE), outputs=[1, 0])
    interpreter.write(a_picture(0))
    negative, seen = interpreter.invoke()
    assert negative.max() <= 0 <= seen.min()


def test_ok__outputs_are_looked_at_where_they_lie(tmp_path: Path) -> None:
    interpreter = opened(tmp_path, echo_model(SIZE))
    interpreter.write(a_picture(0))
    outputs = interpreter.invoke()
    assert not any(output.flags.owndata for output in outputs)
    with pytest.raises(RuntimeError, match="reference to internal data"):
        interpreter.invoke()
    del outputs
    interpreter.invoke()


def test_ok__the_runtimes_greeting_is_kept_off_stderr_and_nothing_else_is(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    opened(tmp_path, echo_model(SIZE))
    assert capfd.readouterr().err == ""
    with _without_greeting():
        os.write(2, b"INFO: Created TensorFlow Lite XNNPACK delegate for CPU.\nthe kettle boils\n")
    assert capfd.readouterr().err == "the kettle boils\n"


@pytest.mark.parametrize("part", [0.02, 0.5, 0.9])
def test_fail__a_truncated_model_whose_sha256_matches(tmp_path: Path, part: float) -> None:
    whole = echo_model(SIZE)
    with pytest.raises(InputError) as caught:
        opened(tmp_path, whole[: int(len(whole) * part)])
    assert "ai-edge-litert refuses" in str(caught.value)
    assert str(tmp_path / "model.tflite") in str(caught.value)
    assert "\n" not in str(caught.value)


def test_fail__a_model_with_operations_of_the_future(tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        opened(tmp_path, echo_model(SIZE, version=99))
    assert "builtin opcode 'DEQUANTIZE' version '99'" in str(caught.value)
    assert "needs a newer runtime" in str(caught.value)


def test_fail__the_manifest_names_an_output_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="has 2 outputs; its manifest names number 2, from 0"):
        opened(tmp_path, echo_model(SIZE), outputs=[0, 2])


def test_fail__the_model_takes_pictures_of_another_size(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"its manifest says \(1, 32, 32, 3\)"):
        opened(tmp_path, echo_model(64))


def test_ok__threads_change_nothing_but_the_time(real_bundle: Bundle) -> None:
    side = real_bundle.manifest.input.width
    square = np.random.default_rng(0).integers(0, 256, (side, side, 3), dtype=np.uint8)
    answers = []
    for threads in (1, 2):
        interpreter = open_interpreter(real_bundle, runtime="litert", threads=threads)
        interpreter.write(square)
        answers.append([head.copy() for head in interpreter.invoke()])
        assert f"{threads} thread" in interpreter.runtime
    for one, two in zip(*answers, strict=True):
        np.testing.assert_array_equal(one, two)
