"""The motion gate: a cheap look at every frame that decides whether the detector shall look, too.

On a small grey picture it keeps two running averages of each pixel, a slow one (the background) and a quick one (the
last second), and the pixel's noise. What differs from both moves: somebody who stands still, or the place that somebody
left, differs from the slow one only. (Running averages with selective update: Piccardi 2004, "Background subtraction
techniques: a review".) All rates are per second of frame time, so the gate behaves alike at any frame rate, and it has
no clock of its own.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from device.config import Motion as Settings
from device.datatypes import CameraState, Frame, Image

Grey = npt.NDArray[np.uint8]
"""hxw uint8, the small grey picture."""
Plane = npt.NDArray[np.float32]
Polygon = Sequence[tuple[float, float]]

SMALL_WIDTH = 160
"""Pixels across of the small picture, about: a person of a tenth of its height is still 4x12 pixels."""
BACKGROUND_S = 5.0
"""Time constant by which what is still becomes background: daylight and shadows move in minutes, a cloud in some
seconds."""
FOREGROUND_S = 20.0
"""The same where something differs: a moved chair is forgotten in about this time, somebody who stands still a moment
is not."""
RECENT_S = 1.0
"""Time constant of the quick average: what has stopped for two or three seconds does not move."""
UPHEAVAL = 0.5
"""More of the picture than this changed at once is a light that was switched, or a camera that was turned."""
UPHEAVAL_S = 0.5
UPHEAVAL_LASTS_S = 1.5
"""Time constant then, and for how long all is learnt so quickly: the new light is the background after two seconds."""
NOISE_S = 20.0
"""Time constant of each pixel's noise: leaves and water are learnt in about this time."""
NOISE_START = 2.0
NOISE_MOST = 16.0
"""Grey levels. A pixel that is passed by people all day must not learn them away as noise altogether."""
NOISE_FACTOR = 2.0
"""Of the mean absolute deviation: 2 is 1.6 sigma of normal noise, on top of the threshold."""
GAIN_MOST = 2.0
"""Largest change of exposure that is evened out, up or down; more is an upheaval."""
LONGEST_STEP_S = 1.0
"""A longer pause between two frames counts as this much: what the camera missed is not learnt at one stroke."""


@dataclass(frozen=True, slots=True)
class Motion:
    """What the gate saw in a frame.

    `area` is the part of the picture (0 to 1) that moved, masks not counted. `grey` is the small picture, for others
    who look cheaply. `events` is the motion alarm's change, if it changed.
    """

    moving: bool
    area: float
    grey: Grey
    events: tuple[CameraState, ...] = ()


class MotionGate:
    """Sees whether something moves before one camera.

    Args:
        settings: threshold, least area and off delay.
        masks: polygons in relative coordinates (0 to 1) where motion is ignored.
    """

    def __init__(self, settings: Settings, masks: Sequence[Polygon] = ()) -> None:
        self._settings = settings
        self._masks = masks
        self._alarm = MotionAlarm(settings.off_delay_s)
        self._background: _Background | None = None

    def look(self, frame: Frame) -> Motion:
        """Look at the next frame; its `monotonic` must not decrease. A change of size starts anew."""
        grey = small_grey(frame.image)
        if self._background is None or self._background.shape != grey.shape:
            self._background = _Background(
                grey, self._settings.threshold, seen_area(grey.shape, self._masks), frame.monotonic
            )
        area = self._background.changed(grey, frame.monotonic)
        moving = area >= self._settings.min_area
        return Motion(moving, area, grey, self._alarm.update(frame, moving))

    def finish(self, last: Frame) -> tuple[CameraState, ...]:
        """Nothing comes after the frame `last`: the alarm goes OFF where it was ON. What may come later starts anew."""
        self._background = None
        return self._alarm.finish(last)


