"""The server itself, over real connections."""

from __future__ import annotations

import contextlib
import http.client
import logging
import socket
import threading
import time
from collections.abc import Iterator

import pytest

from device.errors import InputError
from device.web.server import WebServer
from tests.mosquitto import eventually
from tests.web.conftest import Site
from tests.web.house import a_state, an_observation


def no_failure(name: str, error: BaseException) -> None:
    raise AssertionError(f"{name}: {error}")


@pytest.fixture
def server(site: Site) -> Iterator[WebServer]:
    server = WebServer(site.app, "127.0.0.1", 0, no_failure)
    server.start()
    yield server
    server.stop()


def ask(server: WebServer, path: str, headers: dict[str, str] | None = None) -> http.client.HTTPResponse:
    """An answer, its body yet to be read."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    connection.request("GET", path, headers=headers or {})
    return connection.getresponse()


def test_ok__answers(server: WebServer) -> None:
    answer = ask(server, "/healthz")
    assert (answer.status, answer.read()) == (200, b"ok")
    assert answer.headers["Server"] is None
    assert server.url == f"http://127.0.0.1:{server.port}"


def test_fail__port_is_taken(server: WebServer, site: Site) -> None:
    second = WebServer(site.make(), "127.0.0.1", server.port, no_failure)
    with pytest.raises(InputError) as raised:
        second.start()
    assert str(raised.value) == f"port {server.port} on 127.0.0.1 is taken by another program; set web.port"
    second.stop()


@pytest.mark.parametrize(
    ("host", "sentence"),
    [
        ("203.0.113.9", "does not have the address 203.0.113.9; set web.host"),
        ("no such host", "cannot find the address"),
    ],
)
def test_fail__address_that_cannot_be_had(site: Site, host: str, sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        WebServer(site.app, host, 0, no_failure).start()


def test_ok__port_is_free_after_stop(site: Site) -> None:
    first = WebServer(site.app, "127.0.0.1", 0, no_failure)
    first.start()
    ask(first, "/healthz").read()
    first.stop()
    first.stop()
    second = WebServer(site.make(), "127.0.0.1", first.port, no_failure)
    second.start()
    assert ask(second, "/healthz").read() == b"ok"
    second.stop()


def test_ok__streams_end_when_it_stops(server: WebServer, site: Site, bearer: dict[str, str]) -> None:
    site.live.show(an_observation(1))
    answers = [ask(server, path, bearer) for path in ("/live/front", "/live/yard", "/api/events/stream")]
    assert [answer.status for answer in answers] == [200] * 3
    start = time.monotonic()
    server.stop()
    assert time.monotonic() - start < 2
    for answer in answers:
        answer.read()
    assert site.events.listeners == []


def test_ok__events_arrive_at_once(server: WebServer, site: Site, bearer: dict[str, str]) -> None:
    answer = ask(server, "/api/events/stream", bearer)
    assert answer.readline() == b"retry: 3000\n"
    start = time.monotonic()
    site.events.happen("new", a_state(1))
    assert answer.readline() == b"\n"
    assert answer.readline() == b"event: object\n"
    assert time.monotonic() - start < 1
    answer.close()


def test_ok__all_streams_taken_and_pages_still_come(server: WebServer, site: Site, bearer: dict[str, str]) -> None:
    opened = [ask(server, "/live/front", bearer) for _ in range(site.max_streams)]
    assert ask(server, "/live/front", bearer).status == 503
    assert [ask(server, "/api/status", bearer).status for _ in range(20)] == [200] * 20
    for answer in opened:
        answer.close()


def test_ok__viewer_who_hangs_up_frees_the_stream(server: WebServer, site: Site, bearer: dict[str, str]) -> None:
    streams = site.app.extensions["sereno"].streams
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    connection.request("GET", "/live/front", headers=bearer)
    answer = connection.getresponse()
    assert streams.free == site.max_streams - 1
    answer.close()
    connection.close()
    # No picture comes, so nothing is written that could fail: the server must notice by itself.
    assert eventually(lambda: streams.free == site.max_streams, 5)


def test_ok__viewer_who_does_not_read_holds_up_nobody(server: WebServer, site: Site, bearer: dict[str, str]) -> None:
    with socket.create_connection(("127.0.0.1", server.port)) as lazy:
        lazy.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        request = f"GET /live/front HTTP/1.1\r\nHost: localhost\r\nAuthorization: {bearer['Authorization']}\r\n\r\n"
        lazy.sendall(request.encode())
        stop = threading.Event()

        def film() -> None:
            index = 0
            while not stop.wait(0.005):
                index += 1
                site.live.show(an_observation(index))

        camera = threading.Thread(target=film)
        camera.start()
        try:
            answer = ask(server, "/live/front", bearer)
            assert len(answer.read(200_000)) == 200_000
        finally:
            stop.set()
            camera.join()
        start = time.monotonic()
        server.stop()
        assert time.monotonic() - start < 4


@pytest.mark.parametrize(
    "request_text",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET / HTTP/1.1\r\nHost: " + b"a" * 100_000 + b"\r\n\r\n",
        b"GET /%zz%00%ff HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"POST /login HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999999\r\n\r\n",
        b"POST /login HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET http://evil.example/ HTTP/1.1\r\nHost: evil.example\r\n\r\n",
        b"GET /login HTTP/1.1\r\nHost: localhost\r\nCookie: sereno-porch=\xff\xfe; =;;\r\n\r\n",
    ],
)
def test_fail__garbage_is_refused_and_the_server_lives(
    server: WebServer, request_text: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.ERROR), socket.create_connection(("127.0.0.1", server.port), timeout=10) as connection:
        answer = b""
        # Hanging up on garbage is an answer, too.
        with contextlib.suppress(OSError):
            connection.sendall(request_text)
            connection.shutdown(socket.SHUT_WR)
            while chunk := connection.recv(65536):
                answer += chunk
    assert b"Traceback" not in answer
    assert not caplog.records
    assert ask(server, "/healthz").read() == b"ok"


def test_fail__a_thread_that_dies_is_reported(site: Site) -> None:
    died: list[str] = []
    server = WebServer(site.app, "127.0.0.1", 0, lambda name, error: died.append(f"{name}: {error}"))
    server.start()
    # What a broken file descriptor in its loop does.
    server._channels[999] = object()
    server._server.pull_trigger()
    assert eventually(lambda: died, 5)
    assert died[0].startswith("web: ")
    server.stop()


def test_ok__idle_server_costs_nothing(server: WebServer) -> None:
    assert ask(server, "/healthz").read() == b"ok"
    before = time.process_time()
    threading.Event().wait(1.5)
    assert time.process_time() - before < 0.05
