"""Face embedders as files: close to the network they are made of, and to what other programs make of them."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from device.access.recognizer import Recognizer
from device.inference.interpreter import open_interpreter
from device.inference.manifest import Bundle, load_bundle
from export import embedder
from export.bundle import clear_up
from export.calibration import as_input
from export.embedder import ALL, CENTRED, IMAGENET, BothWays, Centred, ChannelLast, Faces, Wanted, export_embedder
from export.mobilefacenet import load
from export.weights import weights

PEOPLE, PHOTOS = 20, 4


@pytest.fixture(scope="module")
def faces(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Faces:
    """Twenty people, five of them set aside."""
    root = tmp_path_factory.mktemp("people")
    for person in sorted((shared_data / "lfw" / "train").iterdir())[:PEOPLE]:
        (root / person.name).mkdir()
        for photo in sorted(person.iterdir())[:PHOTOS]:
            (root / person.name / photo.name).symlink_to(photo)
    return Faces(root, 5, 0)


@pytest.fixture(scope="module")
def made(faces: Faces, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Bundle]:
    """All four bundles of the base weights, looking both ways."""
    parent = tmp_path_factory.mktemp("bundles")
    said: list[str] = []
    wanted = Wanted("face", parent, kinds=ALL, what="A test.", draws=20)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(embedder, "CALIBRATION", 20)
        export_embedder(weights("mobilefacenet.pt"), faces, wanted, said.append, {"base": "test"})
    assert sum("written to" in line for line in said) == 4
    return {path.name: load_bundle(path) for path in sorted(parent.iterdir())}


def vectors(bundle: Bundle, faces: Faces, count: int = 12) -> np.ndarray:
    recognizer = Recognizer(bundle, open_interpreter(bundle))
    return np.stack([recognizer.embed(face) for face in faces.train.faces[:count]])


def test_wrappers_take_the_same_pixels(faces: Faces) -> None:
    network = load(weights("mobilefacenet.pt"))
    face = faces.train.faces[0]
    with torch.no_grad():
        last = ChannelLast(network)(torch.from_numpy(as_input(face, IMAGENET)))
        centred = Centred(network)(torch.from_numpy(as_input(face, CENTRED)).permute(0, 3, 1, 2))
        both = ChannelLast(BothWays(network))
        plain, mirrored = (torch.from_numpy(as_input(each.copy(), IMAGENET)) for each in (face, face[:, ::-1]))
        np.testing.assert_allclose(both(plain), both(mirrored), atol=1e-4)
    np.testing.assert_allclose(last, centred, atol=1e-3)


def test_float_files_say_what_the_network_says(made: dict[str, Bundle], faces: Faces) -> None:
    network = BothWays(load(weights("mobilefacenet.pt")))
    with torch.no_grad():
        expected = torch.cat(
            [
                F.normalize(ChannelLast(network)(torch.from_numpy(as_input(face, IMAGENET))))
                for face in faces.train.faces[:12]
            ]
        ).numpy()
    for name in ("face-fp32", "face-onnx-fp32"):
        assert (vectors(made[name], faces) * expected).sum(1).min() > 0.99999


def test_int8_files_stay_close_and_small(made: dict[str, Bundle], faces: Faces) -> None:
    expected = vectors(made["face-fp32"], faces)
    for name in ("face", "face-onnx"):
        assert (vectors(made[name], faces) * expected).sum(1).mean() > 0.99
        assert made[name].manifest.files[0].bytes < 1_600_000
    interpreter = open_interpreter(made["face"])
    assert interpreter.input.dtype == interpreter.outputs[0].dtype == np.int8


def test_the_manifest_tells_thresholds_figures_and_provenance(made: dict[str, Bundle]) -> None:
    manifest = made["face"].manifest
    thresholds = [manifest.threshold(f"fmr_1e-{power}") for power in (2, 3, 4, 5)]
    assert thresholds == sorted(thresholds)
    assert 0.1 < thresholds[0] < thresholds[3] < 0.9
    assert manifest.provenance["thresholds"]["extrapolated"] == ["fmr_1e-3", "fmr_1e-4", "fmr_1e-5"]
    assert {entry["metric"] for entry in manifest.metrics} >= {"EER", "TAR at FMR 1e-2", "mean cosine to float"}
    card = (made["face"].path / "MODEL_CARD.md").read_text()
    for said in ("Intended use", "set aside", "mirror image", "extrapolated"):
        assert said in card


def test_a_killed_export_leaves_no_half_bundle(faces: Faces, made: dict[str, Bundle], tmp_path: Path) -> None:
    parent = tmp_path / "out"
    shutil.copytree(made["face"].path, parent / "face")
    before = {path.name: path.read_bytes() for path in (parent / "face").iterdir()}
    code = (
        "import os, signal, sys; from pathlib import Path; from export import bundle, embedder;"
        "from export.embedder import SHIPPED, Faces, Wanted, export_embedder; from export.weights import weights;"
        "whole = bundle.replace_folder;"
        "bundle.replace_folder = lambda new, target: os.kill(os.getpid(), signal.SIGKILL) if target.parent == "
        "Path(sys.argv[2]) else whole(new, target);"
        "embedder.CALIBRATION = 20;"
        "wanted = Wanted('face', Path(sys.argv[2]), kinds=[SHIPPED], what='A test.', draws=20);"
        "export_embedder(weights('mobilefacenet.pt'), Faces(Path(sys.argv[1]), 5, 0), wanted, print, {'base': 'test'})"
    )
    done = subprocess.run([sys.executable, "-c", code, str(faces.root), str(parent)], capture_output=True)
    assert done.returncode == -signal.SIGKILL, done.stderr.decode()
    assert {path.name: path.read_bytes() for path in (parent / "face").iterdir()} == before
    assert load_bundle(parent / "face").manifest.files == made["face"].manifest.files
    # What was half made is hidden, whole bundles are not; the next export an hour later clears it up.
    leftovers = [path for path in parent.iterdir() if path.name != "face"]
    assert leftovers
    assert all(path.name.startswith(".face-") for path in leftovers)
    for leftover in leftovers:
        os.utime(leftover, (0, 0))
    clear_up(parent, "face")
    assert [path.name for path in parent.iterdir()] == ["face"]


def test_insightface_makes_the_same_of_our_file(made: dict[str, Bundle], faces: Faces) -> None:
    """The reference implementation, with the same ONNX and the same aligned faces."""
    pytest.importorskip("insightface", reason="insightface is not installed: pip install --no-deps insightface==2.1")
    from insightface.model_zoo.arcface_onnx import ArcFaceONNX

    for name in ("face-onnx-fp32", "face-onnx"):
        theirs = ArcFaceONNX(str(made[name].path / "model.onnx"))
        theirs.prepare(-1)
        assert (theirs.input_mean, theirs.input_std, theirs.input_size) == (127.5, 127.5, (112, 112))
        found = np.concatenate([theirs.get_feat(face[..., ::-1].copy()) for face in faces.train.faces[:12]])
        found /= np.linalg.norm(found, axis=1, keepdims=True)
        assert (found * vectors(made[name], faces)).sum(1).min() >= 0.9999


def test_insightface_aligns_as_we_do_with_its_template() -> None:
    """Its `norm_crop` and our `align` cut out the same face, given the same points and ArcFace's own template."""
    pytest.importorskip("insightface", reason="insightface is not installed: pip install --no-deps insightface==2.1")
    from insightface.utils.face_align import estimate_norm

    from device.access.alignment import ARCFACE_TEMPLATE, similarity

    points = ARCFACE_TEMPLATE * 1.7 + np.random.default_rng(0).normal(0, 2, (5, 2)) + [30, -12]
    theirs = np.asarray(estimate_norm(points.astype(np.float32), 112))
    np.testing.assert_allclose(similarity(points, ARCFACE_TEMPLATE), theirs, atol=1e-3)