class Gate:
    """Decides which frames the detector looks at."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._last_open: float | None = None

    def opens(self, moving: bool, needed: bool, now: float) -> bool:
        """Whether this frame is let through.

        Args:
            moving: something moves.
            needed: somebody follows an object that is not at rest.
            now: `Frame.monotonic` in seconds.
        """
        idle = self._last_open is None or now - self._last_open >= self._settings.idle_interval_s
        if moving or needed or idle or not self._settings.enabled:
            self._last_open = now
            return True
        return False


class MotionAlarm:
    """Turns ON at the second moving frame in a row (one alone is a flash), and OFF after `off_delay_s` seconds without
    one."""

    def __init__(self, off_delay_s: float) -> None:
        self._off_delay_s = off_delay_s
        self._on = False
        self._before = False
        self._last = 0.0

    def update(self, frame: Frame, moving: bool) -> tuple[CameraState, ...]:
        """Take in one frame; the change, if there was one."""
        was_on, before = self._on, self._before
        self._before = moving
        if moving:
            self._last = frame.monotonic
            self._on = was_on or before
        elif was_on and frame.monotonic - self._last >= self._off_delay_s:
            self._on = False
        return (CameraState(frame.camera, "motion", self._on, frame.wall),) if self._on != was_on else ()

    def finish(self, last: Frame) -> tuple[CameraState, ...]:
        """Nothing comes after the frame `last`: OFF, if it was ON."""
        was_on, self._on, self._before = self._on, False, False
        return (CameraState(last.camera, "motion", False, last.wall),) if was_on else ()


class _Background:
    """The learnt picture, each pixel's noise, and what differs from them. Works in buffers of its own."""

    def __init__(self, grey: Grey, threshold: float, seen: Grey | None, now: float) -> None:
        self.shape = grey.shape
        self._threshold = threshold
        self._seen = seen
        self._now = now
        self._upheaval_ends = -math.inf
        self._mean: Plane = cv2.blur(grey, (3, 3)).astype(np.float32)
        self._noise: Plane = np.full(grey.shape, NOISE_START, np.float32)
        self._recent: Plane = self._mean.copy()
        self._picture: Plane = np.empty(grey.shape, np.float32)
        self._expected: Plane = np.empty(grey.shape, np.float32)
        self._difference: Plane = np.empty(grey.shape, np.float32)
        self._limit: Plane = np.empty(grey.shape, np.float32)

    def changed(self, grey: Grey, now: float) -> float:
        """The part of the picture (0 to 1) that differs from the background; then learn from it."""
        step_s = min(max(0.0, now - self._now), LONGEST_STEP_S)
        self._now = now
        np.copyto(self._picture, cv2.blur(grey, (3, 3)))
        # addWeighted with a plane of no weight: five times as fast as multiply by a number.
        cv2.addWeighted(self._mean, self._gain(), self._mean, 0.0, 0.0, dst=self._expected)
        cv2.absdiff(self._picture, self._expected, dst=self._difference)
        cv2.addWeighted(self._noise, NOISE_FACTOR, self._noise, 0.0, self._threshold, dst=self._limit)
        foreground = cv2.compare(self._difference, self._limit, cv2.CMP_GT)
        area = self._moving_area(foreground)
        self._learn(foreground, step_s)
        return area

    def _moving_area(self, foreground: Grey) -> float:
        # A pixel that differs without its neighbours is noise, or an edge that was shifted by a fraction of a pixel.
        moving = cv2.erode(foreground, None)
        cv2.absdiff(self._picture, self._recent, dst=self._expected)
        # Half the limit: the quick average follows, so that an object's inside differs from it less than from the
        # background.
        cv2.addWeighted(self._expected, 2.0, self._expected, 0.0, 0.0, dst=self._expected)
        changing = cv2.compare(self._expected, self._limit, cv2.CMP_GT)
        cv2.bitwise_and(moving, changing, dst=moving)
        if self._seen is not None:
            cv2.bitwise_and(moving, self._seen, dst=moving)
        return float(cv2.countNonZero(moving) / moving.size)

    def _gain(self) -> float:
        """By how much the whole picture is brighter than learnt: the median over a sixteenth of it, so that what moves
        has no say."""
        ratio = (self._picture[2::4, 2::4] + 8.0) / (self._mean[2::4, 2::4] + 8.0)
        middle = ratio.size // 2
        gain = float(np.partition(ratio, middle, axis=None)[middle])
        return min(max(gain, 1 / GAIN_MOST), GAIN_MOST)

    def _learn(self, foreground: Grey, step_s: float) -> None:
        if cv2.countNonZero(foreground) > UPHEAVAL * foreground.size:
            self._upheaval_ends = self._now + UPHEAVAL_LASTS_S
        if self._now < self._upheaval_ends:
            cv2.accumulateWeighted(self._picture, self._recent, _share(step_s, UPHEAVAL_S))
            cv2.accumulateWeighted(self._picture, self._mean, _share(step_s, UPHEAVAL_S))
            return
        cv2.accumulateWeighted(self._picture, self._recent, _share(step_s, RECENT_S))
        cv2.accumulateWeighted(self._picture, self._mean, _share(step_s, BACKGROUND_S), cv2.bitwise_not(foreground))
        cv2.accumulateWeighted(self._picture, self._mean, _share(step_s, FOREGROUND_S), foreground)
        cv2.min(self._difference, self._limit, dst=self._difference)
        cv2.accumulateWeighted(self._difference, self._noise, _share(step_s, NOISE_S))
        cv2.min(self._noise, NOISE_MOST, dst=self._noise)


def small_grey(image: Image) -> Grey:
    """The small grey picture: every k-th pixel, so that about 160 are left across.

    Half of it is red, half green, taken half a step apart: two sensor cells average their noise. Blue is left out,
    being the noisiest channel and the one that tells least. Ten times as fast as scaling down; the blur comes later, on
    few pixels.
    """
    height, width = image.shape[:2]
    step = max(1, min(round(width / SMALL_WIDTH), height // 8))
    rows, columns = height // step * step, width // step * step
    first, second = step // 4, step // 4 + step // 2
    red = image[first:rows:step, first:columns:step, 0] >> 1
    green = image[second:rows:step, second:columns:step, 1] >> 1
    grey: Grey = np.add(red, green, out=red)
    return grey


def seen_area(shape: tuple[int, ...], masks: Sequence[Polygon]) -> Grey | None:
    """255 where motion counts, 0 inside the masks (relative coordinates); None where nothing is masked."""
    if not masks:
        return None
    height, width = shape
    seen = np.full((height, width), 255, np.uint8)
    for polygon in masks:
        corners = np.round(np.array(polygon) * (width, height)).astype(np.int32)
        cv2.fillPoly(seen, [corners], 0)
    return seen


def _share(step_s: float, constant_s: float) -> float:
    """What part of the way to a new value a running mean goes in `step_s` seconds."""
    return 1.0 - math.exp(-step_s / constant_s)
