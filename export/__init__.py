"""From a trained model to a verified bundle: quantized TFLite and ONNX, measured against the float model."""

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
"""The checkout."""

# Unless told not to, Ultralytics asks its host for news, installs packages, writes settings into the home folder and
# tells of it at length.
os.environ.setdefault("YOLO_OFFLINE", "true")
os.environ.setdefault("YOLO_VERBOSE", "false")
os.environ.setdefault("YOLO_AUTOINSTALL", "false")
os.environ.setdefault("YOLO_CONFIG_DIR", str(ROOT / ".cache" / "ultralytics"))
