"""Run by `test_tflite_runtime` in an environment of its own: python under_tflite_runtime.py BUNDLE PICTURE OUT.

Runs the bundle on the picture (.npy, of the network's size) and writes its heads and detections; where the bundle is
refused, prints the sentence instead.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from device.detection.detector import Detector
from device.errors import InputError
from device.inference.interpreter import open_interpreter
from device.inference.manifest import load_bundle


def main(folder: Path, picture: Path, out: Path) -> None:
    bundle = load_bundle(folder)
    try:
        interpreter = open_interpreter(bundle)
    except InputError as error:
        print(f"refused: {error}")
        return
    image = np.load(picture)
    interpreter.write(image)
    heads = [head.copy() for head in interpreter.invoke()]
    found = Detector(bundle, interpreter, 0.25).detect(image)
    rows = np.array([[*one.xyxy, one.confidence, one.class_id] for one in found]).reshape(-1, 6)
    np.savez(out, *heads, rows=rows)
    print(f"numpy {np.__version__}; {interpreter.runtime}; modules {' '.join(sorted(sys.modules))}")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:4]))
