"""Finished training runs become bundles: Sereno's own models by name, anybody's run by its folder."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from device.errors import InputError
from device.inference.manifest import Bundle
from export import ROOT
from export.bundle import BUNDLES, MODELS
from export.recipes import Untrained

Say = Callable[[str], None]

OWN = ("sereno-cats-dogs", "sereno-cats-dogs-cnn", "sereno-cacao", "sereno-arcface")
"""What `make export` makes of finished runs, into models/."""

RESULTS = {"transfer": "model.keras", "cnn": "model.keras", "detector": "detector.pt", "arcface": "embedder.pt"}
"""By family, the file without which a run is not finished."""

CNN_FLAGS = (
    "--network compact --size 128 --batch 32 --epochs 120 --threads 1",
    "--optimizer sgd --rate 0.05 --schedule cosine --warmup 3 --weight-decay 0.01 --label-smoothing 0.1 --dropout 0.2",
    '--augment "flip smallest_area=0.35 stretch=1.3 rotation=10 brightness=0.3',
    'contrast=0.3 saturation=0.3 hue=10 mixup=0.2"',
)
TRANSFER_FLAGS = ("--threads 1",)
WRAP = " \\\n        "

PETS = (
    "1,600 photos of cats and dogs, 240 of them kept aside to choose by (chanakya2734/Image-classification-using-CNN; "
    "its collector states no licence)",
    "none of these photos is in the bundle",
)
PET_LIMITS = (
    "It says cat or dog whatever it is shown: a fox, a sofa and an empty room get one of the two names, too, often "
    "with high confidence. It learnt from web photos of one animal that fills most of the picture; night pictures, far "
    "animals and several at once were not tested. Measure it on your own camera's photos before anything hangs on it."
)


def export_own(name: str, run: Path | None, say: Say) -> Bundle:
    """One of OWN, of the run given or the newest one that fits.

    Raises:
        InputError: there is no such run, its photos are gone, or a floor is missed.
    """
    if name == "sereno-cacao":
        from export.trained import export_cacao

        return export_cacao(say, run or newest(name, "detector", "cacao"))
    if name == "sereno-arcface":
        from export.embedder_recipes import export_sereno_arcface

        fine_tuned = {"loss": "arcface", "from_scratch": False}
        return export_sereno_arcface(run or newest(name, "arcface", "lfw", fine_tuned), MODELS, say)
    family = "cnn" if name.endswith("-cnn") else "transfer"
    run = run or newest(name, family, "cats_dogs")
    from export.classifier import export_run

    return export_run(run, None, MODELS, say, wanted=cats_dogs(name))


def cats_dogs(name: str) -> Any:
    """What is to be made of a run on cats and dogs: an `export.classifier.Wanted`."""
    from export.classifier import Wanted
    from export.classifier_card import Story

    if name.endswith("-cnn"):
        what = (
            "Tells cats from dogs: a small convolutional network that has seen nothing but these photos, to compare "
            "with what transfer learning makes of them (`sereno-cats-dogs`, which is better)."
        )
        family, flags = "cnn", CNN_FLAGS
    else:
        what = (
            "Tells cats from dogs: MobileNetV2 with torchvision's ImageNet weights (BSD-3-Clause; ImageNet's photos "
            "are for research, the photographers' rights remain), fine-tuned on these photos, quantized after training."
        )
        family, flags = "transfer", TRANSFER_FLAGS
    story = Story(
        what=what,
        intended="To show what training, quantization and a bundle are, on a task that everybody can judge.",
        data=PETS,
        command=(
            f"make train-{family} DATA=../shared/data/cats_dogs ARGS='{WRAP.join(flags)}' \\\n"
            f"      && make export MODEL={name}"
        ),
        limits=PET_LIMITS,
    )
    return Wanted(name, MODELS, BUNDLES, "1.0.0", "AGPL-3.0-or-later", story=story)


def export_any(run: Path, say: Say, parent: Path = BUNDLES) -> Bundle:
    """The bundle of a finished run of any family, `parent/NAME`.

    Raises:
        InputError: the folder holds no finished run, its photos are gone, or a floor is missed.
    """
    config = settings(run)
    family = str(config.get("family"))
    if family not in RESULTS or not (run / RESULTS[family]).is_file():
        wanted = RESULTS.get(family, "model.keras, detector.pt or embedder.pt")
        raise InputError(f"{run} is no finished run: it has no {wanted}; go on with it by --resume")
    if family == "detector":
        from export import trained

        return trained.export_run(run, say, trained.Wanted(config.get("name") or run.resolve().name, parent))
    if family == "arcface":
        from export.embedder_recipes import export_face_run

        return export_face_run(run, parent, say)
    from export.classifier import export_run

    return export_run(run, None, parent, say)


def newest(
    name: str, family: str, data: str, having: Mapping[str, Any] | None = None, runs: Path = ROOT / "runs"
) -> Path:
    """The newest finished run of a family on a folder of photos called `data`, with the settings `having`.

    Raises:
        Untrained: there is none.
    """
    found = sorted(_finished(runs, family, data, having or {}), key=lambda run: (run / RESULTS[family]).stat().st_mtime)
    if not found:
        raise Untrained(
            f"{name} is made of a finished training run, and {runs} has none on {data}: `make train-{family} "
            f"DATA=…/{data}` makes one, or name the run's folder by --weights"
        )
    return found[-1]


def _finished(runs: Path, family: str, data: str, having: Mapping[str, Any]) -> Iterator[Path]:
    for result in runs.glob(f"*/{RESULTS[family]}"):
        if not (result.parent / "config.yaml").is_file():
            continue  # Made by an earlier version, or by something else.
        config = settings(result.parent)
        fits = all(config.get(key) == value for key, value in having.items())
        if fits and config.get("family") == family and Path(str(config.get("data"))).name == data:
            yield result.parent


def settings(run: Path) -> dict[str, Any]:
    """A run's config.yaml. Raises InputError where there is none."""
    try:
        config = yaml.safe_load((run / "config.yaml").read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise InputError(f"{run} holds no training run: its config.yaml cannot be read ({error})") from None
    if not isinstance(config, dict):
        raise InputError(f"{run / 'config.yaml'} is no mapping of settings")
    return config
