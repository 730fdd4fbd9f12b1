"""A checkpoint becomes bundles: converted, quantized, measured beside the float network, and only then written."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

import torch

from device.datatypes import Image
from device.detection.detector import Detector
from device.errors import InputError
from device.inference.interpreter import open_interpreter
from device.inference.manifest import Bundle, load_bundle
from device.inference.tensors import Interpreter
from device.system.fetch import sha256_of
from export import detector_litert, detector_onnx
from export.bundle import Draft, ModelContent, Precision, git_commit, picture_input
from export.calibration import Range, letterboxed
from export.card import write_card
from export.checkpoint import STRIDES, ChannelLast, labels_of, load_detector, raw_heads
from export.dataset import Labelled, Material, coco, fingerprint, labelled_pictures
from export.parity import Parity, parity, require_same
from export.recipes import Product, Recipe
from export.reference import TorchInterpreter
from export.verification import Measured, floor_for, measure, metrics, shortfalls, table

Say = Callable[[str], None]

CONFIDENCE = 0.4
"""Detections below it are not told unless a configuration says otherwise."""

_CONVERTERS: Mapping[str, Any] = {"litert": detector_litert, "onnxruntime": detector_onnx}


class Sized:
    """What all bundles of one size share: the float files, the pictures, the ranges, the float network's figures."""

    def __init__(self, recipe: Recipe, size: int, material: Material) -> None:
        self._recipe, self._size, self.material = recipe, size, material
        self.pictures = material.held_out
        self._float: dict[tuple[str, Path], bytes] = {}
        self._ranges: dict[str, dict[str, Range]] = {}

    def network(self, checkpoint: Path) -> ChannelLast:
        """The float network of a checkpoint."""
        return ChannelLast(raw_heads(load_detector(checkpoint))).eval()

    def float_file(self, runtime: str, checkpoint: Path) -> bytes:
        """The checkpoint as a float file of the runtime."""
        key = (runtime, checkpoint)
        if key not in self._float:
            self._float[key] = _CONVERTERS[runtime].convert(self.network(checkpoint), self._size)
        return self._float[key]

    def ranges(self, runtime: str) -> dict[str, Range]:
        """What the *reference* network's tensors span: the ranges that a distilled student was trained with."""
        if runtime not in self._ranges:
            float_file = self.float_file(runtime, self._recipe.reference)
            self._ranges[runtime] = _CONVERTERS[runtime].calibrate(float_file, self.calibration_squares)
        return self._ranges[runtime]

    @cached_property
    def calibration_squares(self) -> list[Image]:
        """The calibration photos, letterboxed."""
        return letterboxed(self.material.calibration, self._size)

    @cached_property
    def reference(self) -> TorchInterpreter:
        """The float network to be compared with."""
        return TorchInterpreter(self.network(self._recipe.reference), self._size)

    def measured_reference(self, bundle: Bundle) -> Measured:
        """The float network's accuracy, measured once; `bundle` tells the detector how to read it."""
        if not hasattr(self, "_measured"):
            detector = Detector(bundle, self.reference)
            self._measured = measure("float", detector, self.pictures, self.material.multi_label)
        return self._measured


def export(recipe: Recipe, data: Path | Material, say: Say, floors: Path | None = None) -> list[Bundle]:
    """Make, measure and write each bundle of the recipe.

    Args:
        data: folder with `coco/images/{train,val}` and `coco/labels/val`, or other pictures.
        say: takes each line for the person who waits.
        floors: table of floors; default tests/floors.json.
    Raises:
        InputError: pictures are missing, a converter got it wrong, or a file loses more than its floor allows; that
            bundle is not written, those before it are.
    """
    torch.set_num_threads(1)
    # What is missing is better said now than after minutes of conversion.
    quantized = any(product.precision == "int8" for product in recipe.products)
    material = data if isinstance(data, Material) else coco(data, calibrate=quantized)
    written = []
    shared = {size: Sized(recipe, size, material) for size in {product.size for product in recipe.products}}
    for product in recipe.products:
        say(f"{product.name}: converting")
        draft = _draft(recipe, product, shared[product.size])
        written.append(_verified(recipe, product, draft, shared[product.size], say, floors))
        say(f"{product.name}: written to {written[-1].path}\n")
    return written


def _draft(recipe: Recipe, product: Product, shared: Sized) -> Draft:
    """The bundle but for its figures."""
    files = []
    for runtime in product.runtimes:
        converter = _CONVERTERS[runtime]
        content = shared.float_file(runtime, recipe.checkpoint)
        if product.precision == "int8":
            content = converter.quantize(content, shared.ranges(runtime))
        files.append(ModelContent(runtime, product.precision, content, converter.head_positions(content)))
    return Draft(
        name=product.name,
        version=recipe.version,
        files=files,
        licence=recipe.licence,
        provenance=_provenance(recipe, product, shared.material),
        **described(labels_of(load_detector(recipe.checkpoint)), product.size, product.precision),
    )


