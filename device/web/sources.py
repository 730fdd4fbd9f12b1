"""What the page needs from the rest of the house; `device.app` hands in the real ones."""

from __future__ import annotations

from typing import Any, Protocol

from device.datatypes import Observation


class LiveSource(Protocol):
    """The newest picture of each camera. Implemented by `device.web.live.LiveView`."""

    def cameras(self) -> list[str]:
        """Ids of the cameras, in the order of the configuration."""
        ...

    def latest(self, camera: str) -> Observation | None:
        """The newest observation; None before the first one and for a camera that does not exist."""
        ...

    def wait(self, camera: str, after_index: int, timeout_s: float) -> Observation | None:
        """The newest observation as soon as its frame's index is not `after_index`; None after `timeout_s` seconds."""
        ...


class Subscription(Protocol):
    """One listener to the events."""

    closed: bool
    """Whether it was closed, by `close` or because its reader did not keep up."""

    def get(self, timeout_s: float) -> dict[str, Any] | None:
        """The next event in the shape of `EventSource.recent`; None after `timeout_s` seconds, and once closed."""
        ...

    def close(self) -> None:
        """Listen no longer. May be called twice."""
        ...


class EventSource(Protocol):
    """The events that are kept, and those that come."""

    def recent(
        self, limit: int, camera: str | None = None, label: str | None = None, before: float | None = None
    ) -> list[dict[str, Any]]:
        """The last `limit` events, newest `start_time` first.

        Each is the `after` of its last message on MQTT, and that message's `type`: `new`, `update` or `end`.

        `before` (seconds since 1970) keeps only those that started earlier: the `start_time` of the last one seen
        gives the next page.
        """
        ...

    def snapshot(self, event_id: str) -> bytes | None:
        """The JPEG of an event's best picture, None where there is none.

        `event_id` comes from outside; only its form was checked (letters, digits, `.`, `_`, `-`, at most 80).
        """
        ...

    def subscribe(self) -> Subscription:
        """A new listener, which gets all that happens from now on."""
        ...


class StatusSource(Protocol):
    """How the device is doing."""

    def status(self) -> dict[str, Any]:
        """What MQTT's `status` says, and `cameras` and `mqtt` for the page.

        The page shows, where given: `uptime_s`, `fps`, `inference_ms`, `queue`, `dropped`, `temperature_c`,
        `versions: {"sereno": "0.1.0", …}`, `models: ["sereno-coco-320", …]`,
        `mqtt: {"state": "connected" | "connecting" | "off", "message": "…"}` and
        `cameras: [{"camera": "front", "state": "ok", "message": "", "fps": 9.8}, …]` (as `CameraHealth`).
        """
        ...

    def ready(self) -> list[str]:
        """Why the device is not ready to work, one sentence each; empty when it is."""
        ...

    def metrics(self) -> str:
        """Prometheus text, format 0.0.4."""
        ...
