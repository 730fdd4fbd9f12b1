"""A door for tests: the real models, log, gallery and policy; a lock without metal, and clocks that stand still."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from device.access.audit import Audit, read
from device.access.auditrecord import AuditRecord
from device.access.enforcement import Enforcer
from device.access.face_detector import FaceDetector
from device.access.facetracker import FaceTracker
from device.access.gallery import Gallery
from device.access.inputs import DoorWatch, FakeInputs
from device.access.liveness import LivenessChain, open_liveness
from device.access.lock import FakeLock
from device.access.policy.observation import Now
from device.access.policy.rules import Rules
from device.access.policymemory import PolicyMemory
from device.access.quality import Limits
from device.access.recognizer import Recognizer
from device.access.signals import FakeSignals
from device.access.unit import DoorUnit, Eyes, Glance
from device.datatypes import AccessDecision, Event, Frame, Image, LockMoved, Step
from device.system.clock import FakeClock

FPS = 10.0
WALL = 1_795_000_000.0
"""A Wednesday in November 2026, 10:26 UTC."""
BOOT = "this start of the machine"
THRESHOLDS = ((1e-2, 0.26), (1e-3, 0.35), (1e-4, 0.42), (1e-5, 0.5))


class Open:
    """A gate that is always open."""

    def look(self, frame: Frame, needed: bool) -> Glance:
        del frame, needed
        return Glance(opens=True, moving=True)

    def finish(self) -> list[Event]:
        return []


@dataclass
class Latch:
    """Everything that a decision moves, and what was told of it."""

    folder: Path
    rules: Rules
    clock: FakeClock = field(default_factory=lambda: FakeClock(WALL, 1000.0))
    lock: FakeLock = field(init=False)
    inputs: FakeInputs = field(default_factory=FakeInputs)
    signals: FakeSignals = field(default_factory=FakeSignals)
    audit: Audit = field(init=False)
    memory: PolicyMemory = field(init=False)
    enforcer: Enforcer = field(init=False)
    names: dict[str, str] = field(default_factory=dict)
    trusted: bool = True
    boot: str = BOOT

    def __post_init__(self) -> None:
        self.lock = FakeLock(self.clock)
        self.audit = Audit.open(self.folder / "audit", self.clock, boot=self.boot)
        self.memory = PolicyMemory(self.folder)
        self.enforcer = self.make()

    def make(self) -> Enforcer:
        return Enforcer(
            rules=self.rules,
            memory=self.memory,
            audit=self.audit,
            lock=self.lock,
            inputs=self.inputs,
            signals=self.signals,
            watch=DoorWatch(30.0),
            names=lambda: self.names,
            now=self.now(),
            unlock_s=3.0,
            versions={"sereno": "test"},
            settings={"liveness": "passive" if self.rules.liveness_required else "off"},
            clock=self.clock.monotonic,
        )

    def now(self, _frame: Frame | None = None) -> Now:
        return Now(self.clock.monotonic(), self.clock.wall(), self.trusted, self.boot)

    def records(self, kind: str | None = None) -> list[AuditRecord]:
        """What the log holds."""
        return [record for record in read(self.audit.path) if kind in (None, record.kind)]


@dataclass
class House:
    """A whole door."""

    latch: Latch
    unit: DoorUnit
    gallery: Gallery
    eyes: Eyes
    _index: Iterator[int] = field(default_factory=itertools.count)
    events: list[Event] = field(default_factory=list)

    def show(self, images: Sequence[Image]) -> list[Step]:
        """Look at pictures, ten a second."""
        steps = []
        for image in images:
            clock = self.latch.clock
            step = self.unit.process(Frame("door", next(self._index), image, clock.monotonic(), clock.wall()))
            clock.advance(1 / FPS)
            self.events += step.events
            steps.append(step)
        return steps

    @property
    def decisions(self) -> list[tuple[str, str]]:
        """Who was let in, and why not."""
        return [
            (event.name if event.granted else "", event.reason)
            for event in self.events
            if isinstance(event, AccessDecision)
        ]

    @property
    def moved(self) -> list[bool]:
        """The lock's movements that were told."""
        return [event.unlocked for event in self.events if isinstance(event, LockMoved)]


def build(
    folder: Path,
    detector: FaceDetector,
    recognizer: Recognizer,
    *,
    liveness: str = "off",
    gate: Any = None,
    in_zone: Any = None,
    **rules: Any,
) -> House:
    """A door with an empty gallery."""
    latch = Latch(
        folder,
        Rules(**{"thresholds": recognizer.thresholds, "liveness_required": liveness != "off", **rules}),
    )
    gallery = Gallery.open(folder / "gallery.db", b"k" * 32, recognizer.model_sha256, create=True)
    chain: LivenessChain = open_liveness(liveness)  # type: ignore[arg-type]
    limits = Limits(confidence=detector.clear)
    anywhere = in_zone or (lambda _box, _width, _height: True)
    eyes = Eyes(detector, limits, recognizer, chain, gallery, liveness == "challenge", anywhere)
    unit = DoorUnit(
        camera="door",
        gate=gate or Open(),
        eyes=eyes,
        tracker=FaceTracker(),
        enforcer=latch.enforcer,
        now=latch.now,
        clock=latch.clock.monotonic,
    )
    return House(latch, unit, gallery, eyes)


def scene(*photos: tuple[Image, int, int], seed: int = 0, side: int = 320) -> Image:
    """Photos before a grey wall, 640x480, each at its place (left, top) and `side` pixels across; with the noise of a
    camera, so that no two frames are the same."""
    noise = np.random.default_rng(seed)
    picture = np.full((480, 640, 3), 120, np.uint8)
    for photo, left, top in photos:
        square = cv2.resize(photo, (side, side), interpolation=cv2.INTER_LINEAR)
        part = picture[top : top + side, left : left + side]
        part[:] = square[: part.shape[0], : part.shape[1]]
    noisy = picture.astype(np.int16) + noise.integers(-3, 4, picture.shape, np.int16)
    return np.clip(noisy, 0, 255).astype(np.uint8)


def held(*photos: tuple[Image, int, int], frames: int, first: int = 0, side: int = 320) -> list[Image]:
    """The scene for so many frames."""
    return [scene(*photos, seed=first + number, side=side) for number in range(frames)]
