"""Whole runs of both commands on small photos, and what they refuse in one sentence."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import cv2
import keras
import numpy as np
import pytest
from click.testing import CliRunner

from device.detection.classifier import Fitting
from device.errors import ConfigError, InputError, SerenoError
from device.inference.manifest import InputSpec, load_bundle
from export.datasets import open_dataset
from training.classifiers.commands import cnn, transfer

QUICK = ["--size", "32", "--threads", "1", "--epochs", "2", "--batch", "8", "--no-bundle"]
TRANSFER = [*QUICK, "--variants", "2", "--fine-tune-epochs", "1", "--fine-tune-batch", "8"]


def run(command: object, *arguments: str | Path) -> None:
    """Call a command in this process; what it raises is raised."""
    CliRunner().invoke(command, [*map(str, arguments)], catch_exceptions=False, standalone_mode=False)  # type: ignore[arg-type]


def refusal(command: object, *arguments: str | Path) -> str:
    """The sentence with which a command refuses."""
    with pytest.raises(SerenoError) as error:
        run(command, *arguments)
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.fixture(scope="module")
def finished(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of transfer without a bundle."""
    path = tmp_path_factory.mktemp("transfer") / "run"
    run(transfer, "--data", photos, "--out", path, *TRANSFER, "--class-weights", "--l2", "0.001")
    return path


def test_ok__transfer_leaves_all_that_a_run_has(finished: Path) -> None:
    names = {path.name for path in finished.iterdir()}
    assert names >= {"config.yaml", "log.txt", "environment.json", "checkpoint.npz", "model.keras", "history.json"}
    assert names >= {"report.html", "report.json", "curves.png", "confusion.png", "right.png"}
    report = json.loads((finished / "report.json").read_text())
    assert report["epochs"] == {"features": 2, "fine-tuning": 1}
    assert report["dataset"]["labels"] == ["blue", "green", "red"]
    assert report["val_float"]["top-1"] > 50
    page = (finished / "report.html").read_text()
    for word in (
        "Learning",
        "What it takes for what",
        "Samples",
        "Dataset",
        "Settings",
        "Environment",
        "class_weights",
    ):
        assert word in page, word


def test_ok__the_model_takes_pixels_and_gives_logits(photos: Path, finished: Path) -> None:
    model = keras.models.load_model(finished / "model.keras", compile=False)
    assert model.input_shape == (None, 32, 32, 3)
    assert model.output_shape == (None, 3)
    assert model.get_layer("embedding").output.shape == (None, 1280)
    dataset = open_dataset(photos)
    fit = Fitting(InputSpec(width=32, height=32, resize="shorter-crop"))
    pixels = np.stack([fit(dataset.read(sample)) for sample in dataset.splits["val"]]).astype(np.float32)
    right = np.argmax(model(pixels), 1) == [sample.label for sample in dataset.splits["val"]]
    report = json.loads((finished / "report.json").read_text())
    assert 100 * right.mean() == pytest.approx(report["val_float"]["top-1"])


def test_ok__a_finished_run_is_only_reported_again(finished: Path, tmp_path: Path) -> None:
    path = shutil.copytree(finished, tmp_path / "run")
    (path / "report.html").unlink()
    before = (path / "model.keras").read_bytes()
    run(transfer, "--resume", path)
    assert (path / "report.html").exists()
    assert (path / "model.keras").read_bytes() == before


def test_ok__cnn_to_a_bundle_that_the_device_opens(photos: Path, tmp_path: Path) -> None:
    flags = [*QUICK[:-1], "--network", "compact", "--oversample", "--rate", "0.003", "--name", "colours"]
    run(cnn, "--data", photos, "--out", tmp_path / "run", *flags)
    report = json.loads((tmp_path / "run" / "report.json").read_text())
    bundle = load_bundle(tmp_path / "run" / "bundle" / "colours")
    assert bundle.manifest.labels == ("blue", "green", "red")
    assert report["bundle"]["sha256"] == bundle.manifest.files[0].sha256
    assert report["test_quantized"]["top-1"] >= 60
    assert "the first three" not in (tmp_path / "run" / "report.html").read_text(), "says nothing of three classes"


def test_fail__resumed_with_another_setting(finished: Path) -> None:
    said = refusal(transfer, "--resume", finished, "--fine-tune-layers", "40")
    assert "was begun with fine_tune_layers 20, and 40 was given" in said


def test_fail__photos_changed_since(photos: Path, tmp_path: Path) -> None:
    data = shutil.copytree(photos, tmp_path / "data")
    run(cnn, "--data", data, "--out", tmp_path / "run", *QUICK, "--network", "compact")
    next((data / "green").iterdir()).unlink()
    assert "have changed since" in refusal(cnn, "--resume", tmp_path / "run")


def test_fail__no_data_and_no_run(tmp_path: Path) -> None:
    with pytest.raises(Exception, match="--data names the folder of photos"):
        run(cnn)
    assert "there is no folder" in refusal(cnn, "--data", tmp_path / "nowhere")
    assert "holds no run" in refusal(cnn, "--resume", tmp_path)


def test_fail__one_class(make_photos: Callable[..., Path], tmp_path: Path) -> None:
    data = make_photos(tmp_path / "one", {"red": 12})
    with pytest.raises(InputError, match=r"(?i)class"):
        run(cnn, "--data", data, "--out", tmp_path / "run", *QUICK)


def test_fail__empty_folder(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="no photos"):
        run(cnn, "--data", tmp_path / "empty", "--out", tmp_path / "run", *QUICK)
    assert not (tmp_path / "run").exists()


def test_fail__unknown_technique_before_anything_is_written(photos: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no technique 'blur'"):
        run(cnn, "--data", photos, "--out", tmp_path / "run", *QUICK, "--augment", "blur=1")
    assert not (tmp_path / "run").exists()


def test_ok__a_truncated_photo_is_left_out_and_said(photos: Path, tmp_path: Path) -> None:
    data = shutil.copytree(photos, tmp_path / "data")
    picture = cv2.imread(str(data / "green" / "000.png"))
    content = cv2.imencode(".jpg", picture)[1].tobytes()
    (data / "green" / "cut.jpg").write_bytes(content[: len(content) // 2])
    flags = ["--size", "32", "--threads", "1", "--epochs", "1", "--no-bundle", "--network", "compact"]
    run(cnn, "--data", data, "--out", tmp_path / "run", *flags)
    assert "cut.jpg is cut short" in (tmp_path / "run" / "log.txt").read_text()
