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
import yaml
from torch import nn

from device.access.recognizer import Recognizer
from device.errors import InputError
from device.inference.interpreter import open_interpreter
from device.inference.manifest import Bundle, Runtime
from device.system.fetch import sha256_of
from export import litert, onnx_graph
from export.bundle import BUNDLES, Draft, ModelContent, Precision, git_commit, picture_input
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
from export.mobilefacenet import MEAN, SIZE, STD, MobileFaceNet, load
from export.weights import WEIGHTS, weights

Say = Callable[[str], None]
BASE = "mobilefacenet.pt"

IMAGENET: Normalisation = (MEAN, STD)
CENTRED: Normalisation = ((127.5,) * 3, (127.5,) * 3)
"""What programs expect of a face embedder in ONNX, insightface among them: [1, 3, 112, 112] RGB from -1 to 1."""

OUTPUT = "embedding"
PERCENTILE = 97.0
CALIBRATION = 200
"""Aligned training faces whose activations give the ranges."""


class ChannelLast(nn.Module):
    """[N, 112, 112, 3] normalised RGB -> [N, 128]: LiteRT's layout."""

    def __init__(self, network: MobileFaceNet) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """See the class."""
        return self.network(x.permute(0, 3, 1, 2))


class Centred(nn.Module):
    """[N, 3, 112, 112] RGB from -1 to 1 -> [N, 128]: the layout and the numbers that face programs agree on."""

    def __init__(self, network: MobileFaceNet) -> None:
        super().__init__()
        self.network = network
        mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in IMAGENET)
        self.register_buffer("factor", 127.5 / std)
        self.register_buffer("offset", (127.5 - mean) / std)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """See the class."""
        return self.network(x * self.factor + self.offset)


@dataclass(frozen=True)
class Wanted:
    """What is to be made of weights.

    `siblings`: folder for the float file and the ONNX ones, as bundles of their own; None makes the int8 file only.
    `floor`: entry of the table of floors that the int8 file is held to, beside that of closeness to the float network.
    """

    name: str
    parent: Path
    version: str = "0"
    siblings: Path | None = None
    floor: str | None = None
    command: str = ""
    what: str = ""
    data: Sequence[str] = field(default_factory=tuple)
    draws: int = 200


@dataclass(frozen=True)
class Kind:
    """One file to make, the end of its bundle's name, and how pixels go in."""

    runtime: Runtime
    precision: Precision
    suffix: str


SHIPPED = Kind("litert", "int8", "")
SIBLINGS = (
    Kind("litert", "fp32", "-fp32"),
    Kind("onnxruntime", "int8", "-onnx"),
    Kind("onnxruntime", "fp32", "-onnx-fp32"),
)


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

    def __init__(self, network: MobileFaceNet, faces: Faces) -> None:
        self._network, self._faces = network.eval(), faces

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
        return onnx_graph.quantize(self.onnx_float, ranges, ("Conv", "Add"))


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
    files = Files(network, faces)
    say(f"{wanted.name}: converting")
    base = _draft(wanted, Kind("litert", "fp32", "-fp32"), files, faces, checkpoint, provenance)
    reference = _vectors(base, faces, say)
    measured_float = _measure(reference, reference, faces, wanted.draws)
    kinds = [SHIPPED, *(SIBLINGS if wanted.siblings else ())]
    made: Bundle | None = None
    for kind in kinds:
        is_base = kind.suffix == "-fp32"
        draft = base if is_base else _draft(wanted, kind, files, faces, checkpoint, provenance)
        measured = measured_float if is_base else _measure(reference, _vectors(draft, faces, say), faces, wanted.draws)
        _hold(wanted, kind, measured_float, measured, floors)
        _complete(draft, wanted, faces, measured_float, measured)
        parent = wanted.parent if kind is SHIPPED else wanted.siblings
        assert parent is not None
        bundle = draft.write(parent)
        say(f"{draft.name}: {_line(measured)}; written to {bundle.path}")
        made = made or bundle
    assert made is not None
    return made


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
        output={"decode": "embedding", "size": 128},
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
            embed_all(recognizer, faces.train, "train"),
            embed_all(recognizer, faces.aside, "set aside"),
            embed_all(recognizer, faces.test, "test") if faces.test else None,
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
    entry = wanted.floor if kind is SHIPPED else None
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


