"""The tamper alarm: was the camera covered, blinded, or turned away?

Once a second, on the motion gate's small grey picture, four questions, each against what the camera has shown in the
last minute: has it become dark, is it dazzled, have its details gone, does it show another view? Dusk and fog come
slowly and are learnt on the way; a lamp that is switched off in a room without windows looks just like a covered lens,
and is reported as one.
"""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from device.capture.motion import Grey, Motion, Plane
from device.config import Tamper as Settings
from device.datatypes import CameraState, Frame

INTERVAL_S = 1.0
"""Looks this far apart are enough for an alarm that waits some seconds."""
MEMORY_S = 60.0
"""Time constant of what was learnt. Twilight dims by a tenth a minute; a hand is there at once."""
LEARNT_S = 5.0
"""Nothing is judged before so many seconds were learnt,"""
VIEW_LEARNT_S = 30.0
"""and another view not before so many: a camera that is moved about all the time has none."""
CLEAR_S = 2.0
"""The alarm ends when the picture has been good for so long."""
RELEARN_S = 600.0
"""Another view that has stayed for so long is the camera's own now: somebody meant it."""

DARK_LEVEL = 40
LIT_SHARE = 0.02
"""Dark: less than a fiftieth of the pixels above 40 of 255. A street at night has lamps, a covered lens a leak of
light."""
DARKENED = 3.0
"""It *became* dark: it was so many times brighter in the last minute,"""
WAS_LIT = 25.0
"""and bright at all: the last of the twilight fades by more than that in a minute."""
GLARE_LEVEL = 250
GLARE_SHARE = 0.7
"""Dazzled: so much of the picture is white, and was not before."""
FLAT_SHARE = 0.25
"""Flat: a quarter of the learnt detail is left. Clips of one scene never fell below three quarters of their median."""
UNLIKE = 0.4
FOREIGN_SHARE = 0.5
"""Another view: in half of the blocks the edges correlate by less than 0.4 with the learnt ones, smoothed as below.
Measured on three clips: the same scene with people all over it up to 0.25; turned aside by a fifth of the picture 0.78
and more, by a tenth 0.57 and more."""
SMOOTHING = 0.5
"""Weight of one look in the share above: one picture among others that happens to fit does not end an alarm."""
STEADY = 0.5
"""A view that does not correlate with itself by this much over the last minute is none: a moving camera, a slide
show."""
STRUCTURE = 4.0
"""A block takes part if the deviation of its learnt edges is above this: a bare wall has nothing to compare."""
LEAST_BLOCKS = 4
"""With fewer such blocks of the twelve nothing is said about the view."""

_CELLS = (40, 30)
"""The edge picture, across and down: twelve blocks of 10x10 cells."""


class TamperWatch:
    """Watches one camera. No clock of its own: time is the frames'."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._view = _View()
        self._looked: float | None = None
        self._bad_since: float | None = None
        self._good_since: float | None = None
        self._on = False

    def look(self, frame: Frame, motion: Motion) -> tuple[CameraState, ...]:
        """Look at the next frame with what the motion gate saw in it; the alarm's change, if it changed."""
        now = frame.monotonic
        if not self._settings.enabled or (self._looked is not None and now - self._looked < INTERVAL_S * 0.9):
            return ()
        step_s = 0.0 if self._looked is None else min(now - self._looked, 2 * INTERVAL_S)
        self._looked = now
        fault = self._view.fault(motion.grey)
        if not fault:
            self._view.learn(step_s)
        return self._update(frame, fault)

    def finish(self, last: Frame) -> tuple[CameraState, ...]:
        """Nothing comes after the frame `last`: the alarm goes OFF where it was ON."""
        self._bad_since = self._good_since = None
        return self._turn(last, False, "nobody watches any more") if self._on else ()

    def _update(self, frame: Frame, fault: str) -> tuple[CameraState, ...]:
        """Count how long it has been bad or good, and turn the alarm."""
        now = frame.monotonic
        if fault:
            self._good_since = None
            self._bad_since = now if self._bad_since is None else self._bad_since
            if not self._on and now - self._bad_since >= self._settings.after_s:
                return self._turn(frame, True, fault)
            if self._on and now - self._bad_since >= RELEARN_S and fault == _View.FOREIGN:
                self._view = _View()
                self._bad_since = None
                return self._turn(frame, False, "the new view was learnt")
            return ()
        self._good_since = now if self._good_since is None else self._good_since
        if not self._on:
            self._bad_since = None
        elif now - self._good_since >= CLEAR_S:
            self._bad_since = None
            return self._turn(frame, False, "the view is back")
        return ()

    def _turn(self, frame: Frame, on: bool, reason: str) -> tuple[CameraState, ...]:
        self._on = on
        return (CameraState(frame.camera, "tamper", on, frame.wall, reason),)


