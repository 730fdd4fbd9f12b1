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

from device.access.recognizer import Embedding
from device.config import Device, Web
from device.datatypes import Image
from device.web.app import create_app
from device.web.live import LiveView
from device.web.users import UserStore
from tests.web import doorhouse
from tests.web.doorhouse import DoorHouse, Models
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


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Models:
    """The face models that ship or that `make models` fetches."""
    return Models.open(tmp_path_factory.mktemp("bundles"))


@pytest.fixture(scope="session")
def known(lfw: Path) -> dict[str, list[Image]]:
    """Three people, four photos each: the last is for asking, the others are enrolled."""
    return doorhouse.read(doorhouse.of_people(lfw, 3, 4))


@pytest.fixture(scope="session")
def stranger(lfw: Path) -> list[Image]:
    """Four photos of somebody who is not enrolled."""
    return next(iter(doorhouse.read(doorhouse.of_people(lfw, 1, 4, skip=3)).values()))


@pytest.fixture(scope="session")
def enrolled(models: Models, known: dict[str, list[Image]]) -> dict[str, list[Embedding]]:
    """What is kept of their first three photos."""
    return models.enrolled({name: photos[:3] for name, photos in known.items()})


@pytest.fixture
def house(tmp_path: Path, models: Models, enrolled: dict[str, list[Embedding]]) -> Iterator[DoorHouse]:
    """A door that knows three people."""
    house = DoorHouse(tmp_path / "state", models, enrolled)
    yield house
    house.close()


@pytest.fixture
def door(site: Site, house: DoorHouse) -> Iterator[Site]:
    """Its page. `ana` is the administrator, `vera` may look."""
    site.live = LiveView(["front"])
    site.status.said["door"] = {"lock": "locked", "fault": "", "people": 3, "liveness": "passive", "warnings": []}
    site.app = site.make(device=Device(id="porch", name="Front door", role="door"), door=house.sources())
    site.users.add("vera", PASSWORD)
    yield site
    house.book.close()


@pytest.fixture
def admin(door: Site) -> FlaskClient:
    """A browser in which the administrator has logged in."""
    return _logged_in(door, "ana")


@pytest.fixture
def vera(door: Site) -> FlaskClient:
    """A browser in which somebody has logged in who may look."""
    return _logged_in(door, "vera")


def _logged_in(site: Site, user: str) -> FlaskClient:
    client = site.app.test_client()
    assert log_in(client, user, PASSWORD).status_code == 303
    return client
