"""A face embedder becomes bundles: LiteRT float and int8, ONNX float and int8, each measured before it is written."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from device.access.recognizer import Recognizer
from device.errors import InputError
from device.inference.interpreter import open_interpreter
from device.inference.manifest import Bundle, Runtime
from device.system.fetch import sha256_of
from export import litert, onnx_graph
from export.bundle import Draft, ModelContent, Precision, git_commit, picture_input
from export.calibration import Normalisation, as_input, pixel_span
from export.embedder_card import Told, write_card
from export.face_crops import CACHE, Aligner, Crops, aligned_crops
from export.face_floors import FLOORS, shortfalls
from export.face_identities import open_faces
from export.face_scores import Array
from export.face_verification import (
    Measured,
    closeness,
    embed_all,
    figures,
    find_thresholds,
)
from export.lfw import Fold, read_folds
from export.mobilefacenet import MEAN, SIZE, STD, WIDTH, MobileFaceNet, load

Say = Callable[[str], None]
IMAGENET: Normalisation = (MEAN, STD)
CENTRED: Normalisation = ((127.5,) * 3, (127.5,) * 3)
"""What programs expect of a face embedder in ONNX, insightface among them: [1, 3, 112, 112] RGB from -1 to 1."""

QUANTIZED = ("Conv", "Clip", "Relu")
"""Of the ONNX graph: convolutions with the ReLU6 after them. Without that, ranges are those before it, and embeddings'
cosine to the float ones falls from 0.994 to 0.95; additions gain nothing."""

OUTPUT = "embedding"
PERCENTILE = 97.0
CALIBRATION = 200
"""Aligned training faces whose activations give the ranges."""


class BothWays(nn.Module):
    """The sum of what a network says of a face and of its mirror image.

    A face and its mirror image are the same person's, and errors of the two embeddings partly cancel, those of rounding
    among them. It takes twice the time, and every program that runs the file has it.
    """

    def __init__(self, network: MobileFaceNet) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """[1, 3, 112, 112] -> [1, 128]."""
        found = self.network(torch.cat([x, torch.flip(x, [3])]))
        return found[:1] + found[1:]


class ChannelLast(nn.Module):
    """[1, 112, 112, 3] normalised RGB -> [1, 128]: LiteRT's layout."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """See the class."""
        return self.network(x.permute(0, 3, 1, 2))


class Centred(nn.Module):
    """[1, 3, 112, 112] RGB from -1 to 1 -> [1, 128]: the layout and the numbers that face programs agree on."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network
        mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in IMAGENET)
        self.register_buffer("factor", 127.5 / std)
        self.register_buffer("offset", (127.5 - mean) / std)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """See the class."""
        return self.network(x * self.factor + self.offset)


@dataclass(frozen=True)
class Kind:
    """One file to make, the end of its bundle's name, and how pixels go in."""

    runtime: Runtime
    precision: Precision
    suffix: str


SHIPPED = Kind("litert", "int8", "")
FLOAT = Kind("litert", "fp32", "-fp32")
ALL = (SHIPPED, FLOAT, Kind("onnxruntime", "int8", "-onnx"), Kind("onnxruntime", "fp32", "-onnx-fp32"))


@dataclass(frozen=True)
class Wanted:
    """What is to be made of weights.

    `siblings`: folder for the other files as bundles of their own; None puts them beside the int8 one.
    `kinds`: what to make; the first is the one that ships.
    `both_ways`: the files look at the mirror image, too.
    `floor`: entry of the table of floors that the int8 file is held to, beside that of closeness to the float network.
    """

    name: str
    parent: Path
    version: str = "0"
    siblings: Path | None = None
    kinds: Sequence[Kind] = (SHIPPED, FLOAT)
    both_ways: bool = True
    floor: str | None = None
    command: str = ""
    what: str = ""
    data: Sequence[str] = field(default_factory=tuple)
    draws: int = 200


