"""A run that was killed ends as one that was not; patience, plateaus and best weights do what they say."""

from __future__ import annotations

import hashlib
import json
import math
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import keras
import numpy as np
import pytest

from device.errors import InputError
from training.classifiers.fitting import CHECKPOINT, Learner, Plan, Stages, Validation, cross_entropy
from training.classifiers.pipeline import Batch
from training.interruption import Interruption, Stopped
from training.runs import Run

FLAGS = ["--network", "compact", "--size", "32", "--epochs", "6", "--batch", "4", "--rate", "0.002", "--dropout", "0.3"]
FLAGS += ["--augment", "standard mixup=0.2", "--average", "0.9", "--oversample", "--reduce-on-plateau", "1"]
FLAGS += ["--threads", "1", "--no-bundle"]


def training(*arguments: str | Path) -> subprocess.Popen[bytes]:
    """`python -m training cnn …` in a process of its own."""
    command = [sys.executable, "-m", "training", "cnn", *map(str, arguments)]
    return subprocess.Popen(command, stderr=subprocess.PIPE, env=os.environ | {"OMP_NUM_THREADS": "1"})


def weights_of(run: Path) -> str:
    """sha256 of all that a finished run's checkpoint holds but the time it took."""
    digest = hashlib.sha256()
    with np.load(run / CHECKPOINT) as stored:
        for name in sorted(set(stored.files) - {"state"}):
            digest.update(name.encode() + stored[name].tobytes())
        digest.update(json.dumps(json.loads(str(stored["state"])) | {"seconds": 0}).encode())
    return digest.hexdigest()


def test_ok__killed_in_the_middle_of_an_epoch_and_resumed_it_ends_the_same(photos: Path, tmp_path: Path) -> None:
    undisturbed = training("--data", photos, "--out", tmp_path / "whole", *FLAGS)
    killed = training("--data", photos, "--out", tmp_path / "killed", *FLAGS)
    log = tmp_path / "killed" / "log.txt"
    while killed.poll() is None and "training 2/6" not in (log.read_text() if log.exists() else ""):
        time.sleep(0.02)
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    assert "training 6/6" not in log.read_text(), "killed too late to show anything"
    resumed = training("--resume", tmp_path / "killed")
    assert (undisturbed.wait(), resumed.wait()) == (0, 0), resumed.stderr and resumed.stderr.read().decode()
    assert "going on after epoch" in log.read_text()
    assert weights_of(tmp_path / "killed") == weights_of(tmp_path / "whole")
    assert not [path.name for path in (tmp_path / "killed").iterdir() if path.name.startswith(".part")]


@dataclass
class Noise:
    """A source of points whose label is the side of a line on which they are."""

    steps: int = 6
    stop: Callable[[int, int], None] | None = None

    def epoch(self, number: int) -> Iterator[Batch]:
        """Eight points a batch."""
        rng = np.random.default_rng(number)
        for step in range(self.steps):
            points = rng.normal(size=(8, 4)).astype(np.float32)
            if self.stop:
                self.stop(number, step)
            targets = np.eye(2, dtype=np.float32)[(points.sum(1) > 0).astype(int)]
            yield points, targets, np.ones(8, np.float32)


def small_model() -> keras.Model:
    """Two dense layers with dropout between."""
    keras.utils.set_random_seed(0)
    given = keras.Input((4,))
    x = keras.layers.Dropout(0.2)(keras.layers.Dense(8, activation="relu")(given))
    return keras.Model(given, keras.layers.Dense(2)(x))


def validation(seed: int = 9) -> Validation:
    points = np.random.default_rng(seed).normal(size=(40, 4)).astype(np.float32)
    return Validation(lambda: [points[:30], points[30:]], (points.sum(1) > 0).astype(np.int64))


def fit(path: Path, plan: Plan, source: Noise, *, resume: bool = False, held_out: Validation | None = None) -> Stages:
    run = Run(path, {}, resume=resume)
    with Interruption(run) as interruption:
        stages = Stages(run, interruption)
        stages.fit("only", small_model(), plan, source, held_out or validation())
    return stages


@pytest.mark.parametrize(
    "plan", [Plan(4), Plan(4, "sgd", 0.05, "cosine", 1.0, 1e-3, 0.1), Plan(4, "adamw", average=0.9)]
)
def test_ok__stopped_by_a_signal_and_resumed_it_ends_the_same(tmp_path: Path, plan: Plan) -> None:
    fit(tmp_path / "whole", plan, Noise())

    def interrupt(epoch: int, step: int) -> None:
        if (epoch, step) == (2, 3):
            os.kill(os.getpid(), signal.SIGTERM)

    with pytest.raises(Stopped, match="go on with: python -m training"):
        fit(tmp_path / "stopped", plan, Noise(stop=interrupt))
    fit(tmp_path / "stopped", plan, Noise(), resume=True)
    assert weights_of(tmp_path / "stopped") == weights_of(tmp_path / "whole")


