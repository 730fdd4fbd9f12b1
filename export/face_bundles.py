"""Bundles of others' face networks. Nothing is converted, so `make models` can write them without PyTorch."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from device.errors import InputError
from device.inference.manifest import Bundle, find_bundle, load_bundle
from device.system.fetch import Asset, sha256_of
from export.bundle import BUNDLES, Draft, ModelContent
from export.onnx_input import with_input_size

VERSION = "1.0.0"


def yunet(file: Path, asset: Asset) -> Draft:
    """YuNet at 320x320, BGR in the left upper corner as OpenCV's FaceDetectorYN gives it.

    The file says 640x640 and works at any size: at 320 it takes a quarter of the time.
    """
    return Draft(
        name="yunet",
        version=VERSION,
        task="face-detect",
        input=_input(320, "NCHW", "BGR", mean=0, std=1, center=False),
        output={"decode": "yunet", "strides": [8, 16, 32]},
        files=[ModelContent("onnxruntime", "fp32", with_input_size(file.read_bytes(), 320, 320))],
        licence=asset.licence,
        provenance=_provenance(file, asset),
        thresholds={"confidence": 0.6, "iou": 0.3, "clear": 0.8},
        card=_card("yunet", asset, "with the size of its input set to 320x320, otherwise unchanged"),
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
        thresholds={"confidence": 0.5, "iou": 0.3, "clear": 0.6},
        card=_card("blazeface", asset, "unchanged"),
    )


def face_mesh(file: Path, asset: Asset) -> Draft:
    """MediaPipe's face mesh, 192x192: what the liveness challenge sees lids and heads by."""
    given = _input(192, "NHWC", "RGB", mean=0, std=255, center=True)
    del given["letterbox"]
    return Draft(
        name="face-mesh",
        version=VERSION,
        task="liveness",
        input=given | {"face_scale": 1.5},
        output={"decode": "face-mesh"},
        files=[ModelContent("litert", "fp32", file.read_bytes())],
        licence=asset.licence,
        provenance=_provenance(file, asset),
        card=(
            f"# face-mesh\n\n{asset.about}. The file is its authors' ({asset.licence}), unchanged; `manifest.json` "
            "tells the device how to read it.\n\nIt says where 468 points of one upright face are, and whether there "
            "is a face at all. It recognises nobody. Points of a face that is covered or turned far away are guesses.\n"
        ),
    )


FACE_BUNDLES: dict[str, Callable[[Path, Asset], Draft]] = {
    "face_detection_yunet_2023mar.onnx": yunet,
    "face_detection_short_range.tflite": blazeface,
    "face_landmark.tflite": face_mesh,
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


def open_face_bundle(name: str, parent: Path = BUNDLES) -> Bundle:
    """The bundle of a face detector: the one that is there, else made now of its weights, as `make models` does.

    Args:
        name: `yunet`, `blazeface`, or a bundle's folder or name.
        parent: where one that is made is kept.
    Raises:
        InputError: there is none, and it cannot be made: the weights cannot be had, or nobody knows the name.
    """
    try:
        path = find_bundle(name)
    except InputError:
        from export.weights import WEIGHTS, weights

        made_of = {asset.name: asset for asset in WEIGHTS if asset.name in FACE_BUNDLES}
        file = next((file for file, draft in FACE_BUNDLES.items() if draft.__name__ == name), None)
        if file is None:
            raise
        return FACE_BUNDLES[file](weights(file), made_of[file]).write(parent)
    return load_bundle(path)


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


def _card(name: str, asset: Asset, how: str) -> str:
    return (
        f"# {name}\n\n{asset.about}. The file is its authors' ({asset.licence}), {how}; "
        "`manifest.json` tells the device how to read it.\n\n"
        "It finds faces and five landmarks each; it recognises nobody. Faces that are turned far away, covered, very "
        "dark or smaller than about 10 pixels in its input are missed.\n"
    )
