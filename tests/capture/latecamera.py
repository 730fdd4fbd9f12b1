"""Cameras on the network that fall behind: RTSP (JPEG over RTP, RFC 2435, in the RTSP connection) and MJPEG over HTTP.

They go on taking pictures while the network pauses, and send what has gathered a little faster than it was taken.
"""

from __future__ import annotations

import queue
import socket
import socketserver
import struct
import threading
import time
from typing import ClassVar

import cv2
import numpy as np

from device.datatypes import Image

FPS = 20.0
CATCHING_UP = 1.4
SIZE = (160, 128)
BITS = 16
PACKET = 1200


def drawn(number: int) -> Image:
    """A picture, RGB, that bears its number in 4x4 squares."""
    image = np.random.default_rng(number).integers(90, 110, (SIZE[1], SIZE[0], 3)).astype(np.uint8)
    for bit in range(BITS):
        row, column = divmod(bit, 4)
        image[row * 32 : row * 32 + 32, column * 40 : column * 40 + 40] = 250 if number >> bit & 1 else 10
    return image


def number_of(image: Image) -> int:
    """What `drawn` was asked for."""
    squares = image.reshape(4, 32, 4, 40, 3).mean(axis=(1, 3, 4)).ravel()
    return sum(1 << bit for bit, value in enumerate(squares) if value > 128)


class LateCamera:
    """One camera. `paused` set: nothing is sent. `taken[n]`: when picture n was taken, on the monotonic clock."""

    scheme: ClassVar[str]

    def __init__(self) -> None:
        self.paused = threading.Event()
        self.taken: dict[int, float] = {}
        self.connections = 0
        self._ended = threading.Event()
        self._backlogs: list[queue.Queue[tuple[int, bytes]]] = []
        camera = self

        class Handler(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                try:
                    camera.serve(self.request)
                except OSError:
                    return

        class Server(socketserver.ThreadingTCPServer):
            daemon_threads = True

        self._server = Server(("127.0.0.1", 0), Handler)
        for work in (lambda: self._server.serve_forever(0.05), self._take):
            threading.Thread(target=work, daemon=True).start()

    @property
    def url(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self._server.server_address[1]}/live"

    def serve(self, connection: socket.socket) -> None:
        """Answer one client until it is gone."""
        raise NotImplementedError

    def end(self) -> None:
        self._ended.set()
        self._server.shutdown()
        self._server.server_close()

    def _take(self) -> None:
        number = 0
        while not self._ended.wait(1 / FPS):
            number += 1
            self.taken[number] = time.monotonic()
            colours = cv2.cvtColor(drawn(number), cv2.COLOR_RGB2BGR)
            sampling = [cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_420]
            jpeg = cv2.imencode(".jpg", colours, [cv2.IMWRITE_JPEG_QUALITY, 80, *sampling])[1].tobytes()
            for backlog in list(self._backlogs):
                backlog.put((number, jpeg))

    def _send_all(self, send: object) -> None:
        """Send the pictures that are taken from now on, in their order."""
        assert callable(send)
        backlog: queue.Queue[tuple[int, bytes]] = queue.Queue()
        self._backlogs.append(backlog)
        self.connections += 1
        try:
            while not self._ended.is_set():
                number, jpeg = backlog.get()
                while self.paused.is_set() and not self._ended.is_set():
                    time.sleep(0.005)
                send(number, jpeg)
                time.sleep(1 / FPS / CATCHING_UP)
        finally:
            self._backlogs.remove(backlog)


class MjpegCamera(LateCamera):
    scheme = "http"

    def serve(self, connection: socket.socket) -> None:
        if not connection.recv(4096):
            return
        connection.sendall(b"HTTP/1.0 200 OK\r\nContent-Type: multipart/x-mixed-replace; boundary=f\r\n\r\n")
        head = "--f\r\nContent-Type: image/jpeg\r\nContent-Length: {}\r\n\r\n"
        self._send_all(lambda _, jpeg: connection.sendall(head.format(len(jpeg)).encode() + jpeg + b"\r\n"))


class RtspCamera(LateCamera):
    scheme = "rtsp"

    def serve(self, connection: socket.socket) -> None:
        lines = connection.makefile("rb")
        while request := lines.readline():
            headers = {}
            while (line := lines.readline().strip()) != b"":
                name, _, value = line.decode().partition(":")
                headers[name.lower()] = value.strip()
            method = request.decode().partition(" ")[0]
            body, more = "", "Session: 1\r\n"
            if method == "DESCRIBE":
                body = "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=x\r\nt=0 0\r\nm=video 0 RTP/AVP 26\r\na=control:0\r\n"
                more = f"Content-Type: application/sdp\r\nContent-Length: {len(body)}\r\n"
            elif method == "SETUP":
                more += "Transport: RTP/AVP/TCP;unicast;interleaved=0-1\r\n"
            connection.sendall(f"RTSP/1.0 200 OK\r\nCSeq: {headers['cseq']}\r\n{more}\r\n{body}".encode())
            if method == "PLAY":
                self._sequence = 0
                self._send_all(lambda number, jpeg: self._send(connection, number, jpeg))

    def _send(self, connection: socket.socket, number: int, jpeg: bytes) -> None:
        tables, scan = _parts(jpeg)
        stamp = int(self.taken[number] * 90_000) & 0xFFFFFFFF
        for start in range(0, len(scan), PACKET):
            part = scan[start : start + PACKET]
            last = start + PACKET >= len(scan)
            self._sequence = (self._sequence + 1) & 0xFFFF
            rtp = struct.pack(">BBHII", 0x80, 26 | (0x80 if last else 0), self._sequence, stamp, 7)
            frame = struct.pack(">I", start) + bytes([1, 255, SIZE[0] // 8, SIZE[1] // 8])
            if start == 0:
                frame += struct.pack(">BBH", 0, 0, len(tables)) + tables
            packet = rtp + frame + part
            connection.sendall(b"$\0" + struct.pack(">H", len(packet)) + packet)


def _parts(jpeg: bytes) -> tuple[bytes, bytes]:
    """The quantization tables and the scan of a baseline JPEG."""
    tables, at = b"", 2
    while True:
        marker, length = jpeg[at + 1], int.from_bytes(jpeg[at + 2 : at + 4], "big")
        if marker == 0xDB:
            segment = jpeg[at + 4 : at + 2 + length]
            tables += b"".join(segment[place + 1 : place + 65] for place in range(0, len(segment), 65))
        at += 2 + length
        if marker == 0xDA:
            return tables, jpeg[at:-2]
