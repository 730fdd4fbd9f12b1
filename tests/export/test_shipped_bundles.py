"""The bundles in models/ on photos that they never saw: within their floors, by the device's own classes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from device.access.recognizer import Recognizer
from device.capture.pictures import read_picture
from device.commands.embed import embed_faces
from device.detection.classifier import Classifier
from device.detection.detector import Detector
from device.inference.interpreter import open_interpreter
from device.inference.manifest import Bundle, load_bundle
from export.dataset import labelled_pictures
from export.datasets import open_dataset
from export.lfw import read_folds
from export.verification import measure
from tests.facemodels import open_detector, write_detectors

OWN = ("sereno-coco-320", "sereno-cats-dogs", "sereno-cats-dogs-cnn", "sereno-cacao", "sereno-arcface")


def bundle_of(root: Path, name: str) -> Bundle:
    return load_bundle(root / "models" / name)


@pytest.fixture(scope="module")
def floors(root: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((root / "tests" / "floors.json").read_text())
    return found


@pytest.mark.parametrize("name", OWN)
def test_ok__says_what_it_scores_where_it_comes_from_and_under_which_licence(root: Path, name: str) -> None:
    bundle = bundle_of(root, name)
    manifest = bundle.manifest
    assert manifest.name == name
    assert manifest.licence
    assert manifest.provenance["git_commit"]
    assert all("float" in entry and "quantized" in entry for entry in manifest.metrics)
    assert manifest.metrics
    assert all(file.precision == "int8" for file in manifest.files)
    card = (bundle.path / "MODEL_CARD.md").read_text()
    assert "icence" in card
    assert "## Intended use\n" in card
    assert "95 %" in card
    assert " ".join(manifest.provenance["command"].split()) in " ".join(card.split())
    assert "/work" not in card + (bundle.path / "manifest.json").read_text()


def test_ok__all_together_are_small(root: Path) -> None:
    assert {path.name for path in (root / "models").iterdir()} == set(OWN)
    assert sum(path.stat().st_size for path in (root / "models").rglob("*") if path.is_file()) < 20_000_000


@pytest.mark.parametrize("name", ["sereno-cats-dogs", "sereno-cats-dogs-cnn"])
def test_ok__cats_and_dogs_are_told_apart(root: Path, shared_data: Path, floors: dict[str, Any], name: str) -> None:
    bundle = bundle_of(root, name)
    classifier = Classifier(bundle, open_interpreter(bundle))
    dataset = open_dataset(shared_data / "cats_dogs")
    samples = dataset.splits["test"]
    assert len(samples) == 800
    right = sum(classifier.classify(dataset.read(one))[0].label == dataset.labels[one.label] for one in samples)
    assert 100 * right / len(samples) >= floors["classify"][name]["top-1"]


def test_ok__cacao_is_found(root: Path, shared_data: Path, floors: dict[str, Any]) -> None:
    bundle = bundle_of(root, "sereno-cacao")
    detector = Detector(bundle, open_interpreter(bundle))
    pictures = labelled_pictures(shared_data / "cacao")
    score = measure("sereno-cacao", detector, pictures, multi_label=True).views[0]
    floor = floors["sereno-cacao"]["int8-320"]
    assert score.map50_95 >= floor["mAP50-95"]
    assert score.map50 >= floor["mAP50"]


def test_ok__faces_of_lfw_are_matched_at_the_thresholds_of_the_manifest(
    root: Path, shared_data: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    bundle = bundle_of(root, "sereno-arcface")
    recognizer = Recognizer(bundle, open_interpreter(bundle))
    detector = open_detector(write_detectors(tmp_path_factory.mktemp("detectors")), "yunet")
    fold = read_folds(shared_data / "lfw" / "pairs.txt")[0]
    keys = sorted({key for pair in fold.pairs for key in pair})
    vectors = {}
    for key in keys:
        faces = embed_faces(read_picture(shared_data / "lfw" / "test" / key), detector, recognizer)
        assert faces, f"no face found in {key}"
        vectors[key] = faces[0][1]
    similar = np.array([vectors[a] @ vectors[b] for a, b in fold.pairs])
    assert (similar[~fold.same] >= recognizer.threshold(1e-4)).sum() <= 1  # Of 300 pairs of two people.
    assert (similar[fold.same] >= recognizer.threshold(1e-3)).mean() >= 0.96
    assert ((similar >= recognizer.threshold(1e-2)) == fold.same).mean() >= 0.98
