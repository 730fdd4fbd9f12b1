"""A finished run of a classifier becomes bundles: int8 and float, LiteRT and ONNX, measured before they are written."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from device.datatypes import Image
from device.detection.classifier import Classifier, Fitting
from device.errors import InputError
from device.inference.manifest import Bundle, InputSpec, Runtime, load_bundle
from device.system.fetch import sha256_of
from export import classifier_verification as verification
from export import keras_litert
from export.bundle import Draft, Precision, git_commit, picture_input
from export.classification import Answers, Closeness, closeness
from export.classifier_card import Story, write_card
from export.classifier_files import Files
from export.datasets import Dataset, Sample, open_dataset
from export.verification import FLOORS
from export.weights import ON_REQUEST, WEIGHTS

Say = Callable[[str], None]

MODEL = "model.keras"
CALIBRATION = 100
"""Training photos that the ranges come from, and as many others to choose the rule by; more change nothing."""

COMPARED = 24
"""Held-out photos on which the float file is compared with Keras itself."""

RUNTIMES: tuple[Runtime, ...] = ("litert", "onnxruntime")

BASES = {
    "mobilenetv2": "mobilenet_v2-b0353104.pth",
    "efficientnetlite0": "efficientnet-lite0-57934424.pth",
    "efficientnetlite2": "efficientnet-lite2-9656183e.pth",
}
"""Which of `export.weights` a backbone began with."""


@dataclass(frozen=True)
class Wanted:
    """What is to be made of a run, where it is not the usual pair of bundles.

    `parent` is where the int8 bundle goes, `float_parent` where its float sibling NAME-fp32 goes: beside it where None.
    """

    name: str
    parent: Path
    float_parent: Path | None = None
    version: str = "0"
    licence: str = "not stated: that of the training photos and of the base weights counts"
    runtimes: Sequence[Runtime] = RUNTIMES
    story: Story = field(default_factory=Story)


@dataclass(frozen=True)
class Subject:
    """The run, its network's input, its data, and which of its pictures are looked at for what."""

    run: Path
    config: Mapping[str, Any]
    dataset: Dataset
    size: int

    @property
    def split(self) -> str:
        """Where figures are measured: the test part, and the val part where there is none."""
        return "test" if self.dataset.splits.get("test") else "val"

    @property
    def held_out(self) -> Sequence[Sample]:
        """The pictures of that part."""
        return self.dataset.splits[self.split]

    @property
    def resize(self) -> Any:
        """The manifest's word for it."""
        return self.config.get("resize", "stretch")

    def squares(self, samples: Sequence[Sample]) -> list[Image]:
        """Pictures as the device fits them."""
        fit = Fitting(InputSpec(width=self.size, height=self.size, resize=self.resize))
        return [fit(self.dataset.read(sample)).copy() for sample in samples]

    def from_training(self) -> tuple[list[Image], list[Image]]:
        """Two sets of training pictures, evenly out of all of them: for the ranges, and for choosing their rule."""
        train = self.dataset.splits["train"]
        if not train:
            raise InputError(f"{self.dataset.root} has no training photos; int8 ranges come from them alone")
        places = np.linspace(0, len(train) - 1, min(2 * CALIBRATION, len(train))).round().astype(int)
        chosen = [train[place] for place in np.unique(places)]
        return self.squares(chosen[::2]), self.squares(chosen[1::2] or chosen)


