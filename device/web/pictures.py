"""From an observation to a JPEG with boxes, made once for all who watch."""

from __future__ import annotations

import threading
import time
import unicodedata
from collections.abc import Callable, Iterator

import cv2
import numpy as np
import simplejpeg

from device.datatypes import Image, Observation, Track
from device.web.sources import LiveSource
from device.web.streams import Streams

LIVE_MAX_WIDTH_PX = 1280
"""Wider pictures are scaled down for the live view: no phone shows more, and the encoder's time grows with the area."""
KEEP_ALIVE_S = 5.0
"""A picture is sent again after so long without a new one, so that a viewer who has left is noticed."""
FRESH_S = 1.0
"""A new viewer is shown a picture that is at most this old; otherwise the next one is made first."""
WAIT_S = 0.5
BOUNDARY = "sereno-frame"

# Distinct in hue, alike in lightness, readable under near-black text (RGB).
PALETTE = [(255, 196, 87), (120, 200, 255), (150, 230, 150), (255, 150, 130), (205, 170, 255), (110, 225, 215)]
INK = (16, 22, 36)

Translate = Callable[[str], str]


def annotated(observation: Observation, label_of: Translate, max_width: int | None = None) -> Image:
    """A copy of the frame with the box, label and confidence of each confirmed track.

    Args:
        observation: its frame is not touched.
        label_of: the name to write for a label; accents are dropped, OpenCV's fonts have none.
        max_width: scale wider pictures down to so many pixels.
    Returns:
        HxWx3 uint8, RGB.
    """
    image = observation.frame.image
    scale = 1.0
    if max_width is not None and image.shape[1] > max_width:
        scale = max_width / image.shape[1]
        size = (max_width, max(1, round(image.shape[0] * scale)))
        picture: Image = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)
    else:
        picture = image.copy()
    for track in observation.tracks:
        if track.confirmed:
            _draw(picture, track, scale, _plain(label_of(track.label)))
    return picture


def encode(picture: Image, quality: int = 80) -> bytes:
    """JPEG of an HxWx3 RGB uint8 picture."""
    return bytes(
        simplejpeg.encode_jpeg(
            np.ascontiguousarray(picture), quality=quality, colorspace="RGB", colorsubsampling="420", fastdct=True
        )
    )


def _draw(picture: Image, track: Track, scale: float, label: str) -> None:
    """Draw one track into `picture`; a predicted box (not matched in this frame) has a thin line."""
    height, width = picture.shape[:2]
    x1, y1, x2, y2 = (round(value * scale) for value in track.xyxy)
    x1, x2 = (min(max(x, 0), width - 1) for x in (x1, x2))
    y1, y2 = (min(max(y, 0), height - 1) for y in (y1, y2))
    color = PALETTE[track.class_id % len(PALETTE)]
    unit = max(1, round(min(width, height) / 320))
    cv2.rectangle(picture, (x1, y1), (x2, y2), color, unit * 2 if track.matched else unit, cv2.LINE_AA)
    text = f"{label} {track.confidence:.0%}"
    font, size = cv2.FONT_HERSHEY_DUPLEX, 0.45 * unit
    (text_width, text_height), baseline = cv2.getTextSize(text, font, size, unit)
    pad = 3 * unit
    top = y1 - text_height - baseline - pad
    top = y1 if top < 0 else top
    left = max(0, min(x1, width - text_width - 2 * pad))
    bottom = top + text_height + baseline + pad
    cv2.rectangle(picture, (left, top), (left + text_width + 2 * pad, bottom), color, cv2.FILLED)
    cv2.putText(picture, text, (left + pad, bottom - baseline - pad // 2), font, size, INK, unit, cv2.LINE_AA)


def _plain(text: str) -> str:
    """`text` without accents and other marks that OpenCV would draw as question marks."""
    return unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()


class Feed:
    """The live pictures of one camera in one language. They are made only while somebody asks, once for all who do."""

    def __init__(
        self,
        camera: str,
        source: LiveSource,
        label_of: Translate,
        fps: float,
        streams: Streams,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.encoded = 0
        self._camera = camera
        self._source = source
        self._label_of = label_of
        self._interval_s = 1 / fps
        self._streams = streams
        self._clock = clock
        self._turn = threading.Lock()
        self._jpeg = b""
        self._index = -1
        self._made_at = float("-inf")

    def next(self, seen: int, timeout_s: float) -> tuple[int, bytes] | None:
        """The number and the JPEG of a picture newer than number `seen` (0: none yet); None after about `timeout_s`.

        Of several viewers that wait, the first makes the picture; the others find it when their turn comes.
        """
        if not self._turn.acquire(timeout=timeout_s):
            return None
        try:
            age_s = self._clock() - self._made_at
            if self.encoded > seen and age_s < FRESH_S:
                return self.encoded, self._jpeg
            if age_s < self._interval_s:
                self._streams.pause(self._interval_s - age_s)
            observation = self._source.wait(self._camera, self._index, timeout_s)
            if observation is not None:
                self._make(observation)
            return (self.encoded, self._jpeg) if self.encoded > seen else None
        finally:
            self._turn.release()

    def _make(self, observation: Observation) -> None:
        self._jpeg = encode(annotated(observation, self._label_of, LIVE_MAX_WIDTH_PX))
        self._index = observation.frame.index
        self._made_at = self._clock()
        self.encoded += 1

    def multipart(self, gone: Callable[[], bool]) -> Iterator[bytes]:
        """The body of a `multipart/x-mixed-replace` answer, until the server stops or the viewer is `gone`.

        The boundary follows each picture at once: browsers show a part only when they have seen its end.
        """
        yield f"--{BOUNDARY}\r\n".encode()
        seen, jpeg, sent_at = 0, b"", self._clock()
        while not (self._streams.stopping or gone()):
            picture = self.next(seen, WAIT_S)
            if picture is not None:
                seen, jpeg = picture
            elif not jpeg or self._clock() - sent_at < KEEP_ALIVE_S:
                continue
            sent_at = self._clock()
            yield (
                f"Content-Type: image/jpeg\r\nContent-Length: {len(jpeg)}\r\n\r\n".encode()
                + jpeg
                + f"\r\n--{BOUNDARY}\r\n".encode()
            )