def test_ok__a_finished_stage_is_not_trained_again(tmp_path: Path) -> None:
    fit(tmp_path / "run", Plan(2), Noise())
    before = (tmp_path / "run" / CHECKPOINT).stat().st_mtime_ns
    fit(tmp_path / "run", Plan(2), Noise(), resume=True)
    assert (tmp_path / "run" / CHECKPOINT).stat().st_mtime_ns == before


def test_ok__patience_ends_it_and_the_best_weights_are_taken(tmp_path: Path) -> None:
    """On val with its labels exchanged, each step makes it worse: the first epoch is the best."""
    right = validation()
    wrong = replace(right, labels=1 - right.labels)
    stages = fit(tmp_path / "run", Plan(20, rate=0.05, early_stopping=3), Noise(), held_out=wrong)
    rows = stages.state.history["only"]
    assert len(rows) == 4
    assert stages.state.best[0] == 1
    assert min(rows, key=lambda row: row["val_loss"])["epoch"] == 1


def test_ok__a_later_stage_never_ends_worse_than_it_began(tmp_path: Path) -> None:
    model, held_out = small_model(), validation()
    run = Run(tmp_path / "run", {}, resume=False)
    with Interruption(run) as interruption:
        stages = Stages(run, interruption)
        stages.fit("first", model, Plan(6, rate=0.1), Noise(), held_out)
        learnt = [value.copy() for value in model.get_weights()]
        wild = Plan(2, "sgd", 30.0, average=0.5)
        stages.fit("second", model, wild, Noise(), held_out)
    assert min(row["val_loss"] for row in stages.state.history["second"]) > stages.state.starts["second"]["val_loss"]
    assert all(np.array_equal(a, b) for a, b in zip(model.get_weights(), learnt, strict=True))


def test_ok__a_plateau_halves_the_rate(tmp_path: Path) -> None:
    right = validation()
    plan = Plan(6, rate=0.08, reduce_on_plateau=2)
    stages = fit(tmp_path / "run", plan, Noise(), held_out=replace(right, labels=1 - right.labels))
    assert [row["rate"] for row in stages.state.history["only"]] == [0.08, 0.08, 0.08, 0.04, 0.04, 0.02]


def test_ok__best_weights_are_left_in_the_model(tmp_path: Path) -> None:
    model, held_out = small_model(), validation()
    run = Run(tmp_path / "run", {}, resume=False)
    with Interruption(run) as interruption:
        stages = Stages(run, interruption)
        stages.fit("only", model, Plan(8, rate=0.3, average=0.5), Noise(), held_out)
    logits = np.concatenate([model(points).numpy() for points in held_out.batches()])
    best = min(row["val_loss"] for row in stages.state.history["only"])
    assert cross_entropy(logits, held_out.labels) == pytest.approx(best)


def test_ok__cosine_rises_then_falls_to_nothing() -> None:
    learner = Learner(small_model(), Plan(10, rate=0.1, schedule="cosine", warmup=2), steps=100)
    rates = [learner.rate(at, 1.0) for at in (0, 1, 2, 6, 9.999)]
    assert rates == pytest.approx([0.0005, 0.0505, 0.1, 0.05, 0], abs=1e-4)


def test_ok__class_weights_and_smoothing_enter_the_loss() -> None:
    points = np.random.default_rng(0).normal(size=(8, 4)).astype(np.float32)
    targets = np.eye(2, dtype=np.float32)[np.arange(8) % 2]
    keras.utils.set_random_seed(0)
    given = keras.Input((4,))
    model = keras.Model(given, keras.layers.Dense(2)(given))
    logits = model(points).numpy().astype(np.float64)
    shares = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    weights = np.linspace(0.5, 1.5, 8).astype(np.float32)
    wanted = -(weights * ((targets * 0.8 + 0.1) * np.log(shares)).sum(1)).mean()
    loss, _ = Learner(model, Plan(1, label_smoothing=0.2), 1).learn((points, targets, weights), 0, 1.0)
    assert loss == pytest.approx(wanted, rel=1e-5)


def test_fail__the_loss_explodes(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no longer a number in epoch 1: lower the rate"):
        fit(tmp_path / "run", Plan(3, "sgd", math.inf), Noise())


def test_fail__damaged_checkpoint(tmp_path: Path) -> None:
    fit(tmp_path / "run", Plan(1), Noise())
    file = tmp_path / "run" / CHECKPOINT
    file.write_bytes(file.read_bytes()[:500])
    with pytest.raises(InputError, match=r"checkpoint\.npz is damaged"):
        fit(tmp_path / "run", Plan(1), Noise(), resume=True)
