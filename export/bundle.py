"""Bundles: written whole into a scratch folder, and renamed into place only when everything in them is right."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from device.inference.manifest import Bundle, Runtime, Task, load_bundle
from export import ROOT
from export.calibration import UNIT, Normalisation

BUNDLES = ROOT / ".cache" / "bundles"
"""Exports of others' weights: never committed."""
MODELS = ROOT / "models"
"""Sereno's own."""
LEFT_S = 3600
"""A scratch folder this old belongs to nobody any more: an export fills its own within seconds."""


Precision = Literal["int8", "fp32"]


@dataclass(frozen=True)
class ModelContent:
    """One model file of a bundle.

    `outputs`: positions in the runtime's own list of outputs, in the order the decoder wants them; None takes them as
    they come.
    """

    runtime: Runtime
    precision: Precision
    content: bytes
    outputs: Sequence[int] | None = None

    @property
    def path(self) -> str:
        """Its name in the bundle."""
        return "model.tflite" if self.runtime == "litert" else "model.onnx"


def picture_input(
    size: int,
    precision: Precision,
    normalisation: Normalisation = UNIT,
    *,
    color: Literal["RGB", "BGR"] = "RGB",
    letterbox: Mapping[str, Any] | None = None,
    resize: Literal["stretch", "shorter-crop"] = "stretch",
) -> dict[str, Any]:
    """The manifest's `input` of a network of [1, size, size, 3]; `resize` counts where there is no letterbox."""
    mean, std = ([int(value) if value == int(value) else value for value in values] for values in normalisation)
    return {
        "width": size,
        "height": size,
        "layout": "NHWC",
        "dtype": "int8" if precision == "int8" else "float32",
        "color": color,
        "mean": mean,
        "std": std,
        **({"letterbox": dict(letterbox)} if letterbox else {"resize": resize}),
    }


@dataclass
class Draft:
    """What is known of a bundle; `metrics` and `card` come last, when its files have been measured."""

    name: str
    version: str
    task: Task
    input: Mapping[str, Any]
    output: Mapping[str, Any]
    files: Sequence[ModelContent]
    licence: str
    provenance: dict[str, Any]
    labels: Sequence[str] = ()
    thresholds: Mapping[str, Any] = field(default_factory=dict)
    metrics: list[dict[str, Any]] = field(default_factory=list)
    card: str = ""

    @property
    def precision(self) -> Precision:
        """Of its files: int8 or fp32."""
        return self.files[0].precision

    @property
    def size(self) -> int:
        """Width of its input, in pixels."""
        return int(self.input["width"])

    def manifest(self) -> dict[str, Any]:
        """`manifest.json`, schema 1."""
        return {
            "schema": 1,
            "name": self.name,
            "version": self.version,
            "task": self.task,
            "files": [_file_entry(file) for file in self.files],
            "input": dict(self.input),
            "output": dict(self.output),
            "labels": list(self.labels),
            "thresholds": dict(self.thresholds),
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
        clear_up(parent, self.name)
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
        if self.labels:
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


def clear_up(parent: Path, name: str) -> None:
    """Put right what an export of this bundle left that was killed: scratch folders, a bundle half exchanged."""
    old = parent / f".{name}-old"
    if old.is_dir() and not (parent / name).exists():
        old.rename(parent / name)
    for leftover in parent.glob(f".{name}-*"):
        # A younger one may be another export at work.
        if leftover.is_dir() and time.time() - leftover.stat().st_mtime > LEFT_S:
            shutil.rmtree(leftover, ignore_errors=True)


def _file_entry(file: ModelContent) -> dict[str, Any]:
    return {
        "path": file.path,
        "runtime": file.runtime,
        "precision": file.precision,
        "sha256": hashlib.sha256(file.content).hexdigest(),
        "bytes": len(file.content),
        **({} if file.outputs is None else {"outputs": list(file.outputs)}),
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