def export_run(
    run: Path,
    dataset: Dataset | None,
    parent: Path,
    say: Say,
    *,
    wanted: Wanted | None = None,
    floors: Path = FLOORS,
) -> Bundle:
    """The int8 bundle of a finished run and, as NAME-fp32, its float sibling.

    Each file is measured on the run's test photos by the device's own classifier, the float ones are compared with
    Keras, and nothing is written that loses more than the table of floors allows.

    Args:
        run: folder with model.keras and config.yaml.
        dataset: that the run was trained on, with the same splits; None opens it as the run's settings say.
        parent: of the bundles, unless `wanted` names others.
        say: takes each line for the person who waits.
    Returns:
        The int8 bundle.
    Raises:
        InputError: the run is not finished, its photos are gone, a converter got it wrong, or a floor is missed.
    """
    config = settings_of(run)
    dataset = dataset or open_dataset(Path(config["data"]), seed=config.get("split_seed", config.get("seed", 0)))
    model = keras_litert.load(run / MODEL)
    subject = Subject(run, config, dataset, int(model.inputs[0].shape[1]))
    if model.outputs[0].shape[-1] != len(dataset.labels):
        raise InputError(
            f"{run} tells {model.outputs[0].shape[-1]} classes apart and {dataset.root} has {len(dataset.labels)}: "
            "it was trained on other photos"
        )
    wanted = wanted or Wanted(_name(config, dataset), parent)
    say(f"{wanted.name}: converting")
    files = Files(model, *subject.from_training())
    drafts = {precision: _draft(subject, wanted, files, precision) for precision in ("fp32", "int8")}
    with tempfile.TemporaryDirectory() as scratch:
        made = {precision: draft.write(Path(scratch)) for precision, draft in drafts.items()}
        _require_same(subject, model, made["fp32"])
        answers = _ask(subject, wanted.name, made)
    _verify(subject, wanted, drafts, answers, say, floors)
    # The float one first: who finds the int8 bundle finds its sibling, too.
    drafts["fp32"].write(wanted.float_parent or wanted.parent)
    bundle = drafts["int8"].write(wanted.parent)
    say(f"{wanted.name}: written to {bundle.path}")
    return bundle


def made_before(run: Path, dataset: Dataset, parent: Path) -> Bundle | None:
    """The run's int8 bundle where an export of the same network, photos and code has made it whole, float sibling too.

    None in a checkout whose export/ or training/ differs from its commit: nobody knows what another export would give.
    """
    commit, name = git_commit(), _name(settings_of(run), dataset)
    if commit == "unknown" or commit.endswith("-dirty"):
        return None
    try:
        found = [load_bundle(parent / one) for one in (name, f"{name}-fp32")]
    except InputError:
        return None
    wanted = {
        "checkpoint": {"file": MODEL, "sha256": sha256_of(run / MODEL)},
        "dataset": dataset.fingerprint,
        "git_commit": commit,
    }
    told = [bundle.manifest.provenance for bundle in found]
    return found[0] if all(one.get(key) == wanted[key] for one in told for key in wanted) else None


def settings_of(run: Path) -> dict[str, Any]:
    """A run's config.yaml. Raises InputError where the folder holds no finished run of a classifier."""
    for name in ("config.yaml", MODEL):
        if not (run / name).is_file():
            raise InputError(f"{run} is no finished run of a classifier: it has no {name}")
    config = yaml.safe_load((run / "config.yaml").read_text(encoding="utf-8"))
    if not isinstance(config, dict) or "data" not in config:
        raise InputError(f"{run / 'config.yaml'} does not say by `data` which photos the run was trained on")
    return config


def _name(config: Mapping[str, Any], dataset: Dataset) -> str:
    network = config.get("backbone") or config.get("network") or config.get("family", "classifier")
    name = config.get("name") or f"{dataset.root.resolve().name}-{network}"
    return re.sub(r"[^A-Za-z0-9._-]+", "-", str(name)).strip("-._")[:90] or "classifier"


def _draft(subject: Subject, wanted: Wanted, files: Files, precision: Precision) -> Draft:
    contents = [files.content(runtime, precision) for runtime in wanted.runtimes]
    return Draft(
        name=wanted.name if precision == "int8" else f"{wanted.name}-fp32",
        version=wanted.version,
        task="classify",
        input=picture_input(
            subject.size, precision, files.normalisation(precision), color=files.bare.color, resize=subject.resize
        ),
        output={"decode": "logits"},
        files=contents,
        licence=wanted.licence,
        provenance=_provenance(subject, wanted, files if precision == "int8" else None),
        labels=subject.dataset.labels,
    )


