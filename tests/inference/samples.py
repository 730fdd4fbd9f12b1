"""Made-up bundles and network outputs."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from device.inference.manifest import Bundle, Manifest
from device.inference.tensors import TensorInfo

STRIDES = (8, 16, 32)


def a_manifest(size: int = 64, labels: Sequence[str] = ("person", "car", "dog"), **changes: Any) -> dict[str, Any]:
    """A detector's manifest without files, as JSON has it."""
    return {
        "schema": 1,
        "name": "made-up",
        "version": "1",
        "task": "detect",
        "files": [],
        "input": {
            "width": size,
            "height": size,
            "layout": "NHWC",
            "dtype": "int8",
            "color": "RGB",
            "mean": [0, 0, 0],
            "std": [255, 255, 255],
            "letterbox": {"value": 114, "center": True},
        },
        "output": {"decode": "yolov8-heads", "strides": list(STRIDES), "reg_max": 16},
        "labels": list(labels),
        "thresholds": {"confidence": 0.25, "iou": 0.7},
        "licence": "AGPL-3.0-or-later",
    } | changes


def a_file(path: str, content: bytes, runtime: str = "litert", **changes: Any) -> dict[str, Any]:
    """The manifest's entry for a file of that content."""
    digest = hashlib.sha256(content).hexdigest()
    entry = {"path": path, "runtime": runtime, "precision": "int8", "sha256": digest, "bytes": len(content)}
    return entry | changes


def write_bundle(folder: Path, manifest: dict[str, Any] | None = None, content: bytes = b"weights" * 99) -> Path:
    """A folder with a manifest and one file, `model.tflite`, that is no model."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "model.tflite").write_bytes(content)
    manifest = manifest or a_manifest()
    manifest["files"] = manifest["files"] or [a_file("model.tflite", content)]
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return folder


def a_bundle(**changes: Any) -> Bundle:
    """A bundle that has no folder, for whoever needs only its manifest."""
    given = a_manifest(**changes)
    given["files"] = [a_file("model.tflite", b"weights")]
    return Bundle(Path("made-up"), Manifest.model_validate(given))


def empty_heads(size: int, classes: int) -> list[np.ndarray]:
    """Six float heads that see nothing: class logits of -12, flat distributions."""
    heads = []
    for stride in STRIDES:
        cells = size // stride
        heads.append(np.zeros((1, cells, cells, 64), np.float32))
        heads.append(np.full((1, cells, cells, classes), -12, np.float32))
    return heads


def put_object(
    heads: list[np.ndarray], level: int, row: int, column: int, *, class_id: int, logit: float, sides: Sequence[int]
) -> None:
    """Let one cell see an object: `sides` are the distances left, top, right, bottom in whole cells."""
    heads[2 * level + 1][0, row, column, class_id] = logit
    distributions = heads[2 * level][0, row, column].reshape(4, 16)
    distributions[:] = -30
    distributions[np.arange(4), list(sides)] = 30


def infos(heads: Sequence[np.ndarray]) -> list[TensorInfo]:
    """What a runtime would say of unquantized heads."""
    return [TensorInfo(head.shape, head.dtype) for head in heads]


def quantize(
    head: np.ndarray, scale: float, zero_point: int, dtype: type[np.integer[Any]] = np.int8
) -> tuple[np.ndarray, TensorInfo]:
    """A head as a quantized network would give it."""
    limits = np.iinfo(dtype)
    stored = np.clip(np.rint(head / scale + zero_point), limits.min, limits.max).astype(dtype)
    return stored, TensorInfo(stored.shape, stored.dtype, scale, zero_point)