def described(labels: Sequence[str], size: int, precision: Precision) -> dict[str, Any]:
    """What the device must know of any YOLOv8 of this size: the part of a draft that is the same for all."""
    return {
        "task": "detect",
        "input": picture_input(size, precision, letterbox={"value": 114, "center": True}),
        "output": {"decode": "yolov8-heads", "strides": list(STRIDES), "reg_max": 16},
        "labels": labels,
        "thresholds": {"confidence": CONFIDENCE, "iou": 0.7},
    }


def _provenance(recipe: Recipe, product: Product, material: Material) -> dict[str, Any]:
    calibrated = product.precision == "int8"
    return {
        "base": {
            "file": recipe.reference.name,
            "sha256": sha256_of(recipe.reference),
            "licence": "AGPL-3.0",
        },
        "checkpoint": {"file": recipe.checkpoint.name, "sha256": sha256_of(recipe.checkpoint)},
        "command": recipe.story.command,
        "git_commit": git_commit(),
        "dataset": fingerprint(material.calibration) if calibrated else "none",
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
        **(material.provenance or _training(recipe.checkpoint.with_name("report.json"))),
    }


def _training(report: Path) -> dict[str, Any]:
    """What the training run that left a report beside its checkpoint says of itself; nothing for other checkpoints."""
    if not report.is_file():
        return {}
    told = json.loads(report.read_text())
    kept = ("pictures", "pictures_sha256", "photos", "pets", "clips", "size", "settings", "held_out")
    return {"training": {key: told[key] for key in kept if key in told}}


def _verified(recipe: Recipe, product: Product, draft: Draft, shared: Sized, say: Say, floors: Path | None) -> Bundle:
    """Measure a draft in a scratch folder, hold it to its floors, and write it with its figures and its card."""
    material = shared.material
    counts = {"images": len(shared.pictures), "instances": material.objects}
    counted = {"classes": material.counted} if material.multi_label else {}
    with tempfile.TemporaryDirectory() as scratch:
        bundle = draft.write(Path(scratch))
        reference = shared.measured_reference(bundle)
        measured, closeness = _measure_files(bundle, shared)
    results = table(reference, measured)
    say(f"{product.name}: mAP50-95 / mAP50 on {counts['images']} pictures\n{results}")
    for name, found in closeness.items():
        say(f"{name}: class KL to float {found.class_kl:.4f}, largest difference of a logit {found.largest:.3g}")
        if product.precision == "fp32":
            require_same(found, f"{product.name}, {name}")
    floor = floor_for(product.precision, product.size, *([floors] if floors else []), entry=material.floors)
    failed = [sentence for candidate in measured for sentence in shortfalls(reference, candidate, floor)]
    if failed:
        raise InputError(f"{product.name} is not written: {'; '.join(failed)}")
    for candidate, (name, found) in zip(measured, closeness.items(), strict=True):
        draft.metrics += metrics(
            reference,
            candidate,
            found,
            {"dataset": material.dataset, "split": material.split, "file": name, **counts, **counted},
        )
    words = f"{counts['images']} photos of {material.dataset} with {counts['instances']} objects"
    draft.card = write_card(draft, recipe.story, results, closeness, words, material.counted)
    return draft.write(product.parent)


def _measure_files(bundle: Bundle, shared: Sized) -> tuple[list[Measured], dict[str, Parity]]:
    """Accuracy and closeness of each file of a bundle, by the device's own interpreters."""
    measured, closeness = [], {}
    squares = _squares(shared.pictures, bundle.manifest.input.width)
    for file in bundle.manifest.files:
        name = f"{file.runtime} {file.precision}"
        detector = Detector(bundle, _open(bundle, file.runtime))
        measured.append(measure(name, detector, shared.pictures, shared.material.multi_label))
        closeness[file.path] = parity(shared.reference, _open(bundle, file.runtime), squares)
    return measured, closeness


def _open(bundle: Bundle, runtime: Any) -> Interpreter:
    return open_interpreter(bundle, runtime=runtime, threads=1)


def _squares(pictures: Sequence[Labelled], size: int) -> list[Image]:
    from device.inference.letterbox import Letterbox

    box = Letterbox(size, size)
    squares = []
    for picture in pictures:
        box.put(picture.image)
        squares.append(box.square.copy())
    return squares


def verify(path: Path, checkpoint: Path, data: Path, floors: Path | None = None) -> tuple[str, list[str]]:
    """Measure a bundle that is there against a float checkpoint: the table, and in what it falls short.

    Raises:
        InputError: the bundle, the checkpoint or the pictures cannot be read.
    """
    bundle = load_bundle(path)
    size = bundle.manifest.input.width
    reference = TorchInterpreter(ChannelLast(raw_heads(load_detector(checkpoint))).eval(), size)
    pictures = labelled_pictures(data / "coco")
    official = measure("float", Detector(bundle, reference), pictures)
    measured = [
        measure(f"{file.runtime} {file.precision}", Detector(bundle, _open(bundle, file.runtime)), pictures)
        for file in bundle.manifest.files
    ]
    floor = floor_for(bundle.manifest.files[0].precision, size, *([floors] if floors else []))
    return table(official, measured), [s for candidate in measured for s in shortfalls(official, candidate, floor)]