class _View:
    """What a camera usually shows: how bright, how detailed, and where its edges are."""

    FOREIGN = "turned away: it shows another view"

    def __init__(self) -> None:
        self._learnt_s = 0.0
        self._looks = 0
        self._brightness = 0.0
        self._detail = 0.0
        self._glare = 0.0
        self._steadiness = 1.0
        self._unlike = 0.0
        self._edges: Plane = np.zeros((_CELLS[1], _CELLS[0]), np.float32)
        self._now = _Look(np.zeros((8, 8), np.uint8))
        self._likeness: npt.NDArray[np.float32] | None = None

    def fault(self, grey: Grey) -> str:
        """What is wrong with this picture, for people; empty where nothing is, or too little was learnt."""
        self._now = now = _Look(grey)
        self._likeness = _likeness(now.edges, self._edges)
        if self._likeness is not None:
            self._unlike += SMOOTHING * (float(np.mean(self._likeness < UNLIKE)) - self._unlike)
        if self._learnt_s < LEARNT_S:
            return ""
        if now.lit < LIT_SHARE and self._brightness > max(WAS_LIT, DARKENED * now.brightness):
            return "covered: the picture went dark"
        if now.glare > GLARE_SHARE and self._glare < GLARE_SHARE / 2:
            return "blinded: the picture is white"
        if now.detail < FLAT_SHARE * self._detail:
            return "covered: the picture shows no details"
        return self.FOREIGN if self._foreign() else ""

    def learn(self, step_s: float) -> None:
        """Learn from the picture last looked at, which came `step_s` seconds after the one before."""
        self._looks += 1
        self._learnt_s += step_s
        share = max(1 / self._looks, step_s / MEMORY_S) if self._learnt_s < MEMORY_S else step_s / MEMORY_S
        now = self._now
        if self._likeness is not None:
            self._steadiness += share * (float(np.median(self._likeness)) - self._steadiness)
        self._brightness += share * (now.brightness - self._brightness)
        self._glare += share * (now.glare - self._glare)
        self._detail += share * (now.detail - self._detail)
        cv2.accumulateWeighted(now.edges, self._edges, share)

    def _foreign(self) -> bool:
        if self._likeness is None or self._learnt_s < VIEW_LEARNT_S or self._steadiness < STEADY:
            return False
        return self._unlike >= FOREIGN_SHARE


class _Look:
    """The figures of one picture."""

    def __init__(self, grey: Grey) -> None:
        self.brightness = float(cv2.mean(grey)[0])
        self.lit = cv2.countNonZero(cv2.compare(grey, DARK_LEVEL, cv2.CMP_GT)) / grey.size
        self.glare = cv2.countNonZero(cv2.compare(grey, GLARE_LEVEL, cv2.CMP_GE)) / grey.size
        smooth = cv2.blur(grey, (3, 3))
        across = cv2.convertScaleAbs(cv2.Sobel(smooth, cv2.CV_16S, 1, 0))
        down = cv2.convertScaleAbs(cv2.Sobel(smooth, cv2.CV_16S, 0, 1))
        strength = cv2.resize(cv2.add(across, down), _CELLS, interpolation=cv2.INTER_AREA)
        self.edges: Plane = strength.astype(np.float32)
        # The second derivative: a blur that leaves the large shapes takes most of it away.
        self.detail = float(cv2.mean(cv2.convertScaleAbs(cv2.Laplacian(smooth, cv2.CV_16S)))[0])


def _likeness(edges: Plane, learnt: Plane) -> npt.NDArray[np.float32] | None:
    """How well the edges correlate (-1 to 1) in each block that has learnt structure; None where too few have."""
    now, before = _blocks(edges), _blocks(learnt)
    structure = before.std(axis=1)
    counts = structure > STRUCTURE
    if np.count_nonzero(counts) < LEAST_BLOCKS:
        return None
    covariance = (now * before).mean(axis=1)
    likeness: npt.NDArray[np.float32] = (covariance / (now.std(axis=1) * structure + 1.0))[counts]
    return likeness


def _blocks(edges: Plane) -> Plane:
    """The edge picture as 12 rows, one a block, each of mean 0."""
    blocks: Plane = edges.reshape(3, 10, 4, 10).transpose(0, 2, 1, 3).reshape(12, 100)
    centred: Plane = blocks - blocks.mean(axis=1, keepdims=True)
    return centred