class Faces:
    """The faces that an export looks at: some to calibrate, some set aside for thresholds, some to report on."""

    def __init__(
        self, root: Path, set_aside: int, seed: int, aligner: Aligner | None = None, cache: Path = CACHE
    ) -> None:
        """Raises InputError where `root` holds too few people, or someone is in train and test."""
        faces = open_faces(root, set_aside, seed)
        aligner = aligner or Aligner()
        self.root = root
        self.train = aligned_crops(faces.train, aligner, cache)
        self.aside = aligned_crops(faces.aside, aligner, cache)
        self.test = aligned_crops(faces.test, aligner, cache) if faces.test else None
        self.folds: list[Fold] = read_folds(faces.pairs) if faces.pairs else []

    @property
    def reported(self) -> Crops:
        """What figures are told of: test, else those set aside."""
        return self.test or self.aside

    @property
    def split(self) -> str:
        """Its name in manifests."""
        return "test" if self.test else "set aside"

    @cached_property
    def calibration(self) -> list[np.ndarray]:
        """Faces of people who were trained on, evenly out of all."""
        rows = np.linspace(0, len(self.train.faces) - 1, min(CALIBRATION, len(self.train.faces))).astype(int)
        return list(self.train.faces[rows])


class Files:
    """The files of one network, each converted once."""

    def __init__(self, network: MobileFaceNet, faces: Faces, *, both_ways: bool = False) -> None:
        self._network: nn.Module = BothWays(network.eval()) if both_ways else network.eval()
        self._faces = faces

    @cached_property
    def litert_float(self) -> bytes:
        """Float LiteRT."""
        return litert.convert(ChannelLast(self._network), SIZE)

    @cached_property
    def onnx_float(self) -> bytes:
        """Float ONNX, as face programs expect it."""
        return onnx_graph.convert(Centred(self._network), SIZE, [OUTPUT], channels_last=False)

    def content(self, kind: Kind) -> bytes:
        """One file."""
        if kind.runtime == "litert":
            return self.litert_float if kind.precision == "fp32" else self._litert_int8()
        return self.onnx_float if kind.precision == "fp32" else self._onnx_int8()

    def _litert_int8(self) -> bytes:
        inputs = (as_input(face, IMAGENET) for face in self._faces.calibration)
        ranges = litert.calibrate(self.litert_float, inputs, pixel_span(IMAGENET), percentile=PERCENTILE)
        return litert.quantize(self.litert_float, ranges)

    def _onnx_int8(self) -> bytes:
        inputs = (as_input(face, CENTRED).transpose(0, 3, 1, 2).copy() for face in self._faces.calibration)
        ranges = onnx_graph.calibrate(self.onnx_float, inputs, pixel_span(CENTRED), percentile=PERCENTILE)
        return onnx_graph.quantize(self.onnx_float, ranges, QUANTIZED)


def export_embedder(
    checkpoint: Path, faces: Faces, wanted: Wanted, say: Say, provenance: Mapping[str, Any], floors: Path = FLOORS
) -> Bundle:
    """Make, measure and write the bundles of one state dict.

    Args:
        checkpoint: of a MobileFaceNet.
        provenance: base weights and training, for the manifest.
        floors: table of floors.
    Returns:
        The int8 bundle `wanted.parent / wanted.name`.
    Raises:
        InputError: a file is further from the float network, or scores less, than its floor allows: it is not written.
    """
    torch.set_num_threads(1)
    network = load(checkpoint)
    files = Files(network, faces, both_ways=wanted.both_ways)
    say(f"{wanted.name}: converting")
    floating = _draft(wanted, FLOAT, files, faces, checkpoint, provenance)
    reference = _vectors(floating, faces, say)
    measured_float = _measure(reference, reference, faces, wanted.draws)
    made = []
    for kind in wanted.kinds:
        if kind == FLOAT:
            draft, measured = floating, measured_float
        else:
            draft = _draft(wanted, kind, files, faces, checkpoint, provenance)
            measured = _measure(reference, _vectors(draft, faces, say), faces, wanted.draws)
        _hold(wanted, kind, measured_float, measured, floors)
        _complete(draft, wanted, faces, measured_float, measured)
        made.append(draft.write(wanted.parent if not made else wanted.siblings or wanted.parent))
        say(f"{draft.name}: {_line(measured)}; written to {made[-1].path}")
    return made[0]


