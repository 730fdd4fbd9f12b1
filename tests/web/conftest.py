"""The page, ready to be asked."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from device.config import Device, Web
from device.web.app import create_app
from device.web.live import LiveView
from device.web.users import UserStore
from tests.web.house import MemoryEvents, MemoryStatus

PASSWORD = "lantern and keys"


class Clock:
    """Monotonic seconds that pass when told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@dataclass
class Site:
    """The application with all that it was put together from. `ana` may log in."""

    folder: Path
    web: Web = field(default_factory=lambda: Web(live_fps=30))
    max_streams: int = 4
    clock: Clock = field(default_factory=Clock)

    def __post_init__(self) -> None:
        self.live = LiveView(["front", "yard"])
        self.events = MemoryEvents()
        self.status = MemoryStatus()
        self.users = UserStore(self.folder / "users.db")
        self.app = self.make()

    def make(self, **changes: Any) -> Flask:
        """The application, as it would be after a restart."""
        values: dict[str, Any] = {
            "device": Device(id="porch", name="Porch", role="camera"),
            "web": self.web,
            "live": self.live,
            "events": self.events,
            "status": self.status,
            "users": self.users,
            "max_streams": self.max_streams,
            "clock": self.clock,
        }
        return create_app(**{**values, **changes})


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """A page with the user `ana`."""
    site = Site(tmp_path / "state")
    site.users.add("ana", PASSWORD)
    yield site
    site.users.close()


@pytest.fixture
def visitor(site: Site) -> FlaskClient:
    """Somebody who has not logged in."""
    return site.app.test_client()


@pytest.fixture
def ana(site: Site) -> FlaskClient:
    """A browser in which `ana` has logged in."""
    client = site.app.test_client()
    assert log_in(client, "ana", PASSWORD).status_code == 303
    return client


@pytest.fixture
def bearer(site: Site) -> dict[str, str]:
    """The headers of a program with a token."""
    return {"Authorization": f"Bearer {site.users.add_token('tests')}"}


def csrf(client: FlaskClient, path: str = "/login") -> str:
    """The secret of the forms on a page."""
    found = re.search(r'name="csrf" value="([^"]+)"', client.get(path).text)
    assert found, f"{path} has no form"
    return found[1]


def log_in(client: FlaskClient, user: str, password: str, **options: Any) -> Any:
    """Fill the login form and send it."""
    return client.post("/login", data={"csrf": csrf(client), "user": user, "password": password}, **options)


LogIn = Callable[..., Any]
