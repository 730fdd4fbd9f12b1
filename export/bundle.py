"""Bundles: written whole into a scratch folder, and renamed into place only when everything in them is right."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from device.inference.manifest import Bundle, load_bundle
from export import ROOT

BUNDLES = ROOT / ".cache" / "bundles"
"""Exports of others' weights: never committed."""
MODELS = ROOT / "models"
"""Sereno's own."""


@dataclass(frozen=True)
class ModelContent:
    """One model file of a bundle. `outputs`: positions of the six heads in the runtime's own list of outputs."""

    runtime: Literal["litert", "onnxruntime"]
    precision: Literal["int8", "fp32"]
    content: bytes
    outputs: Sequence[int]

    @property
    def path(self) -> str:
        """Its name in the bundle."""
        return "model.tflite" if self.runtime == "litert" else "model.onnx"


@dataclass
class Draft:
    """What is known of a detector bundle; `metrics` and `card` come last, when its files have been measured."""

    name: str
    version: str
    size: int
    labels: Sequence[str]
    files: Sequence[ModelContent]
    licence: str
    provenance: dict[str, Any]
    confidence: float = 0.4
    metrics: list[dict[str, Any]] = field(default_factory=list)
    card: str = ""

    @property
    def precision(self) -> str:
        """Of its files: int8 or fp32."""
        return self.files[0].precision

    def manifest(self) -> dict[str, Any]:
        """`manifest.json`, schema 1."""
        return {
            "schema": 1,
            "name": self.name,
            "version": self.version,
            "task": "detect",
            "files": [_file_entry(file) for file in self.files],
            "input": {
                "width": self.size,
                "height": self.size,
                "layout": "NHWC",
                "dtype": "int8" if self.precision == "int8" else "float32",
                "color": "RGB",
                "mean": [0, 0, 0],
                "std": [255, 255, 255],
                "letterbox": {"value": 114, "center": True},
            },
            "output": {"decode": "yolov8-heads", "strides": [8, 16, 32], "reg_max": 16},
            "labels": list(self.labels),
            "thresholds": {"confidence": self.confidence, "iou": 0.7},
            "metrics": self.metrics,
            "provenance": self.provenance,
            "licence": self.licence,
        }

    def write(self, parent: Path) -> Bundle:
        """Write `parent/NAME`, replacing what was there in one rename, and check it as the device will.

        Raises:
            OSError: the folder cannot be written.
            device.errors.InputError: the device would refuse the bundle.
        """
        parent.mkdir(parents=True, exist_ok=True)
        scratch = Path(tempfile.mkdtemp(dir=parent, prefix=f".{self.name}-"))
        try:
            scratch.chmod(0o755)
            self._fill(scratch)
            load_bundle(scratch)
            replace_folder(scratch, parent / self.name)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
        return load_bundle(parent / self.name)

    def _fill(self, folder: Path) -> None:
        for file in self.files:
            (folder / file.path).write_bytes(file.content)
        (folder / "labels.txt").write_text("".join(f"{label}\n" for label in self.labels), encoding="utf-8")
        (folder / "MODEL_CARD.md").write_text(self.card or f"# {self.name}\n", encoding="utf-8")
        text = json.dumps(self.manifest(), indent=1, ensure_ascii=False)
        (folder / "manifest.json").write_text(f"{text}\n", encoding="utf-8")


def replace_folder(new: Path, target: Path) -> None:
    """Put `new` at `target`; what was there goes when the new one stands. Both lie on one file system."""
    old = target.with_name(f".{target.name}-old")
    shutil.rmtree(old, ignore_errors=True)
    if target.exists():
        target.rename(old)
    new.rename(target)
    shutil.rmtree(old, ignore_errors=True)


def _file_entry(file: ModelContent) -> dict[str, Any]:
    return {
        "path": file.path,
        "runtime": file.runtime,
        "precision": file.precision,
        "sha256": hashlib.sha256(file.content).hexdigest(),
        "bytes": len(file.content),
        "outputs": list(file.outputs),
    }


def git_commit() -> str:
    """The checkout's commit, with `-dirty` where export/ or training/ differ from it; `unknown` without git."""
    command = ["git", "-C", str(ROOT)]
    try:
        head = subprocess.run([*command, "rev-parse", "HEAD"], capture_output=True, text=True, check=True)
        changed = subprocess.run(
            [*command, "status", "--porcelain", "export", "training"], capture_output=True, text=True
        )
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return head.stdout.strip() + ("-dirty" if changed.stdout.strip() else "")
