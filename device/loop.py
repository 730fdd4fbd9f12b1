"""The camera loop: each frame through the unit of its camera; each event to the sinks."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from threading import Event as StopFlag
from typing import Protocol

from device.capture.motion import Gate, MotionGate
from device.capture.tamper import TamperWatch
from device.datatypes import CameraHealth, Detection, Event, Frame, Image, Observation, Step, Track
from device.detection.filters import Filters
from device.detection.lifecycle import Lifecycle
from device.detection.tracker import Tracker

GLANCE_S = 0.45
"""While the detector looks at every frame all the same, and motion neither begins nor ends, the gate looks no more
often than this."""

CHECK_S = 0.5
"""So often it is looked whether a camera was lost."""


class Detects(Protocol):
    """What the loop needs of a detector."""

    def detect(self, image: Image) -> list[Detection]:
        """Boxes of one HxWx3 uint8 RGB picture, in its pixels."""


class Sink(Protocol):
    """Somebody who is told of events; `accept` never blocks."""

    def accept(self, event: Event) -> None:
        """Take one event."""


class Watchdog(Protocol):
    """Who restarts this process when the loop hangs."""

    def ping(self) -> None:
        """Say that the loop turned."""


class Unit(Protocol):
    """One camera's way from frame to events. Holds no thread: a camera box's `CameraUnit`, or a door."""

    def process(self, frame: Frame) -> Step:
        """Look at one frame."""

    def idle(self) -> list[Event]:
        """No frame came for a moment: whatever else has happened."""

    def lose(self, away_s: float) -> list[Event]:
        """Take note that the camera has shown nothing for so many seconds; frames may come again later."""

    def finish(self) -> list[Event]:
        """End what is open: the source has ended or the process is asked to stop."""


class CameraUnit:
    """One camera's way from frame to events. Holds no thread and no clock: time is the frame's own."""

    def __init__(
        self,
        *,
        motion: MotionGate,
        gate: Gate,
        tamper: TamperWatch | None,
        detector: Detects,
        filters: Filters,
        tracker: Tracker,
        lifecycle: Lifecycle,
    ) -> None:
        self._motion = motion
        self._gate = gate
        self._tamper = tamper
        self._detector = detector
        self._filters = filters
        self._tracker = tracker
        self._lifecycle = lifecycle
        self._tracks: tuple[Track, ...] = ()
        self._moving = self._settled = False
        self._glanced_at = -math.inf
        self._last: Frame | None = None
        self._blind = False

    def process(self, frame: Frame) -> Step:
        """Look at one frame: cheaply at all of them, with the detector only where the gate lets it through."""
        self._last, self._blind = frame, False
        needed = self._lifecycle.needs_frames
        events: list[Event] = []
        if not (needed and self._settled) or frame.monotonic - self._glanced_at >= GLANCE_S:
            events += self._glance(frame)
        if not self._gate.opens(self._moving, needed, frame.monotonic):
            return Step(Observation(frame, self._tracks, self._moving, detected=False), events)
        started = time.perf_counter()
        detections = self._detector.detect(frame.image)
        took_s = time.perf_counter() - started
        height, width = frame.image.shape[:2]
        tracks = self._tracker.update(self._filters.keep(detections, width, height), frame.monotonic)
        events += self._lifecycle.update(frame, tracks)
        self._tracks = tuple(tracks)
        return Step(Observation(frame, self._tracks, self._moving, detected=True, inference_s=took_s), events)

    def _glance(self, frame: Frame) -> list[Event]:
        """The cheap look: does anything move, was the camera tampered with?"""
        seen = self._motion.look(frame)
        self._settled = seen.moving == self._moving and self._glanced_at > -math.inf
        self._moving, self._glanced_at = seen.moving, frame.monotonic
        tampered = self._tamper.look(frame, seen) if self._tamper is not None else []
        return [*seen.events, *tampered]

    def idle(self) -> list[Event]:
        """Nothing happens to objects without a frame."""
        return []

    def lose(self, away_s: float) -> list[Event]:
        """Take note that the camera has shown nothing for so many seconds; frames may come again later.

        The same patience as with an object that is not seen: what moves, and the motion alarm, end after `lost_s`, a
        parked car after `stationary_lost_s`, so that a camera that is back within seconds doesn't report it anew. The
        tamper alarm stays: who covers a camera and then cuts its cable has not ended it.
        """
        if away_s < self._lifecycle.patience_s:
            return []
        events: list[Event] = []
        if not self._blind:
            self._blind, self._moving, self._glanced_at, self._tracks = True, False, -math.inf, ()
            self._tracker.reset()
            if self._last is not None:
                events += self._motion.finish(self._last)
        return events + self._lifecycle.lose(away_s)

    def finish(self) -> list[Event]:
        """End what is open: the source has ended or the process is asked to stop."""
        if self._last is None:
            return self._lifecycle.finish()
        alarms = [*self._motion.finish(self._last), *(self._tamper.finish(self._last) if self._tamper else ())]
        return [*alarms, *self._lifecycle.finish()]


@dataclass(slots=True)
class Loop:
    """Everything one run of the loop touches, put together by `device.app`."""

    frames: Iterable[Frame | None]
    units: Mapping[str, Unit]
    sinks: list[Sink]
    observers: list[Callable[[Observation], None]]
    health: Callable[[], list[CameraHealth]]
    watchdog: Watchdog
    stop: StopFlag
    max_frames: int | None = None
    clock: Callable[[], float] = time.monotonic
    _checked_at: float = -math.inf
    _away_since: dict[str, float] = field(default_factory=dict)

    def run(self) -> None:
        """Until the frames end, `stop` is set or `max_frames` were processed; then every open event gets its `end`.

        Raises:
            InputError: a source failed on the way; said after the ends.
            Exception: a unit failed, see `Step.failure`; the same.
        """
        try:
            self._run()
        finally:
            for unit in self.units.values():
                self._tell(unit.finish())

    def _run(self) -> None:
        taken = 0
        for frame in self.frames:
            if self.stop.is_set():
                break
            if frame is None:
                self._idle()
            else:
                self._turn(frame)
                taken += 1
            self._look_for_lost_cameras()
            if self.max_frames is not None and taken >= self.max_frames:
                break

    def _turn(self, frame: Frame) -> None:
        step = self.units[frame.camera].process(frame)
        self._tell(step.events)
        for show in self.observers:
            show(step.observation)
        if step.failure is not None:
            raise step.failure
        self.watchdog.ping()

    def _idle(self) -> None:
        for unit in self.units.values():
            self._tell(unit.idle())
        # No frame for a while. Feeding the watchdog is right only where that is known and dealt with: a camera that is
        # down was reported and is being reopened. Cameras that claim to be well and deliver nothing are a hang of ours.
        if any(health.state != "ok" for health in self.health()):
            self.watchdog.ping()

    def _look_for_lost_cameras(self) -> None:
        """Let each camera that shows nothing end its events in time, also while others deliver."""
        now = self.clock()
        if now - self._checked_at < CHECK_S:
            return
        self._checked_at = now
        for health in self.health():
            if health.state in ("ok", "starting"):
                self._away_since.pop(health.camera, None)
                continue
            # A recording that has ended was never down: it counts from when that was seen.
            since = self._away_since.setdefault(health.camera, now) if health.down_since is None else health.down_since
            self._tell(self.units[health.camera].lose(now - since))

    def _tell(self, events: list[Event]) -> None:
        for event in events:
            for sink in self.sinks:
                sink.accept(event)
