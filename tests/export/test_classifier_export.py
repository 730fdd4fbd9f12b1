"""A classifier's export from end to end: four files that say the same, held to floors, the same bytes each time."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from device.detection.classifier import Classifier, Fitting, softmax
from device.errors import InputError
from device.inference.interpreter import open_interpreter
from device.inference.manifest import Bundle, list_bundles, load_bundle
from export import classifier, keras_litert
from export.classification import Answers, closeness
from export.classifier import Wanted, export_run, made_before
from export.classifier_verification import Floors, shortfalls
from export.datasets import open_dataset
from tests.tinyclassifier import COMMIT, LABELS, SIZE, floors_file, network

pytest.importorskip("tensorflow", reason="needs the workstation environment")


@pytest.fixture
def run(shapes_run: Path) -> Path:
    return shapes_run


@pytest.fixture
def bundle(shapes_bundle: Bundle) -> Bundle:
    return shapes_bundle


def litert_only(parent: Path) -> Wanted:
    """What to make where ONNX would add nothing but seconds."""
    return Wanted("shapes", parent, runtimes=("litert",))


def test_ok__two_bundles_with_both_runtimes(run: Path, bundle: Bundle) -> None:
    sibling = load_bundle(run / "bundle" / "shapes-fp32")
    found = [(one.name, file.runtime, file.precision) for one in (bundle, sibling) for file in one.manifest.files]
    assert found == [
        ("shapes", "litert", "int8"),
        ("shapes", "onnxruntime", "int8"),
        ("shapes-fp32", "litert", "fp32"),
        ("shapes-fp32", "onnxruntime", "fp32"),
    ]
    assert bundle.manifest.labels == LABELS
    assert sorted(path.name for path in (run / "bundle").iterdir()) == ["shapes", "shapes-fp32"]


@pytest.mark.parametrize("runtime", ["litert", "onnxruntime"])
def test_ok__float_files_compute_what_keras_does(run: Path, bundle: Bundle, runtime: str) -> None:
    del bundle
    sibling = load_bundle(run / "bundle" / "shapes-fp32")
    classifier = Classifier(sibling, open_interpreter(sibling, runtime=runtime))  # type: ignore[arg-type]
    dataset, fit = open_dataset(run.parent / "photos"), Fitting(sibling.manifest.input)
    model = keras_litert.load(run / "model.keras")
    for sample in dataset.splits["test"][::6]:
        image = dataset.read(sample)
        expected = np.asarray(model(fit(image)[None].astype(np.float32), training=False))[0]
        np.testing.assert_allclose(classifier.scores(image), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("runtime", ["litert", "onnxruntime"])
def test_ok__int8_files_name_what_the_float_ones_do(run: Path, bundle: Bundle, runtime: str) -> None:
    sibling = load_bundle(run / "bundle" / "shapes-fp32")
    dataset = open_dataset(run.parent / "photos")
    answers = []
    for one in (sibling, bundle):
        classifier = Classifier(one, open_interpreter(one, runtime=runtime))  # type: ignore[arg-type]
        scores = np.array([classifier.scores(dataset.read(sample)) for sample in dataset.splits["test"]])
        truth = np.array([sample.label for sample in dataset.splits["test"]])
        answers.append(Answers(truth, scores, softmax(scores)))
    close = closeness(*answers)
    assert answers[0].right.mean() > 0.8  # It has learnt something.
    assert 0 < close.kl < 0.05
    assert close.agreement > 0.9


def test_ok__int8_input_is_the_pixel_with_one_bit_flipped(bundle: Bundle) -> None:
    given = open_interpreter(bundle, runtime="litert").input
    assert (given.dtype, given.zero_point) == (np.int8, 0)
    assert given.scale == pytest.approx(1 / 127.5, rel=1e-6)
    # (pixel - 128) / 127.5 is the pixel less 128, in steps of 1 / 127.5.
    assert (bundle.manifest.input.mean, bundle.manifest.input.std) == ((128,) * 3, (127.5,) * 3)


def test_ok__manifest_and_card_say_what_was_measured(bundle: Bundle) -> None:
    told = {(entry["file"], entry["metric"]): entry for entry in bundle.manifest.metrics}
    entry = told["model.tflite", "top-1"]
    assert (entry["images"], entry["split"], entry["classes"]) == (36, "test", 3)
    assert entry["quantized_95"][0] <= entry["quantized"] <= entry["quantized_95"][1]
    assert {"only_float_right", "only_quantized_right", "difference_95"} <= entry.keys()
    assert ("model.onnx", "KL to float") in told
    assert bundle.manifest.provenance["calibration"]["split"] == "train"
    card = (bundle.path / "MODEL_CARD.md").read_text()
    for part in ("circle, cross, square", "36 photos", "95 % intervals", "## Limits", "Licence:"):
        assert part in card


def test_ok__same_run_gives_the_same_bytes_in_another_process(run: Path, bundle: Bundle, tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from export.classifier import export_run;"
        "export_run(Path(sys.argv[1]), None, Path(sys.argv[2]), print)"
    )
    subprocess.run([sys.executable, "-c", code, str(run), str(tmp_path)], check=True, capture_output=True)
    for name in ("shapes", "shapes-fp32"):
        mine, theirs = (load_bundle(parent / name).manifest.files for parent in (run / "bundle", tmp_path))
        assert [file.sha256 for file in mine] == [file.sha256 for file in theirs]
    assert (
        bundle.manifest.files[0].sha256
        == hashlib.sha256((tmp_path / "shapes" / "model.tflite").read_bytes()).hexdigest()
    )


def test_fail__a_file_below_its_floor_is_not_written(run: Path, tmp_path: Path) -> None:
    floors = floors_file(tmp_path / "floors.json", kl=0.0)
    with pytest.raises(InputError, match=r"shapes is not written: shapes, model.tflite, diverges .* 0.0 are allowed"):
        export_run(run, None, tmp_path, lambda _: None, wanted=litert_only(tmp_path / "out"), floors=floors)
    assert not (tmp_path / "out").exists()


def test_fail__killed_export_leaves_no_half_bundle(run: Path, bundle: Bundle, tmp_path: Path) -> None:
    parent = tmp_path / "out"
    shutil.copytree(bundle.path, parent / "shapes")
    before = {path.name: path.read_bytes() for path in (parent / "shapes").iterdir()}
    code = (
        "import os, signal, sys; from pathlib import Path; from export import bundle;"
        "from export.classifier import Wanted, export_run;"
        "bundle.replace_folder = lambda new, target: os.kill(os.getpid(), signal.SIGKILL) if target.parent == "
        "Path(sys.argv[2]) else new.rename(target);"
        "wanted = Wanted('shapes', Path(sys.argv[2]), runtimes=('litert',));"
        "export_run(Path(sys.argv[1]), None, Path(sys.argv[2]), print, wanted=wanted)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(run), str(parent)], capture_output=True)
    assert done.returncode == -signal.SIGKILL
    assert {path.name: path.read_bytes() for path in (parent / "shapes").iterdir()} == before
    assert not (parent / "shapes-fp32").exists()
    os.environ["SERENO_MODELS"] = str(parent)
    try:
        listed = [found.path for found in list_bundles() if found.path.parent == parent]
    finally:
        del os.environ["SERENO_MODELS"]
    assert listed == [parent / "shapes"]
    old = time.time() - 7200
    for leftover in parent.glob(".*"):
        os.utime(leftover, (old, old))
    exported_again = export_run(run, None, parent, lambda _: None, wanted=litert_only(parent))
    assert sorted(path.name for path in parent.iterdir()) == ["shapes", "shapes-fp32"]
    assert exported_again.manifest.files == bundle.manifest.files[:1]


def test_ok__what_was_made_whole_of_the_same_network_is_not_made_again(
    run: Path, bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset = open_dataset(run.parent / "photos")
    monkeypatch.setattr(classifier, "git_commit", lambda: COMMIT)
    path = shutil.copytree(run, tmp_path / "run", ignore=shutil.ignore_patterns("bundle"))
    parent = path / "bundle"
    assert made_before(path, dataset, parent) is None
    shutil.copytree(bundle.path.parent, parent)
    again = made_before(path, dataset, parent)
    assert again is not None
    assert (again.path, again.manifest) == (parent / bundle.path.name, bundle.manifest)
    for commit in ("b" * 40, f"{COMMIT}-dirty", "unknown"):
        monkeypatch.setattr(classifier, "git_commit", lambda commit=commit: commit)
        assert made_before(path, dataset, parent) is None, commit
    monkeypatch.setattr(classifier, "git_commit", lambda: COMMIT)
    float_file = parent / "shapes-fp32" / "model.tflite"
    whole = float_file.read_bytes()
    float_file.write_bytes(whole[:-1])
    assert made_before(path, dataset, parent) is None
    float_file.write_bytes(whole)
    assert made_before(path, dataset, parent) is not None
    with (path / "model.keras").open("ab") as stream:
        stream.write(b"other")
    assert made_before(path, dataset, parent) is None


def test_fail__a_run_that_is_not_finished(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text("data: photos\n")
    with pytest.raises(InputError, match=r"is no finished run of a classifier: it has no model\.keras"):
        export_run(tmp_path, None, tmp_path / "out", lambda _: None)


def test_fail__photos_of_other_classes(run: Path, tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    shutil.copytree(run.parent / "photos", photos)
    shutil.rmtree(photos / "train" / "cross")
    shutil.rmtree(photos / "val" / "cross")
    shutil.rmtree(photos / "test" / "cross")
    with pytest.raises(InputError, match=r"tells 3 classes apart and .* has 2"):
        export_run(run, open_dataset(photos), tmp_path / "out", lambda _: None)


def test_ok__a_loss_that_chance_explains_passes_and_a_real_one_does_not() -> None:
    floors = Floors(0.5, 10.0, None, {})
    truth = np.zeros(40, np.int64)

    def of(wrong: int) -> Answers:
        scores = np.tile([4.0, 0.0], (40, 1))
        scores[:wrong] = [0.0, 4.0]
        return Answers(truth, scores, softmax(scores))

    for wrong, fails in ((0, False), (2, False), (4, False), (5, True), (20, True)):
        found = shortfalls("file", of(wrong), closeness(of(0), of(wrong)), floors)
        assert bool(found) == fails, wrong
    assert "loses 50.00 points of top-1 on 40 pictures (20 that only the float network" in found[0]
    assert (
        "at least 99.0 are wanted"
        in shortfalls("file", of(2), closeness(of(2), of(2)), Floors(0.5, 1, None, {"top-1": 99.0}))[0]
    )


@pytest.mark.parametrize("kind", ["rescaling", "normalization", "swap", "none", "nonlinear"])
def test_ok__normalisation_is_found_whatever_it_is_called(kind: str) -> None:
    import keras
    from keras import layers

    picture = keras.Input((16, 16, 3))
    x, expected, color = picture, ((0, 0, 0), (1, 1, 1)), "RGB"
    if kind == "rescaling":
        x = layers.Rescaling(
            [1 / 58.395, 1 / 57.12, 1 / 57.375], [-123.675 / 58.395, -116.28 / 57.12, -103.53 / 57.375]
        )(x)
        expected = ((123.675, 116.28, 103.53), (58.395, 57.12, 57.375))
    elif kind == "normalization":
        x = layers.Rescaling(1 / 255)(x)
        x = layers.Normalization(mean=[0.5, 0.4, 0.3], variance=[0.04, 0.0625, 0.09])(x)
        expected = ((127.5, 102, 76.5), (51, 63.75, 76.5))
    elif kind == "swap":
        swap = layers.Conv2D(3, 1)
        x = swap(x)
        swap.set_weights([np.eye(3)[::-1].reshape(1, 1, 3, 3), -np.array([103.939, 116.779, 123.68])])
        expected, color = ((103.939, 116.779, 123.68), (1, 1, 1)), "BGR"
    elif kind == "nonlinear":
        x = layers.Activation("tanh")(x)
    logits = layers.Dense(2)(layers.Flatten()(layers.Conv2D(4, 3, padding="same")(x)))
    bare = keras_litert.bare(keras.Model(picture, logits))
    assert bare.color == color
    np.testing.assert_allclose(bare.normalisation, expected, rtol=1e-5, atol=1e-4)
    pixels = np.random.default_rng(0).integers(0, 256, (1, 16, 16, 3)).astype(np.float32)
    ordered = pixels[..., ::-1] if color == "BGR" else pixels
    given = (ordered - np.array(bare.normalisation[0])) / np.array(bare.normalisation[1])
    whole, cut = keras.Model(picture, logits)(pixels), bare.network(given.astype(np.float32))
    np.testing.assert_allclose(np.asarray(whole), np.asarray(cut), rtol=1e-4, atol=2e-4 * float(np.abs(whole).max()))


def test_ok__the_tiny_network_is_cut_at_its_normalisation() -> None:
    bare = keras_litert.bare(network())
    assert bare.size == SIZE
    assert bare.normalisation == ((127.5,) * 3, (127.5,) * 3)
    assert "normalise" not in [layer.name for layer in bare.network.layers]


def test_ok__floors_of_every_shipped_classifier_are_in_the_table(root: Path) -> None:
    table = json.loads((root / "tests" / "floors.json").read_text())["classify"]
    assert table["sereno-cats-dogs"]["top-1"] >= 97
    assert table["sereno-cats-dogs-cnn"]["top-1"] >= 75
