"""From an observation to a JPEG with boxes, made once for all who watch."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator

import cv2
import numpy as np

from device.datatypes import FaceSeen, Image, Observation, Track
from device.drawing import Caption, draw, encode
from device.web.sources import LiveSource
from device.web.streams import Streams

LIVE_MAX_WIDTH_PX = 1280
"""Wider pictures are scaled down for the live view: no phone shows more, and the encoder's time grows with the area."""
KEEP_ALIVE_S = 5.0
"""A picture is sent again after so long without a new one, so that a viewer who has left is noticed."""
FRESH_S = 1.0
"""A new viewer is shown a picture that is at most this old; otherwise the next one is made first."""
GUESS_S = 0.5
"""The box of an object that is not seen is guessed for so long; the tracker waits longer before it gives it up."""
WAIT_S = 0.5
BOUNDARY = "sereno-frame"

Translate = Callable[[str], str]


def annotated(observation: Observation, label_of: Translate, max_width: int | None = None) -> Image:
    """A copy of the frame with the box, label and confidence of each confirmed track that is seen, or was just now.

    Args:
        observation: its frame is not touched.
        label_of: the name to write for a label.
        max_width: scale wider pictures down to so many pixels.
    Returns:
        HxWx3 uint8, RGB.
    """
    image = observation.frame.image
    scale = 1.0
    if max_width is not None and image.shape[1] > max_width:
        scale = max_width / image.shape[1]
        size = (max_width, max(1, round(image.shape[0] * scale)))
        picture: Image = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_LINEAR), np.uint8)
    else:
        picture = image.copy()
    now = observation.frame.monotonic
    shown = [
        track for track in observation.tracks if track.confirmed and (track.matched or now - track.last_seen < GUESS_S)
    ]
    faces = [_face_caption(face, label_of) for face in observation.faces]
    draw(picture, [_caption(track, label_of) for track in shown] + faces, scale)
    return picture


GREEN, RED, YELLOW = 2, 3, 0
"""Class ids whose colours these are."""


def _face_caption(face: FaceSeen, label_of: Translate) -> Caption:
    """A face with its name and similarity; who is let in green, who is not red, out of the zone faint."""
    color = {"granted": GREEN, "denied": RED}.get(face.outcome, YELLOW)
    # Once its attempt has ended a face is looked at closely only now and then: its outcome is told instead of its name.
    name = face.name or label_of(face.outcome or ("unknown face" if face.similarity is not None else "face"))
    # Beside a name only: how like the nearest person a stranger is would be read as how sure that is.
    similarity = face.similarity if face.name else None
    return Caption(face.xyxy, name, similarity, color, faint=not face.in_zone)


def _caption(track: Track, label_of: Translate) -> Caption:
    """A box that is only predicted, not matched in this frame, is faint."""
    return Caption(track.xyxy, label_of(track.label), track.confidence, track.class_id, faint=not track.matched)


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
                early_s = self._interval_s - age_s
                self._streams.pause(min(early_s, WAIT_S))
                if early_s > WAIT_S:
                    return None
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

        That is asked before each picture, and about once a second where none comes.

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
