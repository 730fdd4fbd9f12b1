"""MiniFASNet: two small networks that have learnt what prints and screens look like before a camera.

minivision-ai's Silent-Face-Anti-Spoofing (Apache-2.0): V2 sees the face and a little about it, V1SE more. As upstream
does, their probabilities are added, and a face is live where that class has the most; here of all the track's frames.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from device.access.liveness.verdict import OPEN, Verdict, View
from device.datatypes import Box, Image
from device.errors import InputError
from device.inference.manifest import Bundle
from device.inference.tensors import Interpreter

Probabilities = npt.NDArray[np.float32]
"""Of paper, live and screen; they add up to 1."""

ENOUGH, ENOUGH_S = 5, 0.4
"""Frames, and seconds they must span, until it says yes: networks err alike on frames that look alike."""
SURE_S = 1.0
"""Seconds until it says no."""
REMEMBERED_S = 2.0
"""Frames older than that no longer count."""


@dataclass(frozen=True, slots=True)
class Part:
    """A region of a picture, in whole pixels; right and bottom are exclusive."""

    left: int
    top: int
    right: int
    bottom: int


def part_about(box: Box, scale: float, width: int, height: int) -> Part:
    """The part of a picture that a network looks at: the face's box, so many times as large.

    Where the picture is too small for that, `scale` shrinks for both sides alike; where the box would lie beyond an
    edge, it is moved inside. As upstream's `CropImage` has it, rounding included.

    Args:
        box: of the face.
        scale: 2.7 or 4.0.
        width: of the picture, in pixels.
        height: the same.
    Raises:
        ValueError: the box has no size.
    """
    x1, y1, x2, y2 = box
    across, along = x2 - x1, y2 - y1
    if not (across > 0 and along > 0):
        raise ValueError(f"a face's box of {across} x {along} pixels has no surroundings")
    scale = min((height - 1) / along, (width - 1) / across, scale)
    left = _moved_inside((x1 + x2 - across * scale) / 2, across * scale, width)
    top = _moved_inside((y1 + y2 - along * scale) / 2, along * scale, height)
    right, bottom = int(left + across * scale) + 1, int(top + along * scale) + 1
    return Part(int(left), int(top), min(right, width), min(bottom, height))


def _moved_inside(start: float, length: float, available: int) -> float:
    """Where a stretch begins that lies within 0 to available - 1."""
    return max(0.0, min(start, available - 1 - length))


class LivenessNetwork:
    """One of the networks. Several threads may call it; they take turns."""

    def __init__(self, bundle: Bundle, interpreter: Interpreter) -> None:
        """Put the parts together.

        Args:
            bundle: of task `liveness` and decoder `minifasnet`, which says how far about the face it looks.
            interpreter: of that bundle.
        Raises:
            InputError: it is another bundle.
        """
        manifest = bundle.manifest
        if manifest.task != "liveness" or manifest.output.decode != "minifasnet":
            raise InputError(
                f"{bundle.path} is a bundle of task {manifest.task!r} and decoder {manifest.output.decode!r}; telling "
                "faces from pictures of them needs task 'liveness' and decoder 'minifasnet'"
            )
        [output] = interpreter.outputs
        if output.shape != (1, 3):
            raise InputError(f"{bundle.path} gives {output.shape}; a MiniFASNet gives (1, 3): paper, live, screen")
        if manifest.input.face_scale is None:
            raise InputError(f"{bundle.path} has no input.face_scale: nobody knows how far about a face it looks")
        self.name = bundle.name
        self.scale = manifest.input.face_scale
        self._size = manifest.input.width, manifest.input.height
        self._interpreter = interpreter
        self._grid = output.scale, output.zero_point
        self._lock = threading.Lock()

    def judge(self, image: Image, box: Box) -> Probabilities:
        """What one face looks like.

        Args:
            image: HxWx3 uint8 RGB: the whole picture.
            box: of the face, in its pixels.
        """
        part = part_about(box, self.scale, image.shape[1], image.shape[0])
        crop = image[part.top : part.bottom, part.left : part.right]
        return self.judge_crop(cv2.resize(crop, self._size, interpolation=cv2.INTER_LINEAR))

    def judge_crop(self, square: Image) -> Probabilities:
        """The same of a crop that is cut out already: of the input's size, uint8 RGB."""
        with self._lock:
            self._interpreter.write(square)
            [raw] = self._interpreter.invoke()
            found = raw[0].astype(np.float32)
            del raw
        scale, zero_point = self._grid
        return np.asarray((found - zero_point) * np.float32(scale), np.float32)


class MiniFASNet:
    """The check of one track."""

    def __init__(self, networks: Sequence[LivenessNetwork]) -> None:
        """`networks`: whose answers are added, at least one."""
        self._networks = networks
        self._seen: deque[tuple[float, Probabilities]] = deque(maxlen=64)

    def forget(self) -> None:
        """See `Check`."""
        self._seen.clear()

    def look(self, view: View) -> Verdict:
        """See `Check`."""
        now = view.now
        judged = sum(network.judge(view.frame.image, view.face.xyxy) for network in self._networks)
        self._seen.append((now, np.asarray(judged, np.float32)))
        while now - self._seen[0][0] > REMEMBERED_S:
            self._seen.popleft()
        spanned = now - self._seen[0][0]
        if len(self._seen) < ENOUGH or spanned < ENOUGH_S - 1e-6:
            return OPEN
        score = liveness_score(np.array([one for _, one in self._seen]).sum(axis=0))
        if score >= 0.5:
            return Verdict("yes", score)
        return Verdict("no" if spanned >= SURE_S - 1e-6 else "open", score)


def liveness_score(probabilities: Probabilities) -> float:
    """0 to 1; 0.5 where live has as much as the likelier kind of attack, upstream's rule. Sums do as well as means."""
    paper, live, screen = probabilities.tolist()
    return float(live / max(live + max(paper, screen), 1e-9))
