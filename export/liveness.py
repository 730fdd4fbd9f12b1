"""MiniFASNet's weights become bundles: float and int8, each compared with the network in PyTorch before it is written.

`python -m export minifasnet` writes `minifasnet-v2` and `minifasnet-v1se`, what the door looks through, and their int8
twins, into .cache/bundles.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch

from device.access.liveness.minifasnet import LivenessNetwork
from device.datatypes import Image
from device.errors import InputError
from device.inference.interpreter import open_interpreter
from device.inference.manifest import Bundle
from device.system.fetch import sha256_of
from export import litert
from export.bundle import BUNDLES, Draft, ModelContent, Precision, git_commit, picture_input
from export.calibration import Normalisation, as_input, pixel_span
from export.liveness_card import write_card
from export.liveness_network import CLASSES, SIZE, MiniFASNet, Probabilities, load
from export.liveness_photos import Presented, presented
from export.weights import WEIGHTS, weights

Say = Callable[[str], None]

RAW: Normalisation = ((0.0,) * 3, (1.0,) * 3)
"""The networks were trained on 0 to 255."""
VERSION = "1.0.0"
CLOSEST = 1e-4
"""A float file may differ so much from PyTorch in any probability."""
PERCENTILE = 100.0


@dataclass(frozen=True)
class Published:
    """One network: its bundle, its weights and how far about a face it looks."""

    name: str
    file: str
    scale: float


PUBLISHED = (
    Published("minifasnet-v2", "2.7_80x80_MiniFASNetV2.pth", 2.7),
    Published("minifasnet-v1se", "4_0_0_80x80_MiniFASNetV1SE.pth", 4.0),
)


@dataclass(frozen=True)
class Closeness:
    """A file against its network in PyTorch, over crops: differences of the probability of `live`, and how often both
    say the same class."""

    most: float
    mean: float
    same: float
    crops: int


def export_minifasnet(data: Path, say: Say, parent: Path = BUNDLES) -> list[Bundle]:
    """Make, compare and write all bundles.

    Args:
        data: with `lfw/train`: faces to calibrate on and to compare by.
        say: told how far it is.
        parent: where they go.
    Returns:
        The float bundles, then their int8 twins.
    Raises:
        InputError: weights or photos are missing, or a float file differs from its network.
    """
    torch.set_num_threads(1)
    crops = presented(data)
    pairs = [_both(published, crops, say, parent) for published in PUBLISHED]
    return [pair[0] for pair in pairs] + [pair[1] for pair in pairs]


def _both(published: Published, crops: Presented, say: Say, parent: Path) -> tuple[Bundle, Bundle]:
    file = weights(published.file)
    network = load(file)
    say(f"{published.name}: converting")
    floating = litert.convert(Probabilities(network), SIZE)
    small = _int8(floating, crops.cut(published.scale, "calibration"))
    compared = crops.cut(published.scale, "comparison")
    reference = by_torch(network, compared)
    made = []
    for precision, content in (("fp32", floating), ("int8", small)):
        draft = _draft(published, precision, content, file, crops)
        close = closeness(reference, _by_device(draft, compared))
        if precision == "fp32" and close.most > CLOSEST:
            raise InputError(f"{draft.name} is not written: it differs by {close.most:.1e} from its network")
        _complete(draft, close, crops)
        made.append(draft.write(parent))
        say(
            f"{draft.name}: differs by {close.mean:.2g} in the mean and {close.most:.2g} at most in {close.crops} "
            f"crops, the same class in {close.same:.1%}; written to {made[-1].path}"
        )
    return made[0], made[1]


def _int8(floating: bytes, squares: Sequence[Image]) -> bytes:
    inputs = (as_input(square[..., ::-1], RAW) for square in squares)
    return litert.quantize(floating, litert.calibrate(floating, inputs, pixel_span(RAW), percentile=PERCENTILE))


def by_torch(network: MiniFASNet, squares: Sequence[Image]) -> np.ndarray:
    """What the network itself says of crops (80x80x3 uint8 RGB each): [N, 3] float32."""
    with torch.no_grad():
        asked = Probabilities(network)
        return np.concatenate([asked(torch.from_numpy(as_input(one[..., ::-1], RAW))).numpy() for one in squares])


def _by_device(draft: Draft, squares: Sequence[Image]) -> np.ndarray:
    """The same by the device's interpreter."""
    with tempfile.TemporaryDirectory() as scratch:
        bundle = draft.write(Path(scratch))
        network = LivenessNetwork(bundle, open_interpreter(bundle))
        return np.stack([network.judge_crop(square) for square in squares])


def closeness(reference: np.ndarray, found: np.ndarray) -> Closeness:
    """How near `found` [N, 3] is to `reference`."""
    off = np.abs(reference - found)
    same = float((reference.argmax(axis=1) == found.argmax(axis=1)).mean())
    return Closeness(float(off.max()), float(off.mean()), same, len(found))


def _draft(published: Published, precision: Precision, content: bytes, file: Path, crops: Presented) -> Draft:
    asset = next(asset for asset in WEIGHTS if asset.name == published.file)
    given: dict[str, Any] = picture_input(SIZE, precision, RAW, color="BGR") | {"face_scale": published.scale}
    return Draft(
        name=published.name if precision == "fp32" else f"{published.name}-int8",
        version=VERSION,
        task="liveness",
        input=given,
        output={"decode": "minifasnet"},
        files=[ModelContent("litert", precision, content)],
        licence=asset.licence,
        labels=CLASSES,
        provenance={
            "base_weights": {"name": asset.name, "sha256": sha256_of(file), "licence": asset.licence},
            "source": asset.urls[0],
            "command": "make export MODEL=minifasnet",
            "git_commit": git_commit(),
            "dataset": crops.fingerprint,
            "date": f"{datetime.now(UTC):%Y-%m-%d}",
        },
    )


def _complete(draft: Draft, close: Closeness, crops: Presented) -> None:
    """Figures and card."""
    common = {"dataset": crops.name, "split": "train, not calibrated on", "file": draft.files[0].path}
    for metric, value, perfect in (
        ("largest difference of a probability to PyTorch", close.most, 0.0),
        ("mean difference of a probability to PyTorch", close.mean, 0.0),
        ("same class as PyTorch", close.same, 1.0),
    ):
        entry = {**common, "crops": close.crops, "metric": metric, "float": perfect}
        draft.metrics.append({**entry, "quantized": round(value, 6)})
    draft.card = write_card(draft, close.most, close.mean, close.same, close.crops)
