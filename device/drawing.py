"""Boxes on pictures, the same everywhere: live view, snapshots, `detect --save`."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import simplejpeg

from device.datatypes import Box, Image

# Distinct in hue, alike in lightness, readable under near-black text (RGB).
PALETTE = [(255, 196, 87), (120, 200, 255), (150, 230, 150), (255, 150, 130), (205, 170, 255), (110, 225, 215)]
INK = (16, 22, 36)
FONT = cv2.FONT_HERSHEY_SIMPLEX


@dataclass(frozen=True, slots=True)
class Caption:
    """A box in pixels with its label; `class_id` picks the colour. A `faint` one gets a thin line. `confidence` is
    None where there is no number to show."""

    box: Box
    label: str
    confidence: float | None
    class_id: int
    faint: bool = False


def draw(picture: Image, captions: list[Caption], scale: float = 1.0) -> None:
    """Draw boxes with label and confidence into a picture.

    Args:
        picture: HxWx3 uint8 RGB, written into.
        captions: boxes in pixels of the unscaled picture; parts outside are cut off.
        scale: size of `picture` over that of the picture that the boxes are of.
    """
    for caption in captions:
        _draw(picture, caption, scale)


def encode(picture: Image, quality: int = 80) -> bytes:
    """JPEG of an HxWx3 RGB uint8 picture."""
    return bytes(
        simplejpeg.encode_jpeg(
            np.ascontiguousarray(picture), quality=quality, colorspace="RGB", colorsubsampling="420", fastdct=True
        )
    )


def _draw(picture: Image, caption: Caption, scale: float) -> None:
    height, width = picture.shape[:2]
    x1, y1, x2, y2 = (round(value * scale) for value in caption.box)
    x1, x2 = (min(max(x, 0), width - 1) for x in (x1, x2))
    y1, y2 = (min(max(y, 0), height - 1) for y in (y1, y2))
    color = PALETTE[caption.class_id % len(PALETTE)]
    unit = max(1, round(min(width, height) / 400))
    cv2.rectangle(picture, (x1, y1), (x2, y2), color, unit if caption.faint else unit * 2, cv2.LINE_AA)
    text = caption.label if caption.confidence is None else f"{caption.label} {caption.confidence:.0%}"
    size = 0.5 * max(1.0, min(width, height) / 400)
    (text_width, text_height), baseline = cv2.getTextSize(text, FONT, size, unit)
    pad = round(8 * size)
    # Above the box, or inside it where that would leave the picture.
    top = y1 - text_height - baseline - pad
    top = y1 if top < 0 else top
    left = max(0, min(x1, width - text_width - 2 * pad))
    bottom = top + text_height + baseline + pad
    cv2.rectangle(picture, (left, top), (left + text_width + 2 * pad, bottom), color, cv2.FILLED)
    cv2.putText(picture, text, (left + pad, bottom - baseline - pad // 2), FONT, size, INK, unit, cv2.LINE_AA)
