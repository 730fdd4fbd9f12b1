"""A whole run by the command that people type: killed twice, resumed, exported, measured, looked at."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import pytest
import torch
import yaml
from click.testing import CliRunner

from device.detection.detector import Detector
from device.errors import InputError
from device.inference.interpreter import open_interpreter
from device.inference.manifest import load_bundle
from device.system.fetch import sha256_of
from export.labelled import open_labelled
from export.trained import bundle_of
from tests.tinydetector import SIZE
from training.detectors.commands import predict
from training.detectors.evaluation import evaluate, measure
from training.detectors.roles import roles
from training.detectors.settings import Settings
from training.detectors.train import begin_run, fit
from training.runs import Run

FLAGS = {"size": SIZE, "epochs": 4, "batch": 4, "threads": 1}


def command(*words: object) -> list[str]:
    return [sys.executable, "-m", "training", "detector", *(str(word) for word in words)]


def killed_when(words: list[str], log: Path, sign: str) -> None:
    """Run a command and kill -9 it as soon as its log says `sign`."""
    with log.parent.with_suffix(".out").open("w") as out:
        process = subprocess.Popen(words, stdout=out, stderr=out, env={**os.environ, "OMP_NUM_THREADS": "1"})
    while process.poll() is None and sign not in (log.read_text() if log.exists() else ""):
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL, f"{words} ended before it said {sign!r}"


@pytest.fixture(scope="module")
def finished(drawn: Path, begin: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that was killed while it trained and while it exported, and resumed each time."""
    path = tmp_path_factory.mktemp("runs") / "run"
    flags = [word for name, value in FLAGS.items() for word in (f"--{name}", value)]
    words = command("--data", drawn, "--weights", begin, *flags, "--out", path)
    killed_when(words, path / "log.txt", "epoch 2 of 4")
    assert not (path / "detector.pt").exists()
    killed_when(command("--resume", path), path / "log.txt", "converting")
    assert not list((path / "bundle").glob("*/manifest.json"))
    done = subprocess.run(command("--resume", path), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "Ultralytics" not in done.stdout + done.stderr
    assert "report.html" in done.stdout
    return path


def begun(drawn: Path, begin: Path, path: Path) -> Run:
    """A run with the settings of `finished`, in this process."""
    names = {name: getattr(Settings, name) for name in Settings.names()}
    config = {
        "data": str(drawn),
        "weights": str(begin),
        "names": None,
        "size": SIZE,
        "seed": 0,
        "hold": 0.0,
        "threads": 1,
    }
    settings = {**names, "epochs": FLAGS["epochs"], "batch": FLAGS["batch"]}
    run = Run(path, {**config, "name": None, "settings": settings}, resume=False)
    dataset = open_labelled(drawn)
    begin_run(run, dataset, roles(dataset, 0.0, 0))
    return run


def test_ok__killed_and_resumed_ends_with_the_same_weights(
    finished: Path, drawn: Path, begin: Path, tmp_path: Path
) -> None:
    undisturbed = begun(drawn, begin, tmp_path / "undisturbed")
    dataset = open_labelled(drawn)
    fit(undisturbed, dataset, roles(dataset, 0.0, 0))
    assert sha256_of(finished / "detector.pt") == sha256_of(undisturbed.path / "detector.pt")
    assert json.loads((finished / "history.json").read_text()) == json.loads(
        (undisturbed.path / "history.json").read_text()
    )


def test_ok__bundle_is_small_whole_and_says_where_it_comes_from(finished: Path, drawn: Path, begin: Path) -> None:
    bundle = load_bundle(bundle_of(finished))
    assert bundle.path == finished / "bundle" / f"things-{SIZE}"
    assert bundle.manifest.labels == ("square", "cat")
    assert {file.runtime for file in bundle.manifest.files} == {"litert", "onnxruntime"}
    assert all(file.precision == "int8" and file.bytes < 4_000_000 for file in bundle.manifest.files)
    assert sorted(path.name for path in (finished / "bundle").iterdir()) == [bundle.name, f"{bundle.name}-fp32"]
    floating = load_bundle(finished / "bundle" / f"{bundle.name}-fp32").manifest
    assert {(file.runtime, file.precision) for file in floating.files} == {
        ("litert", "fp32"),
        ("onnxruntime", "fp32"),
    }
    said = bundle.manifest.provenance
    assert said["base"]["sha256"] == sha256_of(begin)
    assert said["training"]["dataset"] == open_labelled(drawn).fingerprint
    assert {entry["dataset"] for entry in bundle.manifest.metrics} == {"things"}
    card = (bundle.path / "MODEL_CARD.md").read_text()
    assert "12 training photos of `things`" in card
    assert "## Intended use\n\nFinding what its photos showed" in card
    plain = bundle.manifest.metrics[0]
    low, high = plain["quantized_95"]
    assert low <= plain["quantized"] <= high
    assert f"| `{plain['file']}` | {plain['quantized']:.2f} ({low:.1f} to {high:.1f}) |" in card
    assert "COCO val" not in card
    assert "--data things --weights tiny.pt --size 64 --hold 0.0 --seed 0 --threads 1 --epochs 4 --batch 4" in card


def test_ok__report_has_everything_and_stands_alone(finished: Path) -> None:
    page = (finished / "report.html").read_text()
    for wanted in ("Precision over recall", "confusion", "Learning curves", "Float against int8", "fingerprint"):
        assert wanted in page
    assert "mAP50-95, int8, all classes of a box" in page
    assert "averaged float weights on val, all classes of a box" in page
    assert "http://" not in page.replace("http://www.w3.org", "")
    figures = json.loads((finished / "report.json").read_text())
    assert figures["dataset"]["split"] == "val"
    assert (figures["images"], figures["objects"]) == (6, 6)
    assert len(figures["confusion"]) == 3
    low, high = figures["intervals_95"]["mAP50-95"]
    assert low <= figures["mAP50-95"] <= high
    for name in ("curves", "precision-recall", "confusion"):
        assert cv2.imread(str(finished / f"{name}.png")) is not None


def test_ok__config_says_all_settings(finished: Path) -> None:
    config = yaml.safe_load((finished / "config.yaml").read_text())
    assert set(config["settings"]) == set(Settings.names())
    assert config["settings"]["epochs"] == 4
    assert config["seed"] == 0


def test_ok__the_same_answer_by_evaluation_and_by_sereno_detect(finished: Path, drawn: Path, tmp_path: Path) -> None:
    bundle = load_bundle(bundle_of(finished))
    found = measure(bundle, open_labelled(drawn), "val")
    words = ["-m", "device", "detect", str(drawn / "images" / "val"), "--model", str(bundle.path), "--json"]
    done = subprocess.run([sys.executable, *words, "--confidence", "0.05"], capture_output=True, text=True, check=True)
    told = {Path(row["path"]).name: row["detections"] for row in map(json.loads, done.stdout.splitlines())}
    assert len(told) == 6
    assert sum(map(len, told.values())) > 0
    for one in found.seen:
        mine = [(d.class_id, round(d.confidence, 5), [round(v, 2) for v in d.xyxy]) for d in one.above(0.05)]
        assert mine == [(d["class_id"], d["confidence"], d["xyxy"]) for d in told[Path(one.name).name]]
    figures = evaluate(finished, None, tmp_path / "evaluation")
    assert figures["mAP50-95"] == json.loads((finished / "report.json").read_text())["mAP50-95"]
    assert (tmp_path / "evaluation" / "report.html").exists()


def test_ok__predict_draws(finished: Path, drawn: Path, tmp_path: Path) -> None:
    words = [finished, drawn / "images" / "val", "--save", tmp_path / "drawn", "--confidence", 0.05]
    done = CliRunner().invoke(predict, [str(word) for word in words])
    assert done.exit_code == 0, done.output
    saved = sorted((tmp_path / "drawn").glob("*.jpg"))
    assert [path.stem for path in saved] == [str(number) for number in range(6)]
    bundle = load_bundle(bundle_of(finished))
    detector = Detector(bundle, open_interpreter(bundle))
    source = cv2.imread(str(drawn / "images" / "val" / "0.png"))
    if detector.detect(source[..., ::-1].copy(), confidence=0.05):
        assert abs(cv2.imread(str(saved[0])).astype(int) - source).max() > 60


def test_fail__disk_full_in_mid_checkpoint_keeps_the_last_good_one(drawn: Path, begin: Path, tmp_path: Path) -> None:
    run = begun(drawn, begin, tmp_path / "run")
    dataset = open_labelled(drawn)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    said: list[str] = []

    def full_after_the_first(record: object) -> bool:
        said.append(str(record.getMessage()))  # type: ignore[attr-defined]
        if "epoch 2 of 4" in said[-1]:
            resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, limits[1]))
        return True

    run.log.addFilter(full_after_the_first)
    try:
        with pytest.raises(InputError, match=r"no space left .*checkpoint\.pt written before is still there"):
            fit(run, dataset, roles(dataset, 0.0, 0))
    finally:
        run.log.removeFilter(full_after_the_first)
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert torch.load(run.path / "checkpoint.pt", weights_only=True)["epoch"] == 1
    assert [path.name for path in run.path.glob(".part*")] == []
    fit(run, dataset, roles(dataset, 0.0, 0))
    assert len(json.loads((run.path / "history.json").read_text())) == 4
