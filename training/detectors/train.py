"""A run of the detector: photos, network, epochs, checkpoint, bundle, report."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import cv2
import torch

from device.errors import ConfigError, InputError
from device.system.fetch import sha256_of
from export.labelled import LabelledPhoto, LabelledSet, open_labelled
from export.metrics import evaluate
from export.trained import export_run
from export.verification import CONFIDENCE, as_found
from training.checkpoints import restore
from training.data.checks import check_dataset
from training.detectors.fitting import Fitting
from training.detectors.network import detached, network_from
from training.detectors.official import official
from training.detectors.photos import Photos
from training.detectors.roles import Roles, roles
from training.detectors.settings import Settings
from training.detectors.watching import float_detector
from training.interruption import Interruption
from training.progress import progress
from training.runs import Run

CHECKPOINT = "checkpoint.pt"
RESULT = "detector.pt"
ALL_CLASSES = "all classes"
"""In a row of history.json: its mAP counts each box with all its classes; rows of earlier versions, its best one."""
CURVE_POINTS = 20
"""So often in a run the float network's mAP is measured."""


def train(run: Run) -> Path:
    """Train, or go on; then export, evaluate and report. Returns the report's path.

    Raises:
        InputError: photos, labels or weights are not what is wanted, the disk is full, or the loss is no number.
        ConfigError: the photos are others than those the run was begun with.
    """
    limit_threads(run.config["threads"])
    root, names, seed = Path(run.config["data"]), run.config["names"], run.config["seed"]
    check_dataset(
        root, "detect", seed=seed, names=names or (), allow_duplicates=run.config.get("allow_duplicates", False)
    )
    dataset = open_labelled(root, names=names, seed=seed)
    parts = roles(dataset, run.config["hold"], run.config["seed"])
    for sentence in dataset.warnings:
        run.log.warning("%s", sentence)
    if not any(len(photo.class_ids) for photo in parts.report):
        raise InputError(
            f"the {len(parts.report)} photos of {parts.split} in {dataset.root} show no object: nothing can be "
            "measured on them; label some, or move some photos there"
        )
    begin_run(run, dataset, parts)
    if not (run.path / RESULT).exists():
        fit(run, dataset, parts)
    bundle = export_run(run.path, run.log.info)
    from training.detectors.evaluation import report

    return report(run, bundle, dataset, parts)


def limit_threads(threads: int) -> None:
    """Of PyTorch and OpenCV."""
    torch.set_num_threads(threads)
    cv2.setNumThreads(threads)


def begin_run(run: Run, dataset: LabelledSet, parts: Roles) -> None:
    """Write down what the run starts from; for one that goes on, see that it is the same."""
    known = run.path / "start.json"
    facts = {"fingerprint": dataset.fingerprint, "labels": list(dataset.labels)}
    if known.exists():
        import json

        was = json.loads(known.read_text(encoding="utf-8"))
        if {key: was[key] for key in facts} != facts:
            raise ConfigError(
                f"the photos or labels in {dataset.root} are not those that {run.path} was begun with: "
                "put them back, or begin a new run (from this one's weights by --weights)"
            )
        return
    weights = starting_weights(run.config)
    facts |= {
        "weights": {"file": weights.name, "sha256": sha256_of(weights)},
        "photos": {"learn": len(parts.learn), "choose": len(parts.choose), "report": len(parts.report)},
        "split": parts.split,
    }
    run.write_json("start.json", facts)


def starting_weights(config: dict[str, Any]) -> Path:
    """The file that the run starts from. Raises InputError."""
    return Path(config["weights"]) if config["weights"] else official(config["model"])


def fit(run: Run, dataset: LabelledSet, parts: Roles) -> None:
    """Train to the end or go on from the last checkpoint: RUN/detector.pt and RUN/history.json. Raises InputError."""
    config = run.config
    settings = Settings(**config["settings"])
    network = network_from(starting_weights(config), dataset.labels, config["seed"])
    photos = Photos(parts.learn, dataset.labels, config["size"], settings, config["seed"])
    fitting = Fitting(network, photos, settings)
    checkpoint = run.path / CHECKPOINT
    if checkpoint.exists():
        restore(fitting, checkpoint)
        run.log.info("going on after epoch %d of %d", fitting.epoch, settings.epochs)
    else:
        run.log.info("%d photos to learn from, %d epochs", len(parts.learn), settings.epochs)
    watched = Watched(parts, dataset.labels, config["size"], settings.epochs)
    left = (settings.epochs - fitting.epoch) * fitting.batches_each
    with Interruption(run) as interruption, progress(left, "training", unit="batch") as bar:
        while fitting.epoch < settings.epochs:
            row = _epoch(fitting, watched, bar, interruption)
            run.log.info("%s", _line(row, settings.epochs))
            with run.writing(CHECKPOINT) as scratch:
                torch.save(fitting.state(), scratch)
    kept = fitting.best if fitting.best is not None else fitting.average.ema.state_dict()
    fitting.average.ema.load_state_dict(kept)
    run.write_json("history.json", fitting.history)
    with run.writing(RESULT) as scratch:
        torch.save({"model": detached(fitting.average.ema)}, scratch)


def _epoch(fitting: Fitting, watched: Watched, bar: Any, interruption: Interruption) -> dict[str, float]:
    def on_batch() -> None:
        bar.advance()
        # What was learnt since the last checkpoint is learnt again, to the same bits.
        interruption.check()

    try:
        row = fitting.train_epoch(on_batch)
    except FloatingPointError as error:
        raise InputError(str(error)) from error
    if watched.due(fitting.epoch):
        row |= watched.measure(fitting.average.ema)
        if watched.chooses:
            fitting.keep_if_best(row["mAP50-95"])
    bar.note(loss=row["box"] + row["cls"] + row["dfl"])
    return row


class Watched:
    """The photos that a run's learning curve is measured on."""

    def __init__(self, parts: Roles, labels: tuple[str, ...], size: int, epochs: int) -> None:
        self.chooses = bool(parts.choose)
        self._photos: list[LabelledPhoto] = list(parts.choose or parts.report)
        self._labels, self._size = labels, size
        self._epochs, self._every = epochs, max(1, epochs // CURVE_POINTS)

    def due(self, epoch: int) -> bool:
        """Whether to measure after this many epochs."""
        return bool(self._photos) and (epoch % self._every == 0 or epoch == self._epochs)

    def measure(self, network: torch.nn.Module) -> dict[str, float]:
        """mAP of the float network, in points."""
        detector = float_detector(network, self._labels, self._size)
        truths, found = [], []
        for photo in self._photos:
            picture = photo.read()
            truths.append(picture.truth)
            found.append(as_found(detector.detect(picture.image, confidence=CONFIDENCE, multi_label=True)))
        scored = evaluate(truths, found)
        return {"mAP50-95": scored.map50_95, "mAP50": scored.map50, ALL_CLASSES: 1.0}


def _line(row: dict[str, float], epochs: int) -> str:
    losses = ", ".join(f"{name} {row[name]:.3f}" for name in ("box", "cls", "dfl"))
    scored = f", mAP50-95 {row['mAP50-95']:.1f}, mAP50 {row['mAP50']:.1f}" if "mAP50-95" in row else ""
    return f"epoch {row['epoch']:.0f} of {epochs}: {losses}{scored}"


def default_threads() -> int:
    """Half of the processors, at least one."""
    return max(1, (os.cpu_count() or 2) // 2)
