"""A broker inside this process, so that a demonstration needs none installed: amqtt, MQTT 3.1.1, this machine only."""

from __future__ import annotations

import asyncio
import logging
import socket
import threading
from collections.abc import Callable
from typing import Any

from device.errors import InputError
from device.system.threads import Worker

log = logging.getLogger(__name__)

HOST = "127.0.0.1"
START_S = 10.0


class EmbeddedBroker:
    """Keeps nothing over its end; anyone on this machine may connect, nobody from elsewhere."""

    def __init__(self, port: int, on_failure: Callable[[str, BaseException], None]) -> None:
        """Args:
            port: where to listen; where it is taken, `self.port` is a free one.
            on_failure: called when its thread dies.
        Raises:
            InputError: amqtt is not installed.
        """
        try:
            from amqtt.broker import Broker
            from amqtt.contexts import BrokerConfig, ListenerConfig
        except ImportError as error:
            raise InputError(
                "mqtt.embedded needs the package amqtt, which only the demo installs: "
                "install Sereno with its extra `demo`, or set mqtt.embedded to false and mqtt.host to a broker"
            ) from error
        self._make: Callable[..., Any] = Broker
        for name in ("amqtt", "transitions"):
            # They tell of each client that hangs up, as warnings and errors.
            logging.getLogger(name).setLevel(logging.CRITICAL)
        self.port = _port_or_free(port)
        self._config = BrokerConfig(
            listeners={"default": ListenerConfig(bind=f"{HOST}:{self.port}")},
            plugins={"amqtt.plugins.authentication.AnonymousAuthPlugin": {"allow_anonymous": True}},
        )
        self._loop = asyncio.new_event_loop()
        self._started = threading.Event()
        self._stop = asyncio.Event()
        self._error: Exception | None = None
        self._worker = Worker("broker", self._run, on_failure)

    def start(self) -> None:
        """Listen. Raises InputError where that fails."""
        self._worker.start()
        if not self._started.wait(START_S) or self._error:
            raise InputError(f"the embedded broker cannot listen on {HOST}:{self.port}: {self._error or 'too slow'}")
        log.warning("the embedded MQTT broker listens on %s:%d, to this machine only", HOST, self.port)

    def stop(self) -> None:
        """Disconnect everyone and end. Harmless when repeated, or where it never started."""
        if self._worker.alive:
            self._loop.call_soon_threadsafe(self._stop.set)
            self._worker.join(5)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_until_complete(self._serve())
        finally:
            self._loop.close()

    async def _serve(self) -> None:
        from amqtt.errors import AMQTTError

        broker = self._make(self._config, loop=self._loop)
        try:
            await broker.start()
        except (AMQTTError, OSError) as error:
            self._error = error
            return
        finally:
            self._started.set()
        await self._stop.wait()
        await broker.shutdown()


def _port_or_free(port: int) -> int:
    """`port` where nobody listens there, else one that is free."""
    for candidate in (port, 0):
        with socket.socket() as probe:
            # As the broker itself does: a port that is only waiting for its last connections to be forgotten is free.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((HOST, candidate))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise InputError(f"no free TCP port on {HOST} for the embedded broker")
