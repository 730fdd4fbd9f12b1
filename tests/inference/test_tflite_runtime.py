"""Where only tflite-runtime is installed, the same bundle runs: in an environment of its own, with NumPy 1."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from device.detection.detector import Detector
from device.inference.interpreter import open_interpreter
from device.inference.manifest import Bundle
from tests.inference.samples import a_file, a_manifest, write_bundle
from tests.inference.tiny import echo_model

pytestmark = pytest.mark.skipif(
    sys.version_info >= (3, 12), reason="tflite-runtime 2.14, its last release, is for Python 3.11 and older"
)

SCRIPT = Path(__file__).with_name("under_tflite_runtime.py")


@pytest.fixture(scope="module")
def python(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of a fresh environment made from requirements/tflite-runtime.txt."""
    folder = tmp_path_factory.mktemp("tflite") / "venv"
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    install = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--only-binary", ":all:"]
    lock = root / "requirements" / "tflite-runtime.txt"
    done = subprocess.run(
        [folder / "bin" / "python", *install, "--require-hashes", "-r", lock],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"the environment of {lock} could not be installed:\n{done.stderr}"
    return folder / "bin" / "python"


def run(python: Path, root: Path, *arguments: Path) -> str:
    """What the script prints in that environment."""
    environment = os.environ | {"PYTHONPATH": str(root)}
    done = subprocess.run(
        [python, SCRIPT, *arguments], capture_output=True, text=True, check=False, cwd=root, env=environment
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def a_scene(side: int) -> np.ndarray:
    """Soft shapes: closer to a photo than noise is."""
    small = np.random.default_rng(5).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    return np.ascontiguousarray(cv2.resize(small, (side, side), interpolation=cv2.INTER_CUBIC))


def test_ok__the_bundle_gives_nearly_the_same_heads(
    python: Path, root: Path, real_bundle: Bundle, tmp_path: Path
) -> None:
    image = a_scene(real_bundle.manifest.input.width)
    np.save(tmp_path / "picture.npy", image)
    said = run(python, root, real_bundle.path, tmp_path / "picture.npy", tmp_path / "out.npz")
    assert "numpy 1.26" in said
    assert "tflite-runtime, int8, 1 thread" in said
    assert "tflite_runtime.interpreter" in said
    assert "ai_edge_litert" not in said
    interpreter = open_interpreter(real_bundle, runtime="litert")
    interpreter.write(image)
    expected = [head.astype(int) for head in interpreter.invoke()]
    with np.load(tmp_path / "out.npz") as found:
        for index, head in enumerate(expected):
            # Its kernels round otherwise in every layer: a step or two of 256 on average, where noise gives dozens.
            assert np.abs(found[f"arr_{index}"].astype(int) - head).mean() < 4


def test_ok__it_finds_in_a_photo_what_litert_finds(
    python: Path, root: Path, real_bundle: Bundle, tmp_path: Path, shared_data: Path
) -> None:
    photo = sorted((shared_data / "coco" / "images" / "val").iterdir())[5]
    image = np.ascontiguousarray(cv2.imread(str(photo))[..., ::-1])
    side = real_bundle.manifest.input.width
    square = np.ascontiguousarray(cv2.resize(image, (side, side)))
    np.save(tmp_path / "picture.npy", square)
    run(python, root, real_bundle.path, tmp_path / "picture.npy", tmp_path / "out.npz")
    expected = Detector(real_bundle, open_interpreter(real_bundle, runtime="litert"), 0.25).detect(square)
    sure = [one for one in expected if one.confidence > 0.5]
    assert sure
    with np.load(tmp_path / "out.npz") as found:
        for one in sure:
            near = np.abs(found["rows"][:, :4] - one.xyxy).max(axis=1) < side / 20
            assert (near & (found["rows"][:, 5] == one.class_id)).any(), one


def test_fail__a_model_with_operations_of_the_future(python: Path, root: Path, tmp_path: Path) -> None:
    content = echo_model(32, version=99)
    manifest = a_manifest(32, files=[a_file("model.tflite", content)])
    folder = write_bundle(tmp_path / "future", manifest, content)
    said = run(python, root, folder, tmp_path / "none.npy", tmp_path / "out.npz").strip()
    assert said.startswith("refused: tflite-runtime refuses")
    assert "install ai-edge-litert, or set `model.runtime: onnxruntime`" in said
    assert "\n" not in said
