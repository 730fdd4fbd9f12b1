"""What the routes work with, kept by the application."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

from flask import current_app

from device.config import Device
from device.web.pictures import Feed
from device.web.sources import EventSource, LiveSource, StatusSource
from device.web.streams import Streams
from device.web.throttle import LoginThrottle
from device.web.users import UserStore

EXTENSION = "sereno"


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


def parts() -> Parts:
    """The parts of the application that answers now."""
    return cast(Parts, current_app.extensions[EXTENSION])
