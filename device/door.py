"""The door unit put together: with `device.app` the only place where its concrete classes are named."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2

from device import __version__
from device import config as settings
from device.access.audit import Audit, boot_id
from device.access.audit import recorded as on_record
from device.access.auditwitness import AuditWitness
from device.access.decisionlog import DecisionLog
from device.access.enforcement import Enforcer
from device.access.facemodels import EMBEDDER, open_detector
from device.access.facetracker import FaceTracker
from device.access.gallery import Gallery
from device.access.gallerykey import find_key
from device.access.inputs import DoorWatch, KeeperInputs
from device.access.keeper.settings import KeeperSettings
from device.access.keeperlink import KeeperLink
from device.access.liveness import open_liveness
from device.access.lock import KeeperLock, Lock
from device.access.policy.observation import Now
from device.access.policy.rules import Rules
from device.access.policymemory import PolicyMemory
from device.access.quality import Limits
from device.access.recognizer import Recognizer
from device.access.signals import KeeperSignals
from device.access.unit import DoorUnit, Eyes, Glance
from device.capture.motion import Gate, MotionGate
from device.capture.tamper import TamperWatch
from device.configfile import resolve_path
from device.datatypes import Box, Event, Frame
from device.detection.zones import Polygon
from device.doorpage import door_page
from device.errors import ConfigError
from device.inference.interpreter import open_interpreter
from device.inference.manifest import Bundle, find_bundle, load_bundle
from device.loop import GLANCE_S
from device.system.clock import SystemClock
from device.system.clocktrust import ClockTrust
from device.web.doorsources import DoorSources

log = logging.getLogger(__name__)

GALLERY = "gallery.db"
AUDIT = "audit"
KEEPER = "lock"
"""Below the state folder: the gallery, the access log's folder, and that of the keeper's journal."""
MOCK_PIN = 17
"""What the mock moves where no pin is named."""
LIVENESS_OFF = "door.liveness is off: a photo of somebody who may come in opens this door"
NO_LOCK = "door.lock.driver is mock: no lock is moved"
RECORDING = (
    "door.lock.driver is gpio, and the camera's source is, or may be, a recording: who is let in there moves the real "
    "lock; mock moves none"
)


@dataclass(slots=True)
class Door:
    """A door unit and what it holds open."""

    unit: DoorUnit
    decisions: DecisionLog
    witness: AuditWitness
    gallery: Gallery
    models: list[str]
    warnings: list[str]
    page: DoorSources
    _enforcer: Enforcer
    _lock: Lock
    _audit: Audit
    _liveness: str

    def status(self) -> dict[str, Any]:
        """For MQTT's `status`, the page and `readyz`."""
        return {
            "lock": self._lock.state,
            "fault": self.fault,
            "people": len(self.gallery.names()),
            "liveness": self._liveness,
            "records": self.decisions.newest(),
            "warnings": self.warnings,
        }

    @property
    def fault(self) -> str:
        """Why nobody is let in now; empty where all is well."""
        return self._enforcer.fault or self.gallery.fault or self.unit.fault

    def recorded(self, act: str, **more: Any) -> AbstractContextManager[None]:
        """Have an administrator's act on record before it is done: see `device.access.audit.recorded`."""
        return on_record(self._audit.append, act, "", **more)

    def lock(self) -> None:
        """Put the lock to rest, and let go of its pin. Harmless when repeated."""
        self._lock.close()

    def close(self) -> None:
        """Lock, and let go of everything. Harmless when repeated."""
        self.lock()
        self.decisions.close()
        self.page.log.close()
        self._audit.close()
        self.gallery.close()


