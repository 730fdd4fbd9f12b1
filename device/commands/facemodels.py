"""The face models that commands use when none is named: see `device.access.facemodels`."""

from device.access.facemodels import DETECTORS, EMBEDDER, open_detector, open_recognizer

__all__ = ["DETECTORS", "EMBEDDER", "open_detector", "open_recognizer"]
