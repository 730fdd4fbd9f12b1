"""A run from photos to weights: people, crops, base network, steps, checkpoints, report."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from device.errors import ConfigError, InputError
from device.system.fetch import sha256_of
from export.face_crops import CACHE, Aligner, Crops, aligned_crops, photos_fingerprint
from export.face_identities import Faces, open_faces
from export.face_scores import all_pairs
from export.mobilefacenet import MobileFaceNet, load
from export.weights import weights
from training.checkpoints import read_saved, restore
from training.data.checks import check_dataset
from training.distill.quantaware import Float, Range
from training.faces.fitting import Fitting, Settings, as_tensor, both_ways, embeddings, fit
from training.faces.quantaware import observed_ranges, rounded
from training.interruption import Interruption
from training.progress import progress
from training.runs import Run

BASE = "mobilefacenet.pt"
WEIGHTS = "embedder.pt"
"""What a run ends with: a state dict of MobileFaceNet."""

RANGE_FACES = 200
"""Training faces that the ranges of a quantization-aware training are taken from."""


@dataclass(frozen=True)
class Material:
    """The people of a run, aligned."""

    faces: Faces
    train: Crops
    aside: Crops | None


def settings_of(config: Mapping[str, Any]) -> Settings:
    """The settings of a run from its config. Raises ConfigError where they contradict one another."""
    names = Settings.__dataclass_fields__
    settings = Settings(**{name: config[name] for name in names if name in config})
    if settings.from_scratch and config.get("quantization_aware"):
        raise ConfigError("--quantization-aware is for fine-tuning: from scratch there are no ranges to begin with")
    if settings.from_scratch and config.get("weights"):
        raise ConfigError("--from-scratch and --weights contradict each other: leave one out")
    return settings


def prepare(run: Run, aligner: Aligner | None = None, cache: Path = CACHE) -> Material:
    """Find the people of a run's data and align their faces.

    Raises:
        InputError: too few people or photos, someone in two parts, or weights that are none.
        ConfigError: the run was begun with other photos, other people set aside, or other weights.
    """
    config = run.config
    check_dataset(config["data"], "faces", allow_duplicates=config.get("allow_duplicates", False))
    faces = open_faces(Path(config["data"]), config["set_aside"], config["seed"])
    base_network(config)  # Weights that are none are told of before minutes of aligning.
    aligner = aligner or Aligner()
    _hold(run, faces, aligner)
    train = aligned_crops(faces.train, aligner, cache)
    aside = aligned_crops(faces.aside, aligner, cache) if faces.aside else None
    missed = [*train.missed, *(aside.missed if aside else ())]
    run.log.info(
        "%d faces of %d people to train on; %d of %d set aside%s",
        len(train.faces),
        len(train.names),
        len(aside.faces) if aside else 0,
        len(aside.names) if aside else 0,
        f"; no face found in {len(missed)} photos, beginning with {missed[0]}" if missed else "",
    )
    if len(train.names) < 2 or len(train.faces) <= len(train.names):
        raise InputError(f"{config['data']} needs two photos at least of most people; there is one of each")
    return Material(faces, train, aside)


def _hold(run: Run, faces: Faces, aligner: Aligner) -> None:
    """Note what the run works on; gone on with, it is the same, or the weights would be of neither."""
    for name, photos in (("faces", faces.train), ("faces set aside", faces.aside), ("test faces", faces.test)):
        digest = photos_fingerprint(photos, aligner)[:16]
        people = len({photo.person for photo in photos})
        run.same(name, f"{len(photos)} of {people} people ({digest})")
    if faces.pairs is not None:
        run.same("pairs", sha256_of(faces.pairs)[:16])
    if not run.config["from_scratch"]:
        run.same("weights", sha256_of(base_file(run.config))[:16])


def base_file(config: Mapping[str, Any]) -> Path:
    """The weights that a fine-tuning begins with."""
    return Path(config["weights"]) if config.get("weights") else weights(BASE)


def base_network(config: Mapping[str, Any]) -> MobileFaceNet | None:
    """What the run begins with: None from scratch. Raises InputError."""
    return None if config["from_scratch"] else load(base_file(config))


def train(run: Run, material: Material, until: int | None = None) -> MobileFaceNet:
    """All steps of the run, or what is left of them; ends with RUN/embedder.pt.

    Args:
        until: stop after this step as if the machine had been turned off (tests).
    """
    settings = settings_of(run.config)
    fitting = _fitting(run, material, settings)
    checkpoint = run.path / "checkpoint.pt"
    if checkpoint.exists():
        restore(fitting, checkpoint)
        run.log.info("going on at step %d of %d", fitting.step, fitting.total)
    watched: list[dict[str, float]] = read_json(run.path / "aside.json") or []
    watched = [row for row in watched if row["epoch"] * fitting.each_epoch <= fitting.step]

    def keep() -> None:
        with run.writing("checkpoint.pt") as scratch:
            torch.save(fitting.state(), scratch)

    def each_epoch(epoch: int) -> None:
        row = fitting.curve[-1]
        line = (
            f"epoch {epoch} of {settings.epochs}: {settings.loss} {row[settings.loss]:.3f}, anchor {row['anchor']:.4f}"
        )
        if material.aside is not None:
            watched.append({"epoch": epoch, **_look(fitting, material.aside)})
            run.write_json("aside.json", watched)
            line += (
                f"; set aside: EER {100 * watched[-1]['eer']:.2f} %, TAR at FMR 1e-3 {100 * watched[-1]['tar']:.2f} %"
            )
        run.log.info("%s", line)

    with Interruption(run) as interruption, progress(fitting.total, "training", unit="step") as bar:
        bar.advance(fitting.step)

        def after(step: int) -> None:
            bar.note(loss=fitting.curve[-1][settings.loss])
            bar.advance()
            if until is not None and step >= until:
                raise KeyboardInterrupt
            if interruption.asked:
                keep()
            interruption.check()

        try:
            fit(fitting, keep, each_epoch, after)
        except FloatingPointError as error:
            raise InputError(str(error)) from error
    network = fitting.network.eval()
    with run.writing(WEIGHTS) as scratch:
        torch.save(network.state_dict(), scratch)
    run.write_json("curve.json", fitting.curve)
    return network


def _fitting(run: Run, material: Material, settings: Settings) -> Fitting:
    base = base_network(run.config)
    crops = material.train
    if base is None:
        torch.manual_seed(settings.seed)
        return Fitting(MobileFaceNet(), crops.faces, crops.labels, settings)
    rounding = None
    if run.config["quantization_aware"]:
        rounding = rounded(_ranges(run, base, crops))
    return Fitting(base, crops.faces, crops.labels, settings, wanted=_wanted(run, base, crops), rounding=rounding)


def _wanted(run: Run, base: MobileFaceNet, crops: Crops) -> torch.Tensor:
    """What the base network says of each face and its mirror image, computed once a run."""
    kept = run.path / "anchor.pt"
    if not kept.exists():
        run.log.info("embedding %d faces and their mirror images with the base network", len(crops.faces))
        with run.writing(kept.name) as scratch:
            torch.save(both_ways(base, crops.faces), scratch)
    wanted: torch.Tensor = read_saved(kept)
    return wanted


def _ranges(run: Run, base: MobileFaceNet, crops: Crops) -> Mapping[str, Range]:
    kept = run.path / "ranges.json"
    if not kept.exists():
        rows = range(0, len(crops.faces), max(1, len(crops.faces) // RANGE_FACES))
        run.write_json(kept.name, observed_ranges(base, (as_tensor(crops.faces[row : row + 1]) for row in rows)))
    found: dict[str, list[float]] = json.loads(kept.read_text(encoding="utf-8"))
    return {name: (low, high) for name, (low, high) in found.items()}


def _look(fitting: Fitting, aside: Crops) -> dict[str, float]:
    """EER and TAR at FMR 1e-3 on those set aside, as the network is now."""
    training = fitting.network.training
    rounding = fitting.rounding if not training else Float()
    vectors = embeddings(fitting.network.eval(), aside.faces, rounding).numpy()
    fitting.network.train(training)
    found = all_pairs(vectors, aside.labels)
    few = len(found.different) < 1000 or not len(found.same)
    return {
        "eer": found.eer() if len(found.same) else float("nan"),
        "tar": float("nan") if few else found.tar(1e-3),
        "own": float(np.mean(found.same)) if len(found.same) else float("nan"),
    }


def read_json(path: Path) -> Any:
    """A file of the run, None where there is none."""
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else None