def build_door(config: settings.Config, base: Path, folder: Path, *, recorded: bool) -> Door:
    """Everything between the camera's frames and the lock.

    Args:
        config: a whole configuration, of the role `door`.
        base: folder that its relative paths are relative to.
        folder: the state folder, which must be there.
        recorded: the camera's source is a recording that is played as fast as it goes: its own time counts.
    Raises:
        InputError, ConfigError: a part cannot be had; says which and what would be right.
    """
    door, camera = config.door, config.cameras[0]
    # OpenCV's own threads: on pictures of this size they cost more than they save.
    cv2.setNumThreads(1)
    detector = open_detector(place_of(door.detector, base), door.threads)
    bundle, recognizer = open_embedder(door, base)
    in_zone = zone(door)
    rules = rules_of(door, recognizer)
    gallery = open_gallery(folder, recognizer)
    liveness = open_liveness(door.liveness, door.threads)
    for sentence in liveness.faults:
        log.error("%s", sentence)
    warnings = warnings_of(door, camera)
    for sentence in warnings:
        log.warning("%s", sentence)
    audit = Audit.open(folder / AUDIT)
    decisions = DecisionLog(audit.path, gallery.names)
    link = KeeperLink(keeper_settings(door.lock, folder))
    lock = KeeperLock(link)
    now = clocks(recorded)
    try:
        enforcer = Enforcer(
            rules=rules,
            memory=PolicyMemory(folder),
            audit=audit,
            lock=lock,
            inputs=KeeperInputs(link, door.lock.contact_pin is not None, door.lock.tamper_pin is not None),
            signals=KeeperSignals(link),
            watch=DoorWatch(held_open_s=door.lock.held_open_s),
            names=gallery.names,
            now=now(None),
            unlock_s=door.lock.unlock_s,
            versions={"sereno": __version__, "detector": detector.name, "embedder": version_of(bundle)},
            settings=door.model_dump(mode="json", exclude={"policy", "target_fmr"}),
        )
    except BaseException:
        lock.close()
        raise
    limits = Limits(confidence=detector.clear, size_px=door.min_face_px)
    unit = DoorUnit(
        camera=camera.id,
        gate=CheapLook(camera),
        eyes=Eyes(detector, limits, recognizer, liveness, gallery, door.liveness == "challenge", in_zone),
        tracker=FaceTracker(),
        enforcer=enforcer,
        now=now,
    )
    models = [detector.name, bundle.name]
    page = door_page(detector=detector, recognizer=recognizer, rules=rules, gallery=gallery, audit=audit, folder=folder)
    witness = AuditWitness(audit, warnings)
    return Door(unit, decisions, witness, gallery, models, warnings, page, enforcer, lock, audit, door.liveness)


class CheapLook:
    """The motion gate and the tamper alarm before the face detector, as the camera box has them."""

    def __init__(self, camera: settings.Camera) -> None:
        """`camera`: its settings of motion and tampering."""
        self._motion, self._gate = MotionGate(camera.motion, camera.masks), Gate(camera.motion)
        self._tamper = TamperWatch(camera.tamper) if camera.tamper.enabled else None
        self._moving = self._settled = False
        self._glanced_at = -math.inf
        self._last: Frame | None = None

    def look(self, frame: Frame, needed: bool) -> Glance:
        """See `device.access.unit.Gate`."""
        self._last = frame
        events: list[Event] = []
        if not (needed and self._settled) or frame.monotonic - self._glanced_at >= GLANCE_S:
            seen = self._motion.look(frame)
            self._settled = seen.moving == self._moving and self._glanced_at > -math.inf
            self._moving, self._glanced_at = seen.moving, frame.monotonic
            events = [*seen.events, *(self._tamper.look(frame, seen) if self._tamper is not None else ())]
        return Glance(self._gate.opens(self._moving, needed, frame.monotonic), self._moving, tuple(events))

    def finish(self) -> list[Event]:
        """End both alarms."""
        if self._last is None:
            return []
        return [*self._motion.finish(self._last), *(self._tamper.finish(self._last) if self._tamper else ())]


