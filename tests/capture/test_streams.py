"""Cameras on the network: a real HTTP server here that streams MJPEG, dies and returns; hosts that keep silent."""

from __future__ import annotations

import contextlib
import http.server
import socket
import threading
import time
from collections.abc import Iterator

import cv2
import pytest

from device.capture.opencv import StreamSource, host_and_port, without_password
from device.errors import InputError
from tests.capture.conftest import MakeReader
from tests.capture.doubles import PATIENCE_S, picture
from tests.capture.test_reader import until


class MjpegCamera:
    """A camera as cheap ones are: JPEGs in a multipart answer, for ever."""

    def __init__(self, port: int = 0) -> None:
        self.silent = threading.Event()
        camera = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(200)
                self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
                self.end_headers()
                with contextlib.suppress(OSError):
                    camera.stream(self)

            def log_message(self, *_: object) -> None:
                pass

        class Server(http.server.ThreadingHTTPServer):
            allow_reuse_address = True
            daemon_threads = True

        self._server = Server(("127.0.0.1", port), Handler)
        self._ended = threading.Event()
        self.port = self._server.server_address[1]
        threading.Thread(target=lambda: self._server.serve_forever(0.05), daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://admin:s3cret@127.0.0.1:{self.port}/live"

    def stream(self, handler: http.server.BaseHTTPRequestHandler) -> None:
        number = 0
        while not self._ended.is_set():
            number += 1
            jpeg = cv2.imencode(".jpg", cv2.resize(picture(number, 6, 8), (160, 120)))[1].tobytes()
            head = f"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {len(jpeg)}\r\n\r\n"
            handler.wfile.write(head.encode() + jpeg + b"\r\n")
            time.sleep(0.02)
            while self.silent.is_set() and not self._ended.is_set():
                time.sleep(0.02)
        handler.connection.close()

    def die(self) -> None:
        self._ended.set()
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def mjpeg() -> Iterator[MjpegCamera]:
    camera = MjpegCamera()
    yield camera
    camera.die()


def test_ok__http_camera_delivers_dies_and_returns(make_reader: MakeReader, mjpeg: MjpegCamera) -> None:
    reader = make_reader(StreamSource(mjpeg.url, read_timeout_s=3, open_timeout_s=5), fps=30)
    reader.start()
    frame = reader.take(PATIENCE_S)
    assert frame is not None
    assert frame.image.shape == (120, 160, 3)
    mjpeg.die()
    until(lambda: reader.health().state == "lost", reader.changed)
    assert "s3cret" not in reader.health().message
    frames = reader.health().frames
    returned = MjpegCamera(mjpeg.port)
    try:
        until(lambda: reader.health().state == "ok", reader.changed)
        assert reader.health().reconnects == 1
        until(lambda: reader.health().frames > frames + 3, reader.changed)
    finally:
        returned.die()


def grab_all(source: StreamSource) -> None:
    for _ in range(1000):
        source.grab()


def test_fail__http_camera_that_falls_silent_is_lost_in_time(mjpeg: MjpegCamera) -> None:
    source = StreamSource(mjpeg.url, read_timeout_s=1, open_timeout_s=5)
    source.open()
    for _ in range(5):
        source.grab()
    mjpeg.silent.set()
    began = time.monotonic()
    with pytest.raises(InputError, match="stopped sending"):
        grab_all(source)
    assert time.monotonic() - began < 5
    source.close()


def test_fail__nothing_listens_there() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # Bound and not listening: refuses.
        port = taken.getsockname()[1]
        with pytest.raises(InputError, match=rf"127\.0\.0\.1 port {port} cannot be reached \(connection refused\)"):
            StreamSource(f"rtsp://127.0.0.1:{port}/stream").open()


@pytest.mark.parametrize("scheme", ["rtsp", "http"])
def test_fail__a_host_that_accepts_and_says_nothing(scheme: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        began = time.monotonic()
        with pytest.raises(InputError, match="answers but sends no video that can be read: check the path") as caught:
            StreamSource(f"{scheme}://me:s3cret@127.0.0.1:{port}/stream", open_timeout_s=1.5).open()
        assert 1 < time.monotonic() - began < 6
        assert "s3cret" not in str(caught.value)


def test_fail__a_name_that_nobody_knows() -> None:
    with pytest.raises(InputError, match=r"nobody knows the name camera\.invalid|cannot be reached"):
        StreamSource("rtsp://camera.invalid/stream").open()


@pytest.mark.parametrize("url", ["rtsp:///stream", "rtsp://[::1/stream", "http://host:port/x"])
def test_fail__an_address_that_is_none(url: str) -> None:
    with pytest.raises(InputError, match="is no address of a camera; it must look like rtsp://"):
        StreamSource(url).open()


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("rtsp://admin:pa/ss@10.0.0.5/s", "rtsp://admin:***@10.0.0.5/s"),
        ("rtsp://admin:p@ss@10.0.0.5/s", "rtsp://admin:***@10.0.0.5/s"),
        ("http://10.0.0.5/cgi?usr=me&pwd=hush&ch=1", "http://10.0.0.5/cgi?usr=me&pwd=***&ch=1"),
        ("rtsp://10.0.0.5:8554/main@2", "rtsp://10.0.0.5:8554/main@2"),
        ("rtsp://admin:1234@10.0.0.5:554/s", "rtsp://admin:***@10.0.0.5:554/s"),
        ("http://10.0.0.5/live", "http://10.0.0.5/live"),
    ],
)
def test_ok__passwords_are_not_shown(url: str, shown: str) -> None:
    assert without_password(url) == shown


def test_ok__each_kind_has_its_customary_port() -> None:
    assert [host_and_port(f"{scheme}://cam/x") for scheme in ("rtsp", "RTSPS", "http", "https")] == [
        ("cam", 554),
        ("cam", 322),
        ("cam", 80),
        ("cam", 443),
    ]
