"""The loop around the network: what it costs beside the bare invoke, and what a still scene costs."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import cv2

from device.app import build_unit
from device.config import Camera
from device.detection.detector import Detector
from device.errors import InputError
from device.inference.interpreter import open_interpreter
from device.inference.manifest import find_bundle, load_bundle
from device.inference.tensors import Interpreter
from device.loop import CameraUnit
from tests.bench import footage
from tests.bench.rows import Row, absent, row

LABELS = ["person", "car", "bicycle", "motorcycle", "bus", "truck"]
PAIRS = 200


def rows() -> Iterator[Row]:
    """Frame in to events out, over the bare interpreter's invoke on the same input, frame by frame in turn.

    The budget is for a scene with one or two objects; a busy street, where twelve are followed at once, is told
    beside it.
    """
    for name, budget in (("sereno-coco-320", "<= 1.25"), ("yolov8n-640", "<= 1.15")):
        for number, (scene, path) in enumerate(footage.clips().items()):
            label = f"frame in to events out, over invoke: {name}, {scene}"
            try:
                unit, interpreter = _unit(name)
            except InputError as error:
                yield absent(label, "x", budget, str(error))
                continue
            measured = _against_invoke(label, budget, unit, interpreter, path)
            yield measured if number == 0 else replace(measured, budget="", ok=None)


def _unit(name: str) -> tuple[CameraUnit, Interpreter]:
    cv2.setNumThreads(1)
    bundle = load_bundle(find_bundle(name))
    interpreter = open_interpreter(bundle, threads=1)
    return build_unit(Camera.model_validate({"objects": LABELS}), Detector(bundle, interpreter, 0.1)), interpreter


def _against_invoke(label: str, budget: str, unit: CameraUnit, interpreter: Interpreter, path: Path) -> Row:
    whole, bare = [], []
    for number, frame in enumerate(footage.frames(footage.images(PAIRS, path))):
        fresh = replace(frame, image=frame.image.copy())  # A camera's thread has just written it: it is in the cache.
        started = time.perf_counter()
        step = unit.process(fresh)
        took = time.perf_counter() - started
        started = time.perf_counter()
        heads = interpreter.invoke()
        invoke = time.perf_counter() - started
        del heads
        if step.observation.detected and number >= 10:
            whole.append(took)
            bare.append(invoke)
    ratio = statistics.median(a / b for a, b in zip(whole, bare, strict=True))
    detail = (
        f"{1000 * statistics.median(whole):.2f} ms over {1000 * statistics.median(bare):.2f} ms, {len(whole)} frames"
    )
    return row(label, ratio, "x", budget, detail)


def still_rows() -> Iterator[Row]:
    """CPU of the process for a still scene over that for a busy one, frames served from memory."""
    pictures = footage.images(PAIRS)
    count = len(pictures)
    busy_unit, _ = _unit("sereno-coco-320")
    still_unit, _ = _unit("sereno-coco-320")
    settle = footage.still(pictures[0], 4 * count)
    warm, timed = settle[: 3 * count], settle[3 * count :]
    for frame in warm:  # Objects that stand still have to be known to stand still.
        still_unit.process(frame)
    busy_s = still_s = 0.0
    busy = footage.frames(pictures)
    for start in range(0, count, 50):
        busy_s += _cpu(busy_unit, busy[start : start + 50])
        still_s += _cpu(still_unit, timed[start : start + 50])
    detail = f"{1000 * still_s / count:.3f} ms over {1000 * busy_s / count:.2f} ms a frame, {count} frames each"
    yield row("still scene, over the same scene with motion", still_s / busy_s, "x", "<= 0.05", detail)


def _cpu(unit: CameraUnit, frames: list) -> float:
    started = time.process_time()
    for frame in frames:
        unit.process(frame)
    return time.process_time() - started
