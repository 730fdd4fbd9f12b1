"""Sheets of sample pictures with captions, for looking at what a model got right and wrong."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence

import cv2
import numpy as np

from training.reporting.canvas import BAD, GOOD, INK, canvas, png

SIDE_PX = 200
CAPTION_LINES, LETTERS = 3, 19
"""Most lines of a caption, and how long they get."""


def sheet(
    images: Sequence[np.ndarray],
    captions: Sequence[str],
    good: Sequence[bool | None] | None = None,
    *,
    columns: int = 6,
) -> bytes:
    """Pictures in rows, each with its caption below and a border: green for right, red for wrong, none for None.

    Right and wrong are also marked in the caption, for those who cannot tell the colours apart.

    Args:
        images: HxWx3 uint8 RGB of any size.
        captions: lines parted by newlines; what is too long goes on in the next line, after three it is cut with "…".
    """
    verdicts = list(good) if good is not None else [None] * len(images)
    signs = {True: "✓\N{NO-BREAK SPACE}", False: "✗\N{NO-BREAK SPACE}", None: ""}
    texts = [_wrapped(f"{signs[verdict]}{caption}") for caption, verdict in zip(captions, verdicts, strict=True)]
    deepest = max((text.count("\n") + 1 for text in texts), default=1)
    columns = max(1, min(columns, len(images)))
    rows = max(1, math.ceil(len(images) / columns))
    figure = canvas(1.75 * columns, rows * (1.86 + 0.17 * deepest))
    figure.get_layout_engine().set(w_pad=0.07, h_pad=0.07)
    axes = figure.subplots(rows, columns, squeeze=False).flatten()
    for axis in axes:
        axis.set(xticks=[], yticks=[])
        axis.grid(visible=False)
        for spine in axis.spines.values():
            spine.set_visible(False)
    for axis, image, text, verdict in zip(axes, images, texts, verdicts, strict=False):
        axis.imshow(_square(np.asarray(image)), interpolation="nearest")
        if verdict is not None:
            for spine in axis.spines.values():
                spine.set(visible=True, color=GOOD if verdict else BAD, linewidth=3.5)
        # Always as many lines, so that the pictures of a row are of one size.
        label = axis.set_xlabel(
            text + "\n " * (deepest - 1 - text.count("\n")), fontsize=9, linespacing=1.2, labelpad=5
        )
        label.set_color(BAD if verdict is False else INK)
    return png(figure)


def _square(image: np.ndarray) -> np.ndarray:
    """The picture whole, fitted in a square of white; small ones with their pixels visible."""
    if image.ndim == 2:
        image = np.repeat(image[..., None], 3, 2)
    height, width = image.shape[:2]
    scale = SIDE_PX / max(height, width)
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_NEAREST
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    fitted = cv2.resize(np.ascontiguousarray(image[..., :3], np.uint8), size, interpolation=method)
    square = np.full((SIDE_PX, SIDE_PX, 3), 255, np.uint8)
    top, left = (SIDE_PX - fitted.shape[0]) // 2, (SIDE_PX - fitted.shape[1]) // 2
    square[top : top + fitted.shape[0], left : left + fitted.shape[1]] = fitted
    return square


def _wrapped(caption: str) -> str:
    found = [part for line in caption.splitlines() for part in textwrap.wrap(line, LETTERS) or [""]] or [""]
    if len(found) > CAPTION_LINES:
        found = [*found[: CAPTION_LINES - 1], f"{found[CAPTION_LINES - 1][: LETTERS - 1]}…"]
    return "\n".join(found)
