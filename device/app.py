"""The composition root: a Config becomes a camera box or a door unit. Only here and in `device.door` are concrete
classes named."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import cv2

from device import config as settings
from device.capture.cameraset import CameraSet
from device.capture.motion import Gate, MotionGate
from device.capture.reader import Reader
from device.capture.sources import open_source
from device.capture.tamper import TamperWatch
from device.configfile import did_you_mean, resolve_path, resolve_source, storage_path
from device.datatypes import AccessDecision, Event, ObjectEvent, Observation
from device.detection.detector import Detector
from device.detection.filters import Filters
from device.detection.lifecycle import Lifecycle
from device.detection.tracker import HIGH, Tracker
from device.errors import ConfigError, InputError
from device.inference.interpreter import open_interpreter
from device.inference.manifest import INSTALL_ROOT, Bundle, find_bundle, load_bundle
from device.loop import CameraUnit, Loop, Sink, Unit
from device.publish.publisher import Publisher
from device.status import StatusBoard
from device.system.health import HealthReader
from device.system.memory import bound_heaps
from device.system.watchdog import Watchdog
from device.web.app import create_app
from device.web.live import LiveView
from device.web.server import WebServer
from device.web.users import FIRST, UserStore

if TYPE_CHECKING:
    from device.door import Door
    from device.publish.broker import EmbeddedBroker

log = logging.getLogger(__name__)

CACHE = INSTALL_ROOT / ".cache"
FIRST_PICTURE_S = 15.0
"""Started by a person, at least one camera must have given a picture by then."""
DRAIN_S = 10.0


def overrides(source: str | None, pace: str | None) -> dict[str, object]:
    """Settings of the command line; they stand above the file's; a relative source starts from the working folder."""
    given: dict[str, object] = {}
    if source is not None:
        given["cameras.0.source"] = resolve_source(source, Path.cwd())
    if pace is not None:
        given["cameras.0.pace"] = pace
    return given


def open_bundle(model: settings.Model, base: Path) -> Bundle:
    """The bundle that `model.path` names: a bare name, or a folder relative to the configuration. Raises InputError."""
    name = model.path if "/" not in model.path else str(resolve_path(model.path, base))
    return load_bundle(find_bundle(name), require_signature=model.require_signature)


def open_detector(model: settings.Model, base: Path) -> tuple[Bundle, Detector]:
    """Load the detector and its interpreter. Raises InputError."""
    # OpenCV's own threads: on pictures of this size they cost more than they save.
    cv2.setNumThreads(1)
    bundle = open_bundle(model, base)
    interpreter = open_interpreter(bundle, runtime=model.runtime, threads=model.threads)
    return bundle, Detector(bundle, interpreter, model.confidence)


def build_unit(camera: settings.Camera, detector: Detector) -> CameraUnit:
    """Everything between a camera's frames and its events."""
    return CameraUnit(
        motion=MotionGate(camera.motion, camera.masks),
        gate=Gate(camera.motion),
        tamper=TamperWatch(camera.tamper) if camera.tamper.enabled else None,
        detector=detector,
        filters=Filters(camera),
        # Where a label is believed at lower scores, its tracks must start there, too.
        tracker=Tracker(camera.tracking, high=min([HIGH, *(rule.min_score for rule in camera.objects.values())])),
        lifecycle=Lifecycle(camera),
    )


def check_labels(cameras: list[settings.Camera], bundle: Bundle) -> None:
    """Refuse labels that the model doesn't know. Raises ConfigError, with a did-you-mean."""
    known = bundle.manifest.labels
    for number, camera in enumerate(cameras):
        places = {f"cameras[{number}].objects": list(camera.objects)}
        places |= {f"cameras[{number}].zones.{name}.objects": zone.objects for name, zone in camera.zones.items()}
        for place, labels in places.items():
            for label in labels:
                if label not in known:
                    raise ConfigError(
                        f"{place}: the model {bundle.name} knows no {label!r}{did_you_mean(label, known)}; "
                        f"it knows {len(known)} labels: `sereno models list --labels` prints them"
                    )


