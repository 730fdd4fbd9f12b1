"""Face detectors of others, described for the device."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from device.errors import InputError
from device.inference.interpreter import open_interpreter
from export.face_bundles import FACE_BUNDLES, open_face_bundle, write_face_bundle
from export.onnx_input import with_input_size
from export.weights import WEIGHTS, weights

YUNET = "face_detection_yunet_2023mar.onnx"


def fetched(name: str) -> Path:
    try:
        return weights(name)
    except InputError as error:
        pytest.skip(str(error))


@pytest.mark.parametrize("name", FACE_BUNDLES)
def test_ok__a_bundle_that_the_device_opens(tmp_path: Path, name: str) -> None:
    asset = next(asset for asset in WEIGHTS if asset.name == name)
    bundle = write_face_bundle(fetched(name), asset, tmp_path)
    assert bundle is not None
    assert bundle.manifest.task == ("liveness" if name == "face_landmark.tflite" else "face-detect")
    assert bundle.manifest.licence == asset.licence
    assert bundle.manifest.provenance["base_weights"]["sha256"] == asset.sha256
    interpreter = open_interpreter(bundle)
    interpreter.write(np.zeros((bundle.manifest.input.height, bundle.manifest.input.width, 3), np.uint8))
    assert len(interpreter.invoke()) == len(interpreter.outputs)
    assert asset.licence in (bundle.path / "MODEL_CARD.md").read_text()


def test_ok__other_weights_make_no_face_bundle(tmp_path: Path) -> None:
    assert write_face_bundle(tmp_path / "nothing", WEIGHTS[0], tmp_path) is None
    assert list(tmp_path.iterdir()) == []


def test_ok__another_size_is_what_the_onnx_package_makes_of_it() -> None:
    """The same network, its numbers the same to the bit, and a file that the package's checker accepts."""
    onnx = pytest.importorskip("onnx", reason="only the workstation has the onnx package")
    import onnxruntime

    raw = fetched(YUNET).read_bytes()
    ours = with_input_size(raw, 160, 224)
    theirs = onnx.load_from_string(raw)
    for dimension, size in zip(theirs.graph.input[0].type.tensor_type.shape.dim, (1, 3, 160, 224), strict=True):
        dimension.dim_value = size
    del theirs.graph.value_info[:]
    for output in theirs.graph.output:
        output.type.tensor_type.ClearField("shape")
    assert onnx.load_from_string(ours) == theirs
    picture = np.random.default_rng(0).uniform(0, 255, (1, 3, 160, 224)).astype(np.float32)
    outputs = onnxruntime.InferenceSession(ours, providers=["CPUExecutionProvider"]).run(None, {"input": picture})
    assert [output.shape[1] for output in outputs[:3]] == [20 * 28, 10 * 14, 5 * 7]


def test_ok__its_own_size_changes_no_answer() -> None:
    import onnxruntime

    raw = fetched(YUNET).read_bytes()
    picture = np.random.default_rng(0).uniform(0, 255, (1, 3, 640, 640)).astype(np.float32)
    first, second = (
        onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"]).run(None, {"input": picture})
        for content in (raw, with_input_size(raw, 640, 640))
    )
    assert all((one == other).all() for one, other in zip(first, second, strict=True))


def test_ok__training_opens_a_face_detector_without_make_models() -> None:
    fetched(YUNET)
    assert open_face_bundle("yunet").manifest.task == "face-detect"


def test_fail__nobody_knows_the_face_detector() -> None:
    with pytest.raises(InputError, match="no model 'argus'"):
        open_face_bundle("argus")
