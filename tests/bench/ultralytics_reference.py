"""The same work through `ultralytics` predict with its own int8 export of the same weights: time and memory."""

from __future__ import annotations

import importlib.util
import json
import shutil
import statistics
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from tests.bench import footage
from tests.bench.rows import Row, absent, row

FRAMES = 24
"""Different ones, 16 MB in each process."""
ROUNDS = 5
RUNS = 5
CACHE = footage.ROOT / ".cache" / "bench"

# VmHWM, not ru_maxrss: that one begins with the memory of the process that started this one.
THEIRS = """
import json, sys, time
import numpy as np, torch
torch.set_num_threads(1)
from ultralytics import YOLO
frames = np.load(sys.argv[2])
model = YOLO(sys.argv[1], task="detect")
took = []
for frame in [*frames] * int(sys.argv[3]):
    started = time.perf_counter()
    model.predict(frame[:, :, ::-1], imgsz=320, conf=0.1, verbose=False)
    took.append(time.perf_counter() - started)
peak = int(open("/proc/self/status").read().split("VmHWM:")[1].split()[0]) / 1024
print(json.dumps([sorted(took[10:])[len(took[10:]) // 2], peak]))
"""

OURS = """
import json, sys, time
import numpy as np
from device.app import build_unit
from device.config import Camera
from device.datatypes import Frame
from device.detection.detector import Detector
from device.inference.interpreter import open_interpreter
from device.inference.manifest import find_bundle, load_bundle
import cv2
cv2.setNumThreads(1)
frames = np.load(sys.argv[2])
bundle = load_bundle(find_bundle(sys.argv[1]))
detector = Detector(bundle, open_interpreter(bundle, threads=1), 0.1)
unit = build_unit(Camera.model_validate({"motion": {"enabled": False}}), detector)
took = []
for number, frame in enumerate([*frames] * int(sys.argv[3])):
    started = time.perf_counter()
    unit.process(Frame("bench", number, frame, number / 10, number / 10))
    took.append(time.perf_counter() - started)
peak = int(open("/proc/self/status").read().split("VmHWM:")[1].split()[0]) / 1024
print(json.dumps([sorted(took[10:])[len(took[10:]) // 2], peak]))
"""


def rows() -> Iterator[Row]:
    """Processes of both in turn, each on one thread and the same frames from memory, motion gate off."""
    names = ("frame in to events out, over ultralytics predict, int8 320", "memory, over ultralytics predict")
    budgets = ("<= 0.75", "<= 0.25")
    why = _missing()
    if why:
        yield from (absent(name, "x", budget, why) for name, budget in zip(names, budgets, strict=True))
        return
    CACHE.mkdir(parents=True, exist_ok=True)
    stored = CACHE / "frames.npy"
    _save(stored)
    theirs_path = _their_export()
    ours, theirs = [], []
    for _ in range(RUNS):
        theirs.append(_run(THEIRS, str(theirs_path), stored))
        ours.append(_run(OURS, "yolov8n-320", stored))
    stored.unlink()
    for index, (name, budget, unit) in enumerate(zip(names, budgets, ("ms", "MB"), strict=True)):
        ratio = statistics.median(a[index] / b[index] for a, b in zip(ours, theirs, strict=True))
        scale = 1000 if index == 0 else 1
        a, b = (scale * statistics.median(side[index] for side in runs) for runs in (ours, theirs))
        yield row(
            name, ratio, "x", budget, f"{a:.1f} {unit} over {b:.1f} {unit}, {RUNS} runs of {FRAMES * ROUNDS} frames"
        )


def _missing() -> str:
    if importlib.util.find_spec("ultralytics") is None:
        return "ultralytics is in the workstation environment: make bench"
    if footage.shared_data() is None:
        return "its int8 export needs calibration photos: set SERENO_DATA"
    if not (footage.ROOT / ".cache" / "models" / "yolov8n.pt").exists():
        return "make models fetches yolov8n.pt"
    if not (footage.ROOT / ".cache" / "bundles" / "yolov8n-320").is_dir():
        return "make export MODEL=yolov8n makes our export of the same weights"
    return ""


def _save(path: Path) -> None:
    import numpy as np

    # Spread over the ordinary scene.
    pictures = footage.images(7 * FRAMES, next(iter(footage.clips().values())))
    np.save(path, np.stack(pictures[:: max(1, len(pictures) // FRAMES)][:FRAMES]))


def _their_export() -> Path:
    """Their stock int8 LiteRT export at 320, calibrated on the training photos; made once."""
    found = sorted(CACHE.glob("yolov8n*_int8*"))
    if found:
        return found[0]
    weights = CACHE / "yolov8n.pt"
    shutil.copy(footage.ROOT / ".cache" / "models" / "yolov8n.pt", weights)
    data = footage.shared_data()
    listing = CACHE / "coco.yaml"
    names = "".join(f"  {i}: c{i}\n" for i in range(80))
    listing.write_text(f"path: {data}/coco\ntrain: images/train\nval: images/train\nnames:\n{names}", encoding="utf-8")
    made = subprocess.run(
        [
            sys.executable,
            "-c",
            "import sys; from ultralytics import YOLO; print(YOLO(sys.argv[1]).export("
            "format='litert', quantize=8, data=sys.argv[2], imgsz=320, verbose=False))",
            str(weights),
            str(listing),
        ],
        capture_output=True,
        text=True,
        check=True,
        cwd=CACHE,
    )
    return Path(made.stdout.strip().splitlines()[-1])


def _run(program: str, model: str, stored: Path) -> tuple[float, float]:
    done = subprocess.run(
        [sys.executable, "-c", program, model, str(stored), str(ROUNDS)],
        capture_output=True,
        text=True,
        check=True,
        cwd=footage.ROOT,
    )
    seconds, megabytes = json.loads(done.stdout.strip().splitlines()[-1])
    return seconds, megabytes