class EventLog:
    """Tells the person at the terminal, or the journal, what begins and ends, and who was let in.

    `names` says whether people are called by their names: what is in a journal stays there when they are forgotten.
    """

    def __init__(self, names: bool) -> None:
        self._names = names

    def accept(self, event: Event) -> None:
        """Log the beginning and the end of an object's event, and each decision."""
        if isinstance(event, AccessDecision):
            self._decision(event)
        if not isinstance(event, ObjectEvent) or event.type == "update":
            return
        state = event.after
        zones = f" in {', '.join(state.current_zones or state.entered_zones)}" if state.entered_zones else ""
        lasted = f", {state.end_time - state.start_time:.1f} s" if state.end_time is not None else ""
        log.info("%s: %s %s%s (%.2f%s)", state.camera, event.type, state.label, zones, state.top_score, lasted)

    def _decision(self, event: AccessDecision) -> None:
        who = (event.name if self._names and event.name else event.person) or "somebody"
        numbers = [f"{event.frames} good frames"]
        numbers += [f"similarity {event.similarity:.3f}"] if event.similarity is not None else []
        numbers += [f"liveness {event.liveness:.2f}"] if event.liveness is not None else []
        numbers += [f"unlocked after {event.lock_ms:.0f} ms"] if event.lock_ms is not None else []
        numbers += [f"stands for {event.summed}"] if event.summed > 1 else []
        word = "access granted to" if event.granted else "access denied to"
        log.info("%s: %s %s: %s (%s)", event.camera, word, who, event.reason, ", ".join(numbers))


