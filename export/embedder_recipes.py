"""What is made of face embedders: of a training run, of the run that ships, of the base weights as they are."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from device.errors import InputError
from device.inference.manifest import Bundle
from device.system.fetch import sha256_of
from export.bundle import BUNDLES
from export.embedder import ALL, Faces, Say, Wanted, export_embedder
from export.face_floors import FLOORS
from export.weights import WEIGHTS, weights

BASE = "mobilefacenet.pt"


def export_face_run(run: Path, parent: Path, say: Say, wanted: Wanted | None = None, floors: Path = FLOORS) -> Bundle:
    """The int8 bundle of a finished run of `python -m training arcface`.

    Args:
        run: its folder.
        parent: where the bundle goes, unless `wanted` says it.
        wanted: what to make; default `parent/arcface`, and beside it its float twin and both for ONNX Runtime.
    Raises:
        InputError: the run is not finished, its photos are gone or others, or the file falls short of its floors.
    """
    checkpoint = run / "embedder.pt"
    if not checkpoint.is_file():
        raise InputError(f"{run} holds no embedder.pt: the run is not finished; go on with it by --resume")
    config = yaml.safe_load((run / "config.yaml").read_text(encoding="utf-8"))
    faces = Faces(Path(config["data"]), config["set_aside"], config["seed"])
    command = f"python -m training arcface --data {faces.root.name}"
    wanted = wanted or Wanted("arcface", parent, kinds=ALL, command=command, what=_told_of(config))
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


def export_sereno_arcface(run: Path, parent: Path, say: Say, siblings: Path = BUNDLES) -> Bundle:
    """The face embedder that ships, `parent/sereno-arcface`, held to its floors; its other files under `siblings`."""
    return export_face_run(run, parent, say, sereno_arcface(parent, siblings))


def sereno_arcface(parent: Path, siblings: Path = BUNDLES) -> Wanted:
    """The face embedder that Sereno ships, of a run on Labeled Faces in the Wild."""
    return Wanted(
        name="sereno-arcface",
        parent=parent,
        version="1.0.0",
        siblings=siblings,
        kinds=ALL,
        floor="sereno-arcface",
        command="make train-arcface DATA=../shared/data/lfw ARGS='--threads 1' && make export MODEL=sereno-arcface",
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
