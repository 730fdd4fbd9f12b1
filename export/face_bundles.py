"""Bundles of others' face detectors, as they were fetched: no conversion, so no PyTorch is needed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from device.inference.manifest import Bundle
from device.system.fetch import Asset, sha256_of
from export.bundle import BUNDLES, Draft, ModelContent

VERSION = "1.0.0"


def yunet(file: Path, asset: Asset) -> Draft:
    """YuNet at its own 640x640, BGR in the left upper corner as OpenCV's FaceDetectorYN gives it."""
    return Draft(
        name="yunet",
        version=VERSION,
        task="face-detect",
        input=_input(640, "NCHW", "BGR", mean=0, std=1, center=False),
        output={"decode": "yunet", "strides": [8, 16, 32]},
        files=[ModelContent("onnxruntime", "fp32", file.read_bytes())],
        licence=asset.licence,
        provenance=_provenance(file, asset),
        thresholds={"confidence": 0.6, "iou": 0.3},
        card=_card("yunet", asset),
    )


def blazeface(file: Path, asset: Asset) -> Draft:
    """BlazeFace for faces within two metres, 128x128."""
    return Draft(
        name="blazeface",
        version=VERSION,
        task="face-detect",
        input=_input(128, "NHWC", "RGB", mean=127.5, std=127.5, center=True),
        output={"decode": "blazeface", "strides": [8, 16, 16, 16]},
        files=[ModelContent("litert", "fp32", file.read_bytes())],
        licence=asset.licence,
        provenance=_provenance(file, asset),
        thresholds={"confidence": 0.5, "iou": 0.3},
        card=_card("blazeface", asset),
    )


FACE_BUNDLES: dict[str, Callable[[Path, Asset], Draft]] = {
    "face_detection_yunet_2023mar.onnx": yunet,
    "face_detection_short_range.tflite": blazeface,
}
"""By the name of the weights each is made of."""


def write_face_bundle(file: Path, asset: Asset, parent: Path = BUNDLES) -> Bundle | None:
    """Write the bundle that is made of this file, if one is.

    Args:
        file: the fetched weights.
        asset: their entry in the table of weights.
        parent: where bundles are kept.
    Returns:
        The bundle, read as the device reads it; None where no face bundle is made of this file.
    """
    draft = FACE_BUNDLES.get(asset.name)
    return draft(file, asset).write(parent) if draft else None


def _input(side: int, layout: str, color: str, *, mean: float, std: float, center: bool) -> dict[str, Any]:
    return {
        "width": side,
        "height": side,
        "layout": layout,
        "dtype": "float32",
        "color": color,
        "mean": [mean] * 3,
        "std": [std] * 3,
        "letterbox": {"value": 0, "center": center},
    }


def _provenance(file: Path, asset: Asset) -> dict[str, Any]:
    return {
        "base_weights": {"name": asset.name, "sha256": sha256_of(file), "licence": asset.licence},
        "source": asset.urls[0] if asset.urls else f"package {asset.package}, {asset.member}",
        "command": "make models",
    }


def _card(name: str, asset: Asset) -> str:
    return (
        f"# {name}\n\n{asset.about}. The file is its authors', unchanged ({asset.licence}); Sereno only describes it "
        "in `manifest.json`, so that the device can open it.\n\n"
        "It finds faces and five landmarks each; it recognises nobody. Faces that are turned far away, covered, very "
        "dark or smaller than about 10 pixels in its input are missed.\n"
    )