def _draft(
    wanted: Wanted, kind: Kind, files: Files, faces: Faces, checkpoint: Path, provenance: Mapping[str, Any]
) -> Draft:
    given = picture_input(SIZE, kind.precision, IMAGENET)
    if kind.runtime == "onnxruntime":
        given |= {"layout": "NCHW", "dtype": "float32", "mean": [127.5] * 3, "std": [127.5] * 3}
    return Draft(
        name=f"{wanted.name}{kind.suffix}",
        version=wanted.version,
        task="embed",
        input=given,
        output={"decode": "embedding", "size": WIDTH, "both_ways": wanted.both_ways},
        files=[ModelContent(kind.runtime, kind.precision, files.content(kind))],
        licence="Apache-2.0",
        provenance={
            **provenance,
            "checkpoint": {"file": checkpoint.name, "sha256": sha256_of(checkpoint)},
            "command": wanted.command,
            "git_commit": git_commit(),
            "dataset": faces.train.fingerprint,
            "date": f"{datetime.now(UTC):%Y-%m-%d}",
        },
    )


@dataclass(frozen=True)
class _Vectors:
    """Unit embeddings of each part, by one file."""

    train: Array
    aside: Array
    test: Array | None


def _vectors(draft: Draft, faces: Faces, say: Say) -> _Vectors:
    """Everything through the device's recognizer."""
    say(f"{draft.name}: embedding")
    with tempfile.TemporaryDirectory() as scratch:
        bundle = draft.write(Path(scratch))
        recognizer = Recognizer(bundle, open_interpreter(bundle))
        return _Vectors(
            embed_all(recognizer, faces.train, bundle),
            embed_all(recognizer, faces.aside, bundle),
            embed_all(recognizer, faces.test, bundle) if faces.test else None,
        )


def _measure(reference: _Vectors, found: _Vectors, faces: Faces, draws: int) -> Measured:
    reported = found.aside if found.test is None else found.test
    folds = faces.folds if found.test is not None else []
    return Measured(
        plain=figures(reported, faces.reported, folds, draws=draws),
        corrected=figures(reported, faces.reported, folds, correct=True, draws=draws),
        thresholds=find_thresholds(found.aside, faces.aside.labels, found.train),
        close=closeness(reference.aside, found.aside),
    )


def _hold(wanted: Wanted, kind: Kind, reference: Measured, measured: Measured, floors: Path) -> None:
    entry = wanted.floor if kind == SHIPPED else None
    failed = shortfalls(reference.plain, measured.plain, measured.close, kind.precision, entry, floors)
    if failed:
        raise InputError(f"{wanted.name}{kind.suffix} is not written: {'; '.join(failed)}")


def _complete(draft: Draft, wanted: Wanted, faces: Faces, reference: Measured, measured: Measured) -> None:
    """Thresholds, figures and card."""
    draft.thresholds = measured.thresholds.manifest()
    draft.provenance["thresholds"] = measured.thresholds.provenance()
    common = {"dataset": faces.root.name, "split": faces.split, "file": draft.files[0].path}
    counts = {"photos": measured.plain.photos, "people": measured.plain.people}
    for labels, one, other in (
        ("as published", reference.plain, measured.plain),
        ("corrected", reference.corrected, measured.corrected),
    ):
        for name, value in other.rows().items():
            entry = {**common, **counts, "labels": labels, "metric": name}
            draft.metrics.append({**entry, "float": round(one.rows()[name], 2), "quantized": round(value, 2)})
    draft.metrics.append(
        {**common, "metric": "mean cosine to float", "float": 1.0, "quantized": round(measured.close.mean, 4)}
    )
    draft.card = write_card(
        draft, Told(wanted.what, wanted.data, wanted.command), reference.plain, measured, faces.split, faces.root.name
    )


def _line(measured: Measured) -> str:
    return ", ".join(f"{name} {cell}" for name, cell in measured.plain.cells().items()) + (
        f"; cosine to float {measured.close.mean:.4f} in the mean, {measured.close.least:.4f} at least"
    )