class Box:
    """A camera box or a door unit: builds everything, runs the loop, and takes it all down again."""

    def __init__(
        self, config: settings.Config, path: Path, *, max_frames: int | None = None, terminal: bool = False
    ) -> None:
        """Build; nothing runs yet.

        Args:
            config: a whole configuration.
            path: the file it was read from; its relative paths are relative to that file's folder.
            max_frames: stop after so many frames.
            terminal: a person reads stderr: the first password may be shown there.
        Raises:
            InputError, ConfigError: a part cannot be had; says which and what would be right.
        """
        bound_heaps()
        base, self._path = path.parent, path
        self._stop = threading.Event()
        self._dead: str | None = None
        self._terminal = terminal
        self._watchdog = Watchdog()
        self._supervised = "NOTIFY_SOCKET" in os.environ
        folder = storage_path(config, base)
        self._door: Door | None = None
        detector: Detector | None = None
        if config.device.role == "camera":
            bundle, detector = open_detector(config.model, base)
            check_labels(config.cameras, bundle)
            log.info("model %s", describe(bundle))
        self._broker, config = _with_broker(config, self._on_failure)
        self._live = LiveView(camera.id for camera in config.cameras)
        self._cameras = self._camera_set(config, base)
        self._publisher = Publisher(config, folder, base=base, on_failure=self._on_failure, status=self._status)
        if detector is None:
            self._door = self._open_door(config, base, folder)
        self.board = StatusBoard(
            machine=HealthReader(folder),
            cameras=self._cameras.health,
            publisher=self._publisher.health,
            models=self._door.models if self._door else [bundle.name],
            door=self._door.status if self._door else None,
        )
        self._users = UserStore(folder / "users.db")
        self._web = self._web_server(config) if config.web.enabled else None
        sinks: list[Sink] = [EventLog(terminal), self._publisher]
        observers: list[Callable[[Observation], None]] = [self.board.show, self._live.show]
        if self._door is not None:
            sinks.append(self._door.page.board)
            observers.append(self._door.page.board.show)
        self._loop = Loop(
            frames=self._cameras.frames(),
            units=self._units(config, detector),
            sinks=sinks,
            observers=observers,
            health=self._cameras.health,
            watchdog=self._watchdog,
            stop=self._stop,
            max_frames=max_frames,
        )

    def _open_door(self, config: settings.Config, base: Path, folder: Path) -> Door:
        """The state folder is locked by now: no other process has its lock and its log. Raises InputError."""
        from device.door import build_door  # A camera box needs none of it.

        camera = config.cameras[0]
        recorded = camera.pace == "fast" and not open_source(camera, base, CACHE).live
        try:
            door = build_door(config, base, folder, recorded=recorded)
            self._publisher.follow(door.decisions, door.witness)
        except BaseException:
            self._publisher.stop(0)
            raise
        return door

    def _units(self, config: settings.Config, detector: Detector | None) -> dict[str, Unit]:
        if self._door is not None:
            return {config.cameras[0].id: self._door.unit}
        assert detector is not None
        return {camera.id: build_unit(camera, detector) for camera in config.cameras}

    def run(self, stop: threading.Event) -> None:
        """Watch until `stop` is set or the sources end; then finish what is open.

        Raises:
            InputError: something it cannot work without failed, at the start or later.
        """
        self._loop.stop = self._stop = stop
        try:
            self._start()
            self._loop.run()
        finally:
            if self._door is not None:
                self._door.lock()
            self._watchdog.stopping()
            self._watchdog.extend(DRAIN_S + 10)
            # All ends are told: a camera that hangs must not keep them from the broker.
            self._cameras.ask_to_stop()
            self._publisher.stop(DRAIN_S)
            self._cameras.stop()
            if self._web is not None:
                self._web.stop()
            if self._door is not None:
                self._door.close()
            if self._broker is not None:
                self._broker.stop()
            self._users.close()
        if self._dead is not None:
            raise InputError(f"{self._dead}; the log above says where. That is a fault of Sereno: please report it")

    def _start(self) -> None:
        self._cameras.open()
        if self._broker is not None:
            self._broker.start()
        self._publisher.start()
        if self._web is not None:
            self._web.start()
            self._greet()
        self._cameras.start()
        if not self._supervised:
            # A person wants to know at once. As a service it stays up, tells MQTT and the page, and tries again.
            self._cameras.require_one(FIRST_PICTURE_S, self._stop)
        self._watchdog.ready()

    def _greet(self) -> None:
        """Show a person at the terminal the first password, once. It goes to no log."""
        if not self._users.empty():
            return
        made = None
        if self._terminal:
            with self._door.recorded("users.add", user=FIRST, admin=True) if self._door else nullcontext():
                made = self._users.first_password()
        if made is not None:
            click.echo(f"\n  First visit: log in as {made[0]} with the password  {made[1]}\n", err=True)
        else:
            log.warning("nobody can log in to the page yet: `sereno users passwd --config %s` makes a user", self._path)

    def _status(self) -> dict[str, Any]:
        return self.board.status()

    def _camera_set(self, config: settings.Config, base: Path) -> CameraSet:
        changed = threading.Condition()
        stale_s = config.door.policy.max_frame_age_s if config.device.role == "door" else None
        readers = [
            Reader(
                camera, partial(open_source, camera, base, CACHE), self._on_failure, changed=changed, stale_s=stale_s
            )
            for camera in config.cameras
        ]
        return CameraSet(readers)

    def _web_server(self, config: settings.Config) -> WebServer:
        app = create_app(
            device=config.device,
            web=config.web,
            live=self._live,
            events=self._publisher.store,
            status=self.board,
            users=self._users,
            door=self._door.page if self._door else None,
        )
        return WebServer(app, config.web.host, config.web.port, self._on_failure)

    def _on_failure(self, name: str, error: BaseException) -> None:
        """A thread died: the process ends, and whoever started it brings it back."""
        self._dead = f"the thread {name} died: {error}"
        self._stop.set()


def _with_broker(
    config: settings.Config, on_failure: Callable[[str, BaseException], None]
) -> tuple[EmbeddedBroker | None, settings.Config]:
    """The embedded broker where it is asked for, and the configuration with its port."""
    if not (config.mqtt.enabled and config.mqtt.embedded):
        return None, config
    from device.publish.broker import EmbeddedBroker  # An extra of the demo: a device has none.

    broker = EmbeddedBroker(config.mqtt.port, on_failure)
    mqtt = config.mqtt.model_copy(update={"host": "127.0.0.1", "port": broker.port})
    return broker, config.model_copy(update={"mqtt": mqtt})


def describe(bundle: Bundle) -> str:
    """A bundle's name, version and what it was measured to score: the mean over all views of the test photos."""
    manifest = bundle.manifest
    if not manifest.headline:
        return f"{manifest.name} {manifest.version}: no measured score in its manifest"
    [row] = manifest.headline
    return (
        f"{manifest.name} {manifest.version}: {row['metric']} {row['quantized']:.1f} (float {row['float']:.1f}), "
        f"{row.get('images', '?')} images of {row['dataset']}, {row.get('view', 'one view')}"
    )
