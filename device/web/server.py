"""The web server: waitress in a thread of its own."""

from __future__ import annotations

import errno
import logging
import socket
import threading
from collections.abc import Callable
from typing import Any

from flask import Flask
from waitress import create_server, wasyncore
from waitress.channel import HTTPChannel

from device.errors import InputError
from device.system.threads import Worker
from device.web.bodies import BoundedChannel
from device.web.parts import EXTENSION, Parts
from device.web.uploads import MAX_PICTURE_BODY

log = logging.getLogger(__name__)
# Its warnings tell how many requests queue for a moment, which nobody can do anything about.
logging.getLogger("waitress").setLevel(logging.ERROR)

ORDINARY_THREADS = 4
"""Threads for all that is answered at once, beside one for each stream."""
WAKE_S = 10.0
"""The server looks after idle connections so often; requests and answers wake it at once."""
BUFFER_BYTES = 256 * 1024
"""A stream's thread waits when a viewer is behind by more than this: a slow one sees fewer pictures, not old ones."""
SILENT_CLIENT_MS = 20_000
"""A connection whose other side takes nothing for so long is closed (TCP_USER_TIMEOUT): phones go without a word."""
FINISH_S = 1.5
"""What is being answered may take so long when the server stops; streams end within half a second."""


class WebServer:
    """Serves an application made by `create_app`. Streams end promptly when it stops."""

    def __init__(
        self,
        app: Flask,
        host: str,
        port: int,
        on_failure: Callable[[str, BaseException], None],
    ) -> None:
        """`port` 0 takes a free one. `on_failure(name, error)` is called should the server's thread die."""
        self.host = host
        self.port = port
        self._app = app
        self._parts: Parts = app.extensions[EXTENSION]
        self._channels: dict[int, Any] = {}
        self._stop = threading.Event()
        self._server: Any = None
        self._worker = Worker("web", self._serve, on_failure)

    @property
    def url(self) -> str:
        """Where a browser on this machine finds the page."""
        host = {"0.0.0.0": "127.0.0.1", "": "127.0.0.1", "::": "[::1]"}.get(self.host, self.host)
        return f"http://{f'[{host}]' if ':' in host and not host.startswith('[') else host}:{self.port}"

    def start(self) -> None:
        """Listen, then serve in the background.

        Raises:
            InputError: the address cannot be had: one sentence says why, and what would be right.
        """
        listener = listen(self.host, self.port)
        self.port = listener.getsockname()[1]
        self._server = create_server(
            self._app,
            map=self._channels,
            sockets=[listener],
            threads=self._parts.streams.limit + ORDINARY_THREADS,
            ident=None,
            channel_timeout=60,
            # Reading ahead is how waitress notices that a viewer hung up.
            channel_request_lookahead=1,
            max_request_body_size=MAX_PICTURE_BODY + 1,
            # Pictures of faces are never written to a disk, be it for a moment.
            inbuf_overflow=2 * MAX_PICTURE_BODY,
            max_request_header_size=32 * 1024,
            outbuf_high_watermark=BUFFER_BYTES,
            asyncore_use_poll=True,
        )
        self._server.channel_class = BoundedChannel
        self._worker.start()
        log.info("page on %s", self.url)

    def stop(self) -> None:
        """End the streams, finish what is being answered, close. May be called twice, and without `start`."""
        self._parts.streams.stop()
        if self._server is None or self._stop.is_set():
            return
        self._server.task_dispatcher.shutdown(cancel_pending=True, timeout=FINISH_S)
        self._stop.set()
        self._server.pull_trigger()
        if not self._worker.join(WAKE_S):
            log.warning("the web server did not end within %.0f s", WAKE_S)
            return
        for channel in list(self._channels.values()):
            if isinstance(channel, HTTPChannel):
                # Not `close`: this also wakes threads that wait for a slow viewer.
                channel.handle_close()
        wasyncore.close_all(self._channels, ignore_all=True)

    def _serve(self) -> None:
        """The server's thread. Not `server.run()`, which can be left by an exception only.

        It closes nothing: `stop` may still have to wake it.
        """
        while not self._stop.is_set():
            wasyncore.loop(timeout=WAKE_S, use_poll=True, map=self._channels, count=1)


def listen(host: str, port: int) -> socket.socket:
    """A bound socket. Raises InputError with a sentence."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except (OSError, UnicodeError) as error:
        raise InputError(f"cannot find the address {host!r} of web.host: {error}") from error
    listener = socket.socket(family, kind, protocol)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, SILENT_CLIENT_MS)
        listener.bind(address)
        listener.listen(128)
    except OSError as error:
        listener.close()
        raise InputError(_why_not(host, port, error)) from error
    return listener


def _why_not(host: str, port: int, error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"port {port} on {host} is taken by another program; set web.port"
    if error.errno == errno.EACCES:
        return f"port {port} on {host} needs root; set web.port to 1024 or more"
    if error.errno == errno.EADDRNOTAVAIL:
        return f"this machine does not have the address {host}; set web.host to one it has, or to 0.0.0.0 for all"
    return f"cannot listen on port {port} of {host}: {error.strerror}"
