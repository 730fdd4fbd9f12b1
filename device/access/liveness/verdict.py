"""What every check of the chain is given, and what it answers."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Literal, Protocol, runtime_checkable

import cv2
import numpy as np

from device.access.alignment import FloatArray
from device.access.liveness.patch import Patch, cut_patch
from device.datatypes import Face, Frame, Image

Answer = Literal["yes", "no", "open"]


@dataclass(frozen=True, slots=True)
class Verdict:
    """One check's opinion of one track.

    `open`: not enough was seen. `score` is 0 (attack) to 1 (live), and 0.5 is where the check's own limit lies.
    """

    answer: Answer
    score: float


OPEN = Verdict("open", 0.0)


SMALL = 32
"""Side of the small grey picture of a face."""
THUMBNAIL = 12


@dataclass(frozen=True)
class View:
    """One face in one frame; what several checks need of it is computed once."""

    frame: Frame
    face: Face

    @property
    def now(self) -> float:
        """The frame's time, in seconds."""
        return self.frame.monotonic

    @cached_property
    def crop(self) -> Image:
        """The face's box, at least one pixel of it."""
        height, width = self.frame.image.shape[:2]
        x1, y1, x2, y2 = self.face.xyxy
        left, top = min(max(int(x1), 0), width - 1), min(max(int(y1), 0), height - 1)
        return np.ascontiguousarray(self.frame.image[top : max(int(y2), top + 1), left : max(int(x2), left + 1)])

    @cached_property
    def small(self) -> FloatArray:
        """The same in 32x32 grey values."""
        grey = cv2.cvtColor(self.crop, cv2.COLOR_RGB2GRAY)
        return np.asarray(cv2.resize(grey, (SMALL, SMALL), interpolation=cv2.INTER_AREA), np.float32)

    @cached_property
    def thumbnail(self) -> FloatArray:
        """The same in 12x12, as a vector of zero mean and unit length."""
        tiny = cv2.resize(self.small, (THUMBNAIL, THUMBNAIL), interpolation=cv2.INTER_AREA).ravel()
        tiny -= tiny.mean()
        return np.asarray(tiny / max(float(np.linalg.norm(tiny)), 1e-6), np.float32)

    @cached_property
    def patch(self) -> Patch:
        """The face, upright and of one size."""
        return cut_patch(self.frame.image, self.face.landmarks)


def alike(one: FloatArray, other: FloatArray) -> float:
    """Correlation of two thumbnails, -1 to 1."""
    return float(one @ other)


class Check(Protocol):
    """One check of one track. It sees the track's frames in their order, each once."""

    def look(self, view: View, /) -> Verdict:
        """Take a frame into account and say what is thought now."""

    def forget(self) -> None:
        """Begin anew: what comes now may be somebody else."""


@runtime_checkable
class Prompting(Protocol):
    """A check that asks the person to do something."""

    @property
    def prompt(self) -> str:
        """What, as the key of a text; empty where nothing is asked now."""
