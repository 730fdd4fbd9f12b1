"""`arcface` from photos to a bundle, killed and gone on with, and told in a sentence what is wrong."""

from __future__ import annotations

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
import torch
import yaml
from click.testing import CliRunner

from device.access.recognizer import Recognizer
from device.errors import ConfigError, InputError
from device.inference.interpreter import open_interpreter
from device.inference.manifest import load_bundle
from export.face_crops import Aligner, Crops, aligned_crops, find_photos
from export.weights import weights
from training.faces.commands import arcface
from training.faces.evaluation import evaluate
from training.faces.pipeline import prepare, train
from training.runs import Run

SMALL = ("--threads", "1", "--batch", "8", "--set-aside", "2")


def call(*arguments: object) -> None:
    """Run the command as `python -m training` does; errors of people are raised."""
    result = CliRunner().invoke(arcface, [str(argument) for argument in arguments], standalone_mode=False)
    if result.exception is not None:
        raise result.exception


@pytest.fixture(scope="module")
def undisturbed(few_people: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of two epochs, with its bundle."""
    run = tmp_path_factory.mktemp("runs") / "undisturbed"
    call("--data", few_people, "--out", run, "--epochs", 2, *SMALL)
    return run


def test_a_run_ends_with_a_report_and_a_bundle_that_the_device_opens(undisturbed: Path, few_people: Path) -> None:
    assert {"config.yaml", "log.txt", "environment.json", "report.html", "report.json", "embedder.pt"} <= {
        path.name for path in undisturbed.iterdir()
    }
    told = json.loads((undisturbed / "report.json").read_text())["figures"]["people set aside"]
    assert list(told) == ["before, float", "after, float", "after, int8 file"]
    assert told["after, int8 file"]["pairs_same"] == 12
    page = (undisturbed / "report.html").read_text()
    assert "Thresholds" not in page  # Eight photos make too few pairs.
    assert "data:image/png" in page
    bundle = load_bundle(undisturbed / "bundle" / "arcface")
    assert bundle.manifest.task == "embed"
    assert bundle.manifest.files[0].bytes < 1_600_000
    recognizer = Recognizer(bundle, open_interpreter(bundle))
    crops = aligned_crops(find_photos(few_people), Aligner())
    vectors = np.stack([recognizer.embed(face) for face in crops.faces])
    similarities = vectors @ vectors.T
    same = crops.labels[:, None] == crops.labels[None]
    off = ~np.eye(len(same), dtype=bool)
    assert similarities[same & off].mean() > 0.4 + similarities[~same].mean()
    made = {path.name: load_bundle(path).manifest.files[0] for path in (undisturbed / "bundle").iterdir()}
    assert {name: (file.runtime, file.precision) for name, file in made.items()} == {
        "arcface": ("litert", "int8"),
        "arcface-fp32": ("litert", "fp32"),
        "arcface-onnx": ("onnxruntime", "int8"),
        "arcface-onnx-fp32": ("onnxruntime", "fp32"),
    }
    card = (bundle.path / "MODEL_CARD.md").read_text()
    assert "Intended use" in card
    assert bundle.manifest.provenance["base"]["licence"] == "Apache-2.0"


def test_killed_and_resumed_it_ends_with_the_same_weights(
    undisturbed: Path, few_people: Path, tmp_path: Path, root: Path
) -> None:
    run = tmp_path / "killed"
    command = [sys.executable, "-m", "training", "arcface", "--data", few_people, "--out", run, "--epochs", "2"]
    process = subprocess.Popen([*map(str, command), *SMALL, "--no-export"], cwd=root, env=os.environ)
    deadline = time.monotonic() + 120
    while not (run / "checkpoint.pt").exists() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    state = torch.load(run / "checkpoint.pt", weights_only=True)
    assert 0 < state["step"] < 8
    assert not (run / "embedder.pt").exists()
    call("--resume", run)
    expected = torch.load(undisturbed / "embedder.pt", weights_only=True)
    found = torch.load(run / "embedder.pt", weights_only=True)
    assert all(torch.equal(expected[name], found[name]) for name in expected)
    assert json.loads((run / "curve.json").read_text()) == json.loads((undisturbed / "curve.json").read_text())


def test_a_finished_run_is_finished(undisturbed: Path) -> None:
    with pytest.raises(ConfigError, match="epochs 2, and 3"):
        call("--resume", undisturbed, "--epochs", 3)
    with pytest.raises(ConfigError, match="holds a run already"):
        call("--data", undisturbed, "--out", undisturbed)


def test_a_run_is_measured_again_on_the_people_it_set_aside(
    undisturbed: Path, few_people: Path, tmp_path: Path
) -> None:
    """And says the same as its own report."""
    page = evaluate(undisturbed, few_people, tmp_path / "again")
    again = json.loads(page.with_name("report.json").read_text())
    assert again["photos"] == "people set aside in training"
    own = json.loads((undisturbed / "report.json").read_text())["figures"]["people set aside"]
    assert again["figures"]["arcface"] == own["after, int8 file"]
    assert again["figures"]["arcface-fp32"] == own["after, float"]


def test_crops_are_made_once(few_people: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = find_photos(few_people)[:4]
    aligner = Aligner()
    first = aligned_crops(found, aligner, tmp_path)
    looked: list[object] = []
    monkeypatch.setattr(aligner, "face", lambda image: looked.append(image))
    again = aligned_crops(found, aligner, tmp_path)
    assert not looked
    np.testing.assert_array_equal(first.faces, again.faces)
    assert (again.keys, again.people) == (first.keys, first.people)
    # A damaged file is made again; here nobody is found any more.
    next(tmp_path.glob("*.npz")).write_bytes(b"cut short")
    with pytest.raises(InputError, match="no face was found in any of 4 photos"):
        aligned_crops(found, aligner, tmp_path)
    assert isinstance(first, Crops)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "--data is missing"),
        (("--data", "nowhere"), "there is no folder"),
        (("--data", "{empty}"), r"holds no people: put the photos of each one into .*/ana"),
        (("--data", "{few}", "--from-scratch", "--weights", "x.pt"), "contradict each other"),
        (("--data", "{few}", "--from-scratch", "--quantization-aware"), "for fine-tuning"),
        (("--data", "{few}", "--weights", "missing.pt"), "missing.pt cannot be read"),
    ],
)
def test_mistakes_are_told_in_a_sentence(few_people: Path, tmp_path: Path, arguments: tuple, said: str) -> None:
    (tmp_path / "empty").mkdir()
    given = [argument.format(few=few_people, empty=tmp_path / "empty") for argument in arguments]
    with pytest.raises((ConfigError, InputError), match=said):
        call(*given, "--out", tmp_path / "run")
    # So the same command can be given again, put right.
    assert not (tmp_path / "run").exists()


@pytest.fixture
def begun(undisturbed: Path, few_people: Path, tmp_path: Path) -> tuple[Path, Path]:
    """A copy of the run before its end, on photos of its own: (the run, its photos)."""
    photos = Path(shutil.copytree(few_people, tmp_path / "photos"))
    run = tmp_path / "begun"
    with pytest.raises(KeyboardInterrupt):
        _first_steps(run, undisturbed, photos)
    assert (run / "checkpoint.pt").exists()
    return run, photos


def _first_steps(path: Path, like: Path, photos: Path) -> None:
    config = yaml.safe_load((like / "config.yaml").read_text())
    run = Run(path, {**config, "data": str(photos), "weights": str(_own_weights(path))}, resume=False)
    train(run, prepare(run), until=4)


def _own_weights(beside: Path) -> Path:
    return Path(shutil.copy(weights("mobilefacenet.pt"), beside.with_name("base.pt")))


def test_fail__resumed_after_a_photo_was_deleted(begun: tuple[Path, Path]) -> None:
    run, photos = begun
    victim = sorted(photos.glob("*/*.jpg"))[0]
    victim.unlink()
    with pytest.raises(ConfigError, match=r"begun with faces( set aside)? \d+ of \d+ people .*put back what it was"):
        call("--resume", run)
    assert (run / "checkpoint.pt").exists()


def test_fail__resumed_after_a_photo_was_replaced(begun: tuple[Path, Path]) -> None:
    run, photos = begun
    first, second, *_ = sorted(next(iter(sorted(photos.iterdir()))).iterdir())
    shutil.copy(second, first)
    with pytest.raises((ConfigError, InputError), match=r"begun with faces( set aside)? \d+ of \d+ people"):
        call("--resume", run)


def test_fail__resumed_with_other_base_weights(begun: tuple[Path, Path], undisturbed: Path) -> None:
    run, _ = begun
    shutil.copy(undisturbed / "embedder.pt", run.with_name("base.pt"))
    with pytest.raises(ConfigError, match=r"begun with weights [0-9a-f]{16}, and it is [0-9a-f]{16} now"):
        call("--resume", run)


def test_fail__resumed_from_a_checkpoint_that_was_cut_short(begun: tuple[Path, Path]) -> None:
    run, _ = begun
    whole = (run / "checkpoint.pt").read_bytes()
    (run / "checkpoint.pt").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError, match=r"checkpoint\.pt is damaged.*begin the run again by --out$"):
        call("--resume", run)
    torch.save({"step": 1}, run / "checkpoint.pt")
    with pytest.raises(InputError, match=r"checkpoint\.pt is of another network"):
        call("--resume", run)


def test_fail__weights_that_are_none(few_people: Path, tmp_path: Path) -> None:
    (tmp_path / "junk.pt").write_bytes(b"junk" * 100)
    with pytest.raises(InputError, match=r"junk\.pt holds no PyTorch state dict; the weights of") as refused:
        call("--data", few_people, "--weights", tmp_path / "junk.pt", "--out", tmp_path / "run")
    assert "weights_only" not in str(refused.value)
    assert len(str(refused.value).splitlines()) == 1
    assert not (tmp_path / "run").exists()


def test_what_hangs_on_other_flags_is_written_as_run(few_people: Path, tmp_path: Path) -> None:
    call(
        "--data",
        few_people,
        "--out",
        tmp_path / "run",
        "--from-scratch",
        "--loss",
        "triplet",
        "--epochs",
        1,
        "--no-export",
        *SMALL,
    )
    config = yaml.safe_load((tmp_path / "run" / "config.yaml").read_text())
    assert (config["margin"], config["rate"], config["quantization_aware"]) == (0.2, 0.05, False)
    assert "A demonstration" in (tmp_path / "run" / "report.html").read_text()
