"""Large bodies, over real connections: refused by their announced length, bounded in number, never on a disk."""

from __future__ import annotations

import gc
import json
import os
import socket
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from device.web.bodies import MOST_LARGE, SMALL_BYTES, BoundedParser
from device.web.server import WebServer
from device.web.uploads import MAX_PICTURE_BODY
from tests.mosquitto import eventually
from tests.web.conftest import Site
from tests.web.test_server import no_failure

HUGE = 200 * 1000 * 1000


@pytest.fixture
def server(site: Site) -> Iterator[WebServer]:
    server = WebServer(site.app, "127.0.0.1", 0, no_failure)
    server.start()
    yield server
    server.stop()


def connect(server: WebServer, path: str, *headers: str) -> socket.socket:
    """A request whose head was sent, and nothing of its body."""
    connection = socket.create_connection(("127.0.0.1", server.port), timeout=10)
    lines = [f"POST {path} HTTP/1.1", "Host: localhost", "Content-Type: application/json", *headers, "", ""]
    connection.sendall("\r\n".join(lines).encode())
    return connection


def answer(connection: socket.socket) -> tuple[int, str]:
    """Status and sentence."""
    received = b""
    while b"\r\n\r\n" not in received or not received.rstrip().endswith(b"}"):
        part = connection.recv(65536)
        if not part:
            break
        received += part
    head, _, body = received.partition(b"\r\n\r\n")
    return int(head.split()[1]), json.loads(body)["error"]


def resident_bytes() -> int:
    """Of this process, which is the server's, too."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE")


@pytest.mark.parametrize("path", ["/reconocer", "/api/recognize", "/api/people", "/login", "/nothing"])
def test_fail__200_mb_are_refused_unread(server: WebServer, path: str) -> None:
    for more in ((), ("Expect: 100-continue",)):
        with connect(server, path, f"Content-Length: {HUGE}", *more) as connection:
            code, sentence = answer(connection)
            assert code == 413
            assert "bytes are the most" in sentence


def test_fail__200_mb_in_chunks_end_at_the_bound(server: WebServer) -> None:
    chunk = b"10000\r\n" + b"x" * 0x10000 + b"\r\n"
    before = resident_bytes()
    with connect(server, "/reconocer", "Transfer-Encoding: chunked") as connection:
        sent = 0
        try:
            while sent < HUGE:
                connection.sendall(chunk)
                sent += len(chunk)
        except OSError:
            pass
    assert sent < 4 * MAX_PICTURE_BODY
    assert resident_bytes() - before < 6 * MAX_PICTURE_BODY


def test_fail__too_many_large_bodies_at_once(server: WebServer) -> None:
    with ExitStack() as open_ones:
        for _ in range(MOST_LARGE):
            open_ones.enter_context(connect(server, "/reconocer", f"Content-Length: {SMALL_BYTES + 1}")).sendall(b" ")
        assert eventually(lambda: len(BoundedParser._large) == MOST_LARGE, 5)
        with connect(server, "/reconocer", f"Content-Length: {SMALL_BYTES + 1}") as refused:
            assert answer(refused) == (503, "too many large pictures are being sent; try again")
        with connect(server, "/reconocer", "Content-Length: 2") as small:
            small.sendall(b"{}")
            assert answer(small)[0] == 401
    # Who hangs up in the middle makes room for others.
    assert eventually(lambda: gc.collect() >= 0 and not BoundedParser._large, 5)


def test_ok__large_body_is_never_on_a_disk(server: WebServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """There is no folder for temporary files: whoever wanted one would fail."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "nowhere"))
    with connect(server, "/reconocer", f"Content-Length: {MAX_PICTURE_BODY}") as connection:
        connection.sendall(b" " * MAX_PICTURE_BODY)
        assert answer(connection)[0] == 401
    assert eventually(lambda: not BoundedParser._large, 5)