def export_face_run(run: Path, parent: Path, say: Say, wanted: Wanted | None = None, floors: Path = FLOORS) -> Bundle:
    """The int8 bundle of a finished run of `python -m training arcface`.

    Args:
        run: its folder.
        parent: where the bundle goes, unless `wanted` says it.
        wanted: what to make; default `parent/arcface`, and nothing beside it.
    Raises:
        InputError: the run is not finished, its photos are gone or others, or the file falls short of its floors.
    """
    checkpoint = run / "embedder.pt"
    if not checkpoint.is_file():
        raise InputError(f"{run} holds no embedder.pt: the run is not finished; go on with it by --resume")
    config = yaml.safe_load((run / "config.yaml").read_text(encoding="utf-8"))
    faces = Faces(Path(config["data"]), config["set_aside"], config["seed"])
    wanted = wanted or Wanted(
        "arcface", parent, command=f"python -m training arcface --data {faces.root.name}", what=_told_of(config)
    )
    kept = ("loss", "margin", "scale", "anchor", "quantization_aware", "epochs", "batch", "rate", "seed", "set_aside")
    training = {key: config[key] for key in (*kept, "from_scratch")}
    return export_embedder(checkpoint, faces, wanted, say, {**_base(config), "training": training}, floors)


def _told_of(config: Mapping[str, Any]) -> str:
    if config["from_scratch"]:
        return "MobileFaceNet, trained from nothing on few people: a demonstration, not fit for use."
    return "MobileFaceNet, fine-tuned on photos of one's own."


def _base(config: Mapping[str, Any]) -> dict[str, Any]:
    if config["from_scratch"]:
        return {"base": "none"}
    path = Path(config["weights"]) if config.get("weights") else weights(BASE)
    digest = sha256_of(path)
    licence = next((asset.licence for asset in WEIGHTS if asset.sha256 == digest), "not known")
    return {"base": {"file": path.name, "sha256": digest, "licence": licence}}


def sereno_arcface(parent: Path, siblings: Path = BUNDLES) -> Wanted:
    """The face embedder that Sereno ships, of a run on Labeled Faces in the Wild."""
    return Wanted(
        name="sereno-arcface",
        parent=parent,
        version="1.0.0",
        siblings=siblings,
        floor="sereno-arcface",
        command="make train-arcface && make export MODEL=sereno-arcface",
        what=(
            "Sereno's face embedder: MobileFaceNet of foamliu/MobileFaceNet (Apache-2.0), fine-tuned with ArcFace's "
            "angular margin, held near what it knew, and taught to bear the rounding of int8. Two photos of one person "
            "give embeddings with a high cosine similarity."
        ),
        data=(
            "Base weights: MS-Celeb-1M, web photos of public figures, collected without asking them and withdrawn by "
            "its publisher in 2019. **It may contain people of Labeled Faces in the Wild**, so that all figures on "
            "LFW, this network's as any other's, may be better than on strangers.",
            "Fine-tuning: 248 people of Labeled Faces in the Wild (University of Massachusetts; press photos, free "
            "for research, the photographers' rights remain), aligned by YuNet's landmarks; 80 more were set aside "
            "for thresholds and choices.",
            "None of these photos is in the bundle, and nobody can be recognised by it without an enrolment.",
        ),
    )


def export_base(faces: Faces, say: Say, parent: Path = BUNDLES, floors: Path = FLOORS) -> Bundle:
    """The base weights as they are, in the same four forms: what fine-tuning is compared with."""
    wanted = Wanted(
        name="mobilefacenet",
        parent=parent,
        version="1.0.0",
        siblings=parent,
        command="make export MODEL=mobilefacenet",
        what=(
            "MobileFaceNet of foamliu/MobileFaceNet (release v1.0, Apache-2.0), exported by Sereno and not trained any "
            "further."
        ),
        data=("Base weights: MS-Celeb-1M, which may contain people of Labeled Faces in the Wild.",),
    )
    return export_embedder(weights(BASE), faces, wanted, say, _base({"from_scratch": False}), floors)
