"""What the routes work with, kept by the application."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import cast

from flask import abort, current_app

from device.config import Device
from device.web.doorboard import DoorBoard
from device.web.doorsources import AccessLog, People, Recognises
from device.web.pictures import Feed
from device.web.rate import Rate
from device.web.sources import EventSource, LiveSource, StatusSource
from device.web.streams import Streams
from device.web.throttle import LoginThrottle
from device.web.users import UserStore

EXTENSION = "sereno"


@dataclass(frozen=True)
class DoorParts:
    """What a door unit has beside. `rate` says how often a session may send pictures; who holds `turn` has one looked
    at."""

    recognises: Recognises
    log: AccessLog
    people: People
    board: DoorBoard
    rate: Rate
    turn: threading.Lock = field(default_factory=threading.Lock)


@dataclass(frozen=True)
class Parts:
    """The sources, the users, and the state of the server. `feeds` is keyed by camera and language."""

    device: Device
    live: LiveSource
    events: EventSource
    status: StatusSource
    users: UserStore
    throttle: LoginThrottle
    streams: Streams
    feeds: dict[tuple[str, str], Feed]
    door: DoorParts | None = None


def parts() -> Parts:
    """The parts of the application that answers now."""
    return cast(Parts, current_app.extensions[EXTENSION])


def door() -> DoorParts:
    """The door's parts; answers 404 where the device is none."""
    own = parts().door
    if own is None:
        abort(404, "this device is no door unit: it recognises nobody")
    return own
