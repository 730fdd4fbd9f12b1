"""Detectors trained on one's own photos become bundles: their own labels, their training photos for calibration."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from device.errors import InputError
from device.inference.manifest import Bundle, find_bundle
from export import ROOT
from export.bundle import BUNDLES, MODELS
from export.card import Story
from export.dataset import Material
from export.detector import export
from export.labelled import LabelledSet, open_labelled
from export.recipes import Product, Recipe, Runtime

CALIBRATION = 128
"""Training photos that the ranges come from, at most: evenly out of all of them. More change nothing that counts."""

RESULT = "detector.pt"

COMPARED = "the same weights in PyTorch"
INTENDED = (
    "Finding what its photos showed, with a camera like theirs, where a person looks at what was found before anything "
    "hangs on it."
)
LIMITS = (
    "It knows what its training photos showed: other cameras, light, seasons and backgrounds were never tested. It "
    "misses and mistakes\nthings; where much hangs on its word, measure it on your own photos first."
)


BOTH: Sequence[Runtime] = ("litert", "onnxruntime")


@dataclass(frozen=True)
class Wanted:
    """What is to be made of a run, where it is not the usual bundles in RUN/bundle.

    `runtimes`: of the int8 bundle NAME. A runtime that is left out gets an int8 bundle of its own, NAME-onnx; the float
    files are in NAME-fp32. `siblings`: folder for these two; None puts them beside the first.
    """

    name: str
    parent: Path
    version: str = "0"
    runtimes: Sequence[Runtime] = BOTH
    siblings: Path | None = None
    floors: str = "detect-own"
    command: str = ""
    what: str = ""
    intended: str = INTENDED
    data: Sequence[str] = ()
    limits: str = LIMITS

    def products(self, size: int) -> list[Product]:
        """The int8 bundle first."""
        beside = self.siblings or self.parent
        products = [Product(self.name, size, "int8", self.runtimes, self.parent)]
        if "onnxruntime" not in self.runtimes:
            products.append(Product(f"{self.name}-onnx", size, "int8", ("onnxruntime",), beside))
        return [*products, Product(f"{self.name}-fp32", size, "fp32", BOTH, beside)]


def export_run(
    run: Path, say: Callable[[str], None], wanted: Wanted | None = None, floors: Path | None = None
) -> Bundle:
    """The bundles of a finished run of `python -m training detector`: int8 and float, LiteRT and ONNX.

    Args:
        floors: table of floors; default tests/floors.json.
    Returns:
        The int8 bundle, `wanted.name`.
    Raises:
        InputError: the run is not finished, its photos are gone, or a file loses more than its floor allows.
    """
    config, start = _read(run)
    dataset = open_labelled(Path(config["data"]), names=config["names"], seed=config["seed"])
    if dataset.fingerprint != start["fingerprint"]:
        raise InputError(f"the photos in {dataset.root} are not those that {run} was trained on: the export needs them")
    wanted = wanted or Wanted(config["name"] or usual_name(dataset, config["size"]), run / "bundle")
    material = _material(dataset, start, wanted)
    checkpoint = run / RESULT
    recipe = Recipe(
        wanted.name,
        checkpoint,
        checkpoint,
        wanted.version,
        "AGPL-3.0-or-later",
        _story(dataset, start, wanted, config),
        wanted.products(config["size"]),
    )
    return export(recipe, material, say, floors)[0]


CACAO = Wanted(
    name="sereno-cacao",
    parent=MODELS,
    version="1.0.0",
    runtimes=("litert",),
    siblings=BUNDLES,
    floors="sereno-cacao",
    command="make train-detector DATA=../shared/data/cacao "
    "ARGS='--names sano,monilia,fitoftora --bfloat16 --threads 1 --out runs/detector-cacao' && "
    "make export MODEL=sereno-cacao",
    what=(
        "Finds cacao pods and says whether they are healthy (sano), have frosty pod rot (monilia) or black pod "
        "(fitoftora). YOLOv8n of Ultralytics (assets v8.3.0, AGPL-3.0), trained further on 240 photos of pods; "
        "quantized after training."
    ),
    intended=(
        "To show what a detector of one's own is, from labelled photos to the file on the device; a first look at "
        "photos of pods by someone who knows the diseases."
    ),
    data=(
        "240 training photos of cacao pods, one pod in most of them, in front of leaves and soil "
        "(JohnMitchelDupitas/Cacao-disease-detection; its collector states no licence); the ranges come from 128 of "
        "them",
        "60 other photos of the same collection for the figures: neither weights nor settings were chosen by them",
        "none of these photos is in the bundle",
    ),
    limits=(
        "A demonstration of one's own data, no agronomist: it was measured on 60 photos of the collection that it "
        "learnt from.\nOther farms, varieties, cameras and diseases were never tested; early rot looks healthy, and "
        "one rot like the other."
    ),
)
"""The bundle that ships."""


def export_cacao(say: Callable[[str], None], run: Path | None = None, floors: Path | None = None) -> Bundle:
    """`models/sereno-cacao` of a finished run on the cacao photos; the newest `runs/detector-cacao*` where left out.

    Raises:
        InputError: there is none, or as `export_run`.
    """
    if run is None:
        made = sorted((ROOT / "runs").glob(f"detector-cacao*/{RESULT}"), key=lambda path: path.stat().st_mtime)
        if not made:
            raise InputError(
                "sereno-cacao is made of a finished training run, and runs/ has no detector-cacao*: `make "
                "train-detector` with --out runs/detector-cacao makes one"
            )
        run = made[-1].parent
    return export_run(run, say, CACAO, floors)


def usual_name(dataset: LabelledSet, size: int) -> str:
    """A bundle's name after the data's folder, without what a manifest does not allow in one."""
    plain = re.sub(r"[^A-Za-z0-9._-]+", "-", dataset.name).strip("-._")
    return f"{plain[:80] or 'detector'}-{size}"


def bundle_of(run_or_bundle: Path) -> Path:
    """The bundle's folder, where a run is meant that of its bundle.

    Raises:
        InputError: it is neither.
    """
    if (run_or_bundle / "config.yaml").is_file():
        made = sorted(path.parent for path in (run_or_bundle / "bundle").glob("*/manifest.json"))
        if not made:
            raise InputError(f"{run_or_bundle} holds no bundle yet: finish it by --resume")
        return made[0]
    return find_bundle(run_or_bundle)


def _read(run: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    for name in ("config.yaml", "start.json", RESULT):
        if not (run / name).is_file():
            raise InputError(f"{run} is no finished run of a detector: it has no {name}")
    return yaml.safe_load((run / "config.yaml").read_text("utf-8")), json.loads((run / "start.json").read_text("utf-8"))


def _material(dataset: LabelledSet, start: dict[str, Any], wanted: Wanted) -> Material:
    train = [photo.path for photo in dataset.splits["train"]]
    chosen = np.unique(np.linspace(0, len(train) - 1, min(CALIBRATION, len(train))).round().astype(int))
    return Material(
        calibration=[train[i] for i in chosen],
        held_out=[photo.read() for photo in dataset.splits[start["split"]]],
        dataset=dataset.name,
        split=start["split"],
        floors=wanted.floors,
        multi_label=True,
        provenance={
            "base": {**start["weights"], "licence": "AGPL-3.0"},
            "training": {"dataset": dataset.fingerprint, "photos": start["photos"]},
        },
    )


def _story(dataset: LabelledSet, start: dict[str, Any], wanted: Wanted, config: dict[str, Any]) -> Story:
    what = wanted.what or (
        f"A YOLOv8 detector that was trained on {start['photos']['learn']} photos of `{dataset.name}`, beginning with "
        f"the weights of `{start['weights']['file']}`. Quantized after training."
    )
    data = wanted.data or [f"{start['photos']['learn']} training photos of `{dataset.name}`, also for the ranges"]
    command = wanted.command or _command(dataset, start, config)
    return Story(what, data, command, COMPARED, wanted.limits, wanted.intended)


def _command(dataset: LabelledSet, start: dict[str, Any], config: dict[str, Any]) -> str:
    """What to type for the same run, without the paths of whoever trained it."""
    words = [f"python -m training detector --data {dataset.name}"]
    words += [f"--weights {start['weights']['file']}"] if config["weights"] else [f"--model {config['model']}"]
    words += [f"--names {','.join(config['names'])}"] if config["names"] else []
    words += [f"--{name} {config[name]}" for name in ("size", "hold", "seed", "threads")]
    flags = ("epochs", "batch", "rate", "freeze", "mosaic", "close_mosaic")
    words += [f"--{name.replace('_', '-')} {config['settings'][name]}" for name in flags]
    return " ".join([*words, *(["--bfloat16"] if config["settings"]["bfloat16"] else [])])
