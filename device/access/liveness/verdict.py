"""What every check of the chain is given, and what it answers."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Literal, Protocol, runtime_checkable

from device.access.liveness.patch import Patch, cut_patch
from device.datatypes import Face, Frame

Answer = Literal["yes", "no", "open"]


@dataclass(frozen=True, slots=True)
class Verdict:
    """One check's opinion of one track.

    `open`: not enough was seen. `score` is 0 (attack) to 1 (live), and 0.5 is where the check's own limit lies.
    """

    answer: Answer
    score: float


OPEN = Verdict("open", 0.0)


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
    def patch(self) -> Patch:
        """The face, upright and of one size."""
        return cut_patch(self.frame.image, self.face.landmarks)


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
