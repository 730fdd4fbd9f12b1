"""The committed default detector on real photos: within its floors, by the device's own detector."""

from __future__ import annotations

from pathlib import Path

import pytest

from device.errors import InputError
from device.inference.manifest import load_bundle
from export.detector import verify
from export.weights import weights


@pytest.fixture(scope="module")
def official(shared_data: Path) -> Path:  # noqa: ARG001 - where the data is, the weights should be
    try:
        return weights("yolov8n.pt")
    except InputError as error:
        pytest.skip(f"the official weights cannot be had: {error}")


def test_ok__shipped_detector_is_within_its_floors(root: Path, official: Path, shared_data: Path) -> None:
    shown, shortfalls = verify(root / "models" / "sereno-coco-320", official, shared_data)
    assert shortfalls == [], shown


def test_ok__shipped_bundle_is_small_and_says_what_it_scores_and_comes_from(root: Path) -> None:
    bundle = load_bundle(root / "models" / "sereno-coco-320")
    said = next(
        entry for entry in bundle.manifest.metrics if entry["metric"] == "mAP50-95" and entry["view"] == "mean of four"
    )
    assert said["quantized"] >= said["float"] - 1.0
    assert sum(file.bytes for file in bundle.manifest.files) <= 4_000_000
    assert len(bundle.manifest.labels) == 80
    assert bundle.manifest.licence.startswith("AGPL-3.0")
    assert "yolov8n.pt" in (bundle.path / "MODEL_CARD.md").read_text()
