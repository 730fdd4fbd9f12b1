"""How the device is doing, in one place: for MQTT's `status`, the page, Prometheus and `readyz`."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any

from device import __version__
from device.datatypes import CameraHealth, Observation
from device.system.health import HealthReader
from device.system.metrics import Registry

log = logging.getLogger(__name__)

RATE_WINDOW_S = 10.0


class StatusBoard:
    """Counts what the loop does and asks the others how they are. Any thread may read it."""

    def __init__(
        self,
        *,
        machine: HealthReader,
        cameras: Callable[[], list[CameraHealth]],
        publisher: Callable[[], dict[str, Any]],
        models: list[str],
        door: Callable[[], dict[str, Any]] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._machine, self._cameras, self._publisher, self._models = machine, cameras, publisher, models
        self._door = door
        self._clock = clock
        self._started = clock()
        self._lock = threading.Lock()
        self._turns: dict[str, deque[float]] = {}
        self.first_detection_s: float | None = None
        self._registry = Registry()
        self._frames = self._registry.counter("sereno_frames_total", "Frames looked at.")
        self._detected = self._registry.counter("sereno_detector_frames_total", "Frames the gate let through.")
        self._inference = self._registry.latency("sereno_inference_seconds", "One look of the detector, all included.")

    def show(self, observation: Observation) -> None:
        """Count one turn of the loop."""
        camera, now = observation.frame.camera, self._clock()
        with self._lock:
            turns = self._turns.setdefault(camera, deque())
            turns.append(now)
            _forget(turns, now)
        self._frames.inc(camera=camera)
        if observation.detected:
            self._detected.inc(camera=camera)
            self._inference.observe(observation.inference_s)
            if self.first_detection_s is None:
                self.first_detection_s = now - self._started
                log.info("first look of the detector %.1f s after the start", self.first_detection_s)

    def fps(self, camera: str) -> float:
        """Frames looked at a second, over the last ten."""
        now = self._clock()
        with self._lock:
            turns = self._turns.get(camera)
            if not turns:
                return 0.0
            _forget(turns, now)
            return len(turns) / min(RATE_WINDOW_S, max(now - self._started, 1.0))

    def status(self) -> dict[str, Any]:
        """What MQTT's `status` says; the page shows it, too."""
        machine, publisher, cameras = self._machine.read(), self._publisher(), self._cameras()
        inference = self._inference.quantile(0.5)
        return {
            "fps": round(sum(self.fps(health.camera) for health in cameras), 1),
            "inference_ms": None if inference != inference else round(1000 * inference, 1),
            "queue": publisher["mqtt"]["queued"],
            "dropped": sum(health.dropped for health in cameras),
            "events_dropped": publisher["mqtt"]["dropped"] + publisher["storage"]["lost"],
            "temperature_c": machine.temperature_c,
            "throttled": machine.throttled,
            "under_voltage": machine.under_voltage,
            "memory_mb": round(machine.memory_bytes / 2**20, 1),
            "disk_free_mb": None if machine.disk_free_bytes is None else machine.disk_free_bytes // 2**20,
            "uptime_s": round(machine.uptime_s),
            "first_detection_s": None if self.first_detection_s is None else round(self.first_detection_s, 2),
            "versions": {"sereno": __version__},
            "models": self._models,
            "mqtt": publisher["mqtt"],
            "storage": publisher["storage"],
            "cameras": [self._camera(health) for health in cameras],
            **({"door": self._door()} if self._door else {}),
        }

    def ready(self) -> list[str]:
        """Why the device is not ready to work, one sentence each; empty when it is."""
        reasons = [f"camera {h.camera}: {h.message or h.state}" for h in self._cameras() if h.state != "ok"]
        publisher = self._publisher()
        mqtt, storage = publisher["mqtt"], publisher["storage"]
        if mqtt["state"] not in ("connected", "off"):
            reasons.append(f"mqtt: {mqtt['message'] or mqtt['state']}")
        if storage["state"] != "ok":
            reasons.append(f"storage: {storage['message']}")
        if self._door and (fault := self._door()["fault"]):
            reasons.append(f"door: {fault}")
        return reasons

    def metrics(self) -> str:
        """Prometheus text."""
        status = self.status()
        for name, key, text in (
            ("sereno_uptime_seconds", "uptime_s", "Since the process started."),
            ("sereno_temperature_celsius", "temperature_c", "Of the processor."),
            ("sereno_outbox_messages", "queue", "Waiting for the broker."),
            ("sereno_disk_free_megabytes", "disk_free_mb", "Where events and snapshots are kept."),
            ("sereno_memory_megabytes", "memory_mb", "Resident memory of the process."),
        ):
            if status[key] is not None:
                self._registry.gauge(name, text).set(float(status[key]))
        for camera in status["cameras"]:
            up = self._registry.gauge("sereno_camera_up", "1 while the camera delivers pictures.")
            up.set(float(camera["state"] == "ok"), camera=camera["camera"])
            dropped = self._registry.counter("sereno_frames_dropped_total", "Frames that came while the loop was busy.")
            dropped.set(float(camera["dropped"]), camera=camera["camera"])
        if "door" in status:
            up = self._registry.gauge("sereno_door_up", "1 while the door can let somebody in.")
            up.set(float(not status["door"]["fault"]))
        self._registry.gauge("sereno_mqtt_up", "1 while connected to the broker.").set(
            float(status["mqtt"]["state"] == "connected")
        )
        return self._registry.render()

    def _camera(self, health: CameraHealth) -> dict[str, Any]:
        return {
            "camera": health.camera,
            "state": health.state,
            "message": health.message,
            "fps": round(self.fps(health.camera), 1),
            "frames": health.frames,
            "dropped": health.dropped,
            "reconnects": health.reconnects,
        }


def _forget(turns: deque[float], now: float) -> None:
    """Drop what lies before the window."""
    while turns and now - turns[0] > RATE_WINDOW_S:
        turns.popleft()