def warnings_of(door: settings.Door, camera: settings.Camera) -> list[str]:
    """What the owner must know of these settings, at the start, in `check` and on the page."""
    asked = {
        LIVENESS_OFF: door.liveness == "off",
        NO_LOCK: door.lock.driver == "mock",
        RECORDING: moves_by_recording(door, camera),
    }
    return [sentence for sentence, holds in asked.items() if holds]


def moves_by_recording(door: settings.Door, camera: settings.Camera) -> bool:
    """Whether a real lock hangs on a file, a folder, or `demo`, which plays footage where there is no camera."""
    source = camera.source
    live = source == "picamera2" or source.isdecimal() or source.startswith("/dev/") or "://" in source
    return door.lock.driver == "gpio" and not live


def place_of(bundle: str | None, base: Path) -> str | None:
    """A bundle as it is looked for: a bare name, or a folder relative to the configuration."""
    return bundle if bundle is None or "/" not in bundle else str(resolve_path(bundle, base))


def open_embedder(door: settings.Door, base: Path) -> tuple[Bundle, Recognizer]:
    """The embedder that `door.model` names. Raises InputError."""
    bundle = load_bundle(find_bundle(place_of(door.model, base) or EMBEDDER))
    return bundle, Recognizer(bundle, open_interpreter(bundle, threads=door.threads))


def open_gallery(folder: Path, recognizer: Recognizer) -> Gallery:
    """The gallery of a state folder, made where there is none: then nobody is known yet. Raises InputError."""
    path = folder / GALLERY
    return Gallery.open(path, find_key(path, create=True), recognizer.model_sha256, create=True)


def zone(door: settings.Door) -> Callable[[Box, int, int], bool]:
    """Whether the middle of a face is in the access zone. Raises ConfigError for a polygon that encloses nothing."""
    if door.zone is None:
        return lambda _box, _width, _height: True
    polygon = Polygon("door.zone", door.zone)
    return lambda box, width, height: ((box[0] + box[2]) / 2 / width, (box[1] + box[3]) / 2 / height) in polygon


def rules_of(door: settings.Door, recognizer: Recognizer) -> Rules:
    """The policy's rules out of the configuration and the embedder's measured thresholds.

    Raises:
        ConfigError: the embedder was not measured, or the rules make no sense together.
    """
    try:
        return Rules(
            thresholds=recognizer.thresholds,
            target_fmr=door.target_fmr,
            liveness_required=door.liveness != "off",
            **door.policy.model_dump(),
        )
    except ValueError as error:
        raise ConfigError(f"door.policy, with the embedder {recognizer.name}: {error}") from None


def keeper_settings(lock: settings.Lock, folder: Path) -> KeeperSettings:
    """What the keeper is told. Raises ConfigError."""
    pins = {name: getattr(lock, name) for name in settings.Lock.model_fields if name.endswith("_pin")}
    try:
        return KeeperSettings(
            journal=folder / KEEPER / "journal.jsonl",
            pin=MOCK_PIN if lock.pin is None else lock.pin,
            driver="mock" if lock.driver == "mock" else "lgpio",
            chip=lock.chip,
            active_high=lock.active_high,
            strike=lock.strike,
            max_unlock_s=lock.max_unlock_s,
            **pins,
        )
    except ValueError as error:
        raise ConfigError(f"door.lock: {error}") from None


def clocks(recorded: bool) -> Callable[[Frame | None], Now]:
    """What reads the clocks, at the moment of deciding: the machine's, or those of a recording's frames."""
    clock, boot = SystemClock(), boot_id()
    trust = ClockTrust(clock)

    def now(frame: Frame | None) -> Now:
        if recorded and frame is not None:
            return Now(frame.monotonic, frame.wall, trust.trusted(), boot)
        return Now(clock.monotonic(), clock.wall(), trust.trusted(), boot)

    return now


def version_of(bundle: Bundle) -> str:
    """A bundle's name, version and the beginning of its file's sha256."""
    manifest = bundle.manifest
    return f"{manifest.name} {manifest.version} {manifest.files[0].sha256[:12]}"
