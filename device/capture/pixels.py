"""Raw pictures become frames' images here and nowhere else: colour to RGB, then the turn."""

from __future__ import annotations

import cv2
import numpy as np

from device.capture.camera import Raw
from device.datatypes import Image

_TO_RGB = {"BGR": cv2.COLOR_BGR2RGB, "GREY": cv2.COLOR_GRAY2RGB, "I420": cv2.COLOR_YUV2RGB_I420}
_TURNS = {90: cv2.ROTATE_90_CLOCKWISE, 180: cv2.ROTATE_180, 270: cv2.ROTATE_90_COUNTERCLOCKWISE}


def to_image(raw: Raw, rotate: int = 0) -> Image:
    """Convert a raw picture.

    Args:
        raw: see `Raw`.
        rotate: degrees clockwise: 0, 90, 180 or 270.
    Returns:
        HxWx3 uint8, RGB, contiguous, sharing no memory with a buffer that the source will reuse. A raw RGB picture that
        needs no turn is handed on as it is: its source promises not to write to it again.
    """
    image = raw.array if raw.pixels == "RGB" else cv2.cvtColor(raw.array, _TO_RGB[raw.pixels])
    if raw.width and image.shape[1] > raw.width:
        image = image[:, : raw.width]
    if rotate:
        image = cv2.rotate(image, _TURNS[rotate])
    return np.ascontiguousarray(image)
