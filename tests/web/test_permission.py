"""Live views and event streams end with the session or token they were opened with."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import pytest
from flask.testing import FlaskClient

from device.errors import InputError
from device.web import auth
from device.web.auth import RECHECK_S, Identity, Permission
from device.web.server import WebServer
from device.web.users import SESSION_S, UserStore
from tests.mosquitto import eventually
from tests.web.conftest import PASSWORD, Clock, Site, csrf, log_in
from tests.web.house import a_state, an_observation
from tests.web.test_server import ask, no_failure

STREAMS = ["/live/front", "/api/events/stream"]


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Streams look before each picture and event."""
    monkeypatch.setattr(auth, "RECHECK_S", 0.0)


def happen(site: Site, number: int) -> None:
    """Something to be seen on both streams."""
    site.live.show(an_observation(number))
    site.events.happen("new", a_state(number))


def opened(site: Site, client: FlaskClient, path: str, headers: dict[str, str] | None = None) -> Iterator[bytes]:
    """The body of a stream, which has just shown something."""
    answer = client.get(path, headers=headers)
    assert answer.status_code == 200
    body = iter(answer.response)
    assert next(body)
    happen(site, 1)
    assert len(next(body)) > 100
    return body


def log_out(_: Site, client: FlaskClient) -> None:
    assert client.post("/logout", data={"csrf": csrf(client, "/")}).status_code == 303


def change_password(site: Site, _: FlaskClient) -> None:
    site.users.set_password("ana", "another long one")


def remove_user(site: Site, _: FlaskClient) -> None:
    site.users.remove("ana")


@pytest.mark.usefixtures("at_once")
@pytest.mark.parametrize("path", STREAMS)
@pytest.mark.parametrize("end", [log_out, change_password, remove_user])
def test_fail__stream_of_a_session_that_ended(
    site: Site, ana: FlaskClient, path: str, end: Callable[[Site, FlaskClient], None]
) -> None:
    body = opened(site, ana, path)
    end(site, ana)
    happen(site, 2)
    assert list(body) == []


@pytest.mark.usefixtures("at_once")
@pytest.mark.parametrize("path", STREAMS)
def test_fail__stream_of_a_session_that_ran_out(site: Site, ana: FlaskClient, path: str) -> None:
    body = opened(site, ana, path)
    site.users._clock = lambda: time.time() + SESSION_S + 1
    happen(site, 2)
    assert list(body) == []


@pytest.mark.usefixtures("at_once")
@pytest.mark.parametrize("path", STREAMS)
def test_fail__stream_of_a_revoked_token(site: Site, visitor: FlaskClient, bearer: dict[str, str], path: str) -> None:
    body = opened(site, visitor, path, bearer)
    site.users.revoke_token("tests")
    happen(site, 2)
    assert list(body) == []


@pytest.mark.usefixtures("at_once")
@pytest.mark.parametrize("path", STREAMS)
def test_fail__stream_of_a_token_given_out_anew(
    site: Site, visitor: FlaskClient, bearer: dict[str, str], path: str
) -> None:
    body = opened(site, visitor, path, bearer)
    site.users.revoke_token("tests")
    site.users.add_token("tests")
    happen(site, 2)
    assert list(body) == []


@pytest.mark.usefixtures("at_once")
@pytest.mark.parametrize("path", STREAMS)
def test_ok__streams_of_others_go_on(
    site: Site, ana: FlaskClient, visitor: FlaskClient, bearer: dict[str, str], path: str
) -> None:
    hers, programs = opened(site, ana, path), opened(site, visitor, path, bearer)
    other = site.app.test_client()
    log_in(other, "ana", PASSWORD)
    log_out(site, other)
    site.users.add_token("other")
    site.users.revoke_token("other")
    happen(site, 2)
    assert len(next(hers)) > 100
    assert len(next(programs)) > 100
    site.users.revoke_token("tests")
    happen(site, 3)
    assert list(programs) == []
    assert len(next(hers)) > 100
    log_out(site, ana)
    assert list(hers) == []


@pytest.mark.parametrize("path", STREAMS)
@pytest.mark.parametrize("by", ["session", "token"])
def test_fail__revoked_by_another_process_while_nothing_happens(
    site: Site, ana: FlaskClient, bearer: dict[str, str], monkeypatch: pytest.MonkeyPatch, path: str, by: str
) -> None:
    monkeypatch.setattr(auth, "RECHECK_S", 0.1)
    cookie = ana.get_cookie("sereno-porch")
    assert cookie is not None
    server = WebServer(site.app, "127.0.0.1", 0, no_failure)
    server.start()
    elsewhere = UserStore(site.users.path)
    streams = site.app.extensions["sereno"].streams
    try:
        answer = ask(server, path, bearer if by == "token" else {"Cookie": f"sereno-porch={cookie.value}"})
        assert answer.status == 200
        assert not eventually(lambda: streams.free == site.max_streams, 0.7)
        elsewhere.revoke_token("tests") if by == "token" else elsewhere.set_password("ana", "another long one")
        assert eventually(lambda: streams.free == site.max_streams, 3)
        answer.read()
    finally:
        elsewhere.close()
        server.stop()


class Book:
    """An identity's entry, which counts how often it is looked up."""

    def __init__(self) -> None:
        self.good = True
        self.asked = 0

    def holds(self) -> bool:
        self.asked += 1
        return self.good


def test_ok__looked_up_once_in_a_while() -> None:
    clock, book = Clock(), Book()
    permission = Permission(Identity("ana", "session", book.holds), clock)
    for _ in range(1000):
        clock.now += RECHECK_S / 100
        assert not permission.lost()
    assert 9 <= book.asked <= 10


def test_fail__lost_within_seconds_and_for_good() -> None:
    clock, book = Clock(), Book()
    permission = Permission(Identity("ana", "session", book.holds), clock)
    book.good = False
    clock.now += RECHECK_S
    assert permission.lost()
    book.good = True
    clock.now += RECHECK_S
    assert permission.lost()
    assert book.asked == 1
    assert 2 <= RECHECK_S <= 3.5


def test_fail__lost_where_it_cannot_be_told(caplog: pytest.LogCaptureFixture) -> None:
    clock = Clock()

    def broken() -> bool:
        raise InputError("cannot read users.db: disk I/O error")

    permission = Permission(Identity("ana", "session", broken), clock)
    clock.now += RECHECK_S
    assert permission.lost()
    assert "a stream of ana ends: cannot read users.db: disk I/O error" in caplog.text
