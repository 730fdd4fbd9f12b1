"""Sereno on the Pi: the camera box. Needs no TensorFlow, no PyTorch, no ultralytics."""

__version__ = "0.1.0"
