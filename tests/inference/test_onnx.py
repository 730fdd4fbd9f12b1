"""ONNX Runtime, on what is no model. What it does with one: `tests/export/test_onnx_runtime.py`."""

from __future__ import annotations

from pathlib import Path

import pytest

from device.errors import InputError
from device.inference.interpreter import open_interpreter
from device.inference.manifest import load_bundle
from tests.inference.samples import a_file, a_manifest, write_bundle


@pytest.mark.parametrize("content", [b"weights" * 99, b"\x08\x07"])
def test_fail__what_is_no_model(tmp_path: Path, content: bytes) -> None:
    manifest = a_manifest(files=[a_file("model.tflite", content, "onnxruntime")])
    with pytest.raises(InputError) as caught:
        open_interpreter(load_bundle(write_bundle(tmp_path, manifest, content)))
    assert "onnxruntime refuses" in str(caught.value)
    assert "model.tflite" in str(caught.value)
    assert "\n" not in str(caught.value)