def _provenance(subject: Subject, wanted: Wanted, quantized: Files | None) -> dict[str, Any]:
    config, dataset = subject.config, subject.dataset
    base = next(
        (asset for asset in (*WEIGHTS, *ON_REQUEST) if asset.name == BASES.get(str(config.get("backbone")))), None
    )
    return {
        "base": {"file": base.name, "sha256": base.sha256, "licence": base.licence} if base else "none",
        "checkpoint": {"file": MODEL, "sha256": sha256_of(subject.run / MODEL)},
        "command": wanted.story.command or f"python -m export {subject.run.name}",
        "git_commit": git_commit(),
        "dataset": dataset.fingerprint,
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
        "training": {
            "data": dataset.root.resolve().name,
            "photos": {split: len(samples) for split, samples in dataset.splits.items()},
            "split_seed": config.get("split_seed", config.get("seed", 0)),
            "settings": {key: value for key, value in config.items() if value is not None and key != "data"},
        },
        **({"calibration": _calibration(quantized)} if quantized else {}),
    }


def _calibration(files: Files) -> dict[str, Any]:
    return {"photos": CALIBRATION, "split": "train", "percentile": dict(files.percentile)}


def _require_same(subject: Subject, model: Any, bundle: Bundle) -> None:
    """Refuse float files that do not compute what Keras does, rounding aside. Raises InputError."""
    samples = list(subject.held_out[:: max(1, len(subject.held_out) // COMPARED)])[:COMPARED]
    squares = np.stack(subject.squares(samples)).astype(np.float32)
    expected = np.asarray(model(squares, training=False), np.float64)
    for path, found in verification.ask(verification.classifiers_of(bundle), subject.dataset, samples).items():
        largest, scale = float(np.abs(found.scores - expected).max()), max(1.0, float(np.abs(expected).max()))
        if not largest <= verification.ROUNDING * scale:
            raise InputError(
                f"{bundle.name}, {path}: a logit differs by {largest:.3g} from the network's in Keras, more than "
                "rounding: the converter got it wrong"
            )


def _ask(subject: Subject, name: str, made: Mapping[Precision, Bundle]) -> dict[tuple[Precision, str], Answers]:
    """What each file says of the held-out pictures, each picture read once."""
    classifiers: dict[str, Classifier] = {}
    for precision, bundle in made.items():
        classifiers |= {f"{precision} {path}": one for path, one in verification.classifiers_of(bundle).items()}
    answers = verification.ask_with_bar(classifiers, subject.dataset, subject.held_out, name)
    return {(key.split(" ", 1)[0], key.split(" ", 1)[1]): found for key, found in answers.items()}  # type: ignore[misc]


def _verify(
    subject: Subject,
    wanted: Wanted,
    drafts: Mapping[Precision, Draft],
    answers: Mapping[tuple[Precision, str], Answers],
    say: Say,
    floors: Path,
) -> None:
    """Hold every file to its floors, and complete the drafts with figures and cards. Raises InputError."""
    reference = answers["fp32", drafts["fp32"].files[0].path]
    failed: list[str] = []
    results = verification.table({f"{path}, {precision}": found for (precision, path), found in answers.items()})
    say(f"{wanted.name}: {subject.split}, {len(reference)} photos, points and 95 % intervals\n{results}")
    for precision, draft in drafts.items():
        floor = verification.floors_for(wanted.name, precision, floors)
        close: dict[str, Closeness] = {}
        for file in draft.files:
            found = answers[precision, file.path]
            close[file.path] = closeness(reference, found)
            failed += verification.shortfalls(f"{draft.name}, {file.path},", found, close[file.path], floor)
            common = {"dataset": subject.dataset.root.resolve().name, "split": subject.split, "file": file.path}
            common |= {"images": len(reference), "classes": reference.classes}
            draft.metrics += verification.metrics(reference, found, close[file.path], common)
            say(_told(draft.name, file.path, close[file.path]))
        draft.card = write_card(draft, wanted.story, subject.dataset, subject.split, results, close)
    if failed:
        raise InputError(f"{wanted.name} is not written: {'; '.join(failed)}")


def _told(name: str, path: str, close: Closeness) -> str:
    return (
        f"{name}, {path}: {close.lost:+.2f} points of top-1 lost ({close.worse} photos only right in float, "
        f"{close.better} only here), KL to float {close.kl:.4f}, largest difference of a logit {close.largest:.3g}"
    )
