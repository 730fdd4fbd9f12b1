"""The outbox on its way to the broker: one thread that connects, sends in order, and removes what was acknowledged."""

from __future__ import annotations

import logging
import random
import socket
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from paho.mqtt.enums import MQTTProtocolVersion

from device.config import Mqtt
from device.publish.anchor import Witness, retained
from device.publish.connection import Connection, ConnectionFailed, address, tls_context
from device.publish.delivery import Delivery
from device.publish.messages import Topics, availability_message, status_message
from device.publish.outbox import Outbox
from device.system.threads import Worker

log = logging.getLogger(__name__)

MQTT5, MQTT311 = MQTTProtocolVersion.MQTTv5, MQTTProtocolVersion.MQTTv311
NAMES = {MQTT5: "5", MQTT311: "3.1.1"}
GOODBYE_S = 2.0
AWAY_S = 2.5
"""A stop waits no longer for a broker that was tried and not once reached since the start."""
RETRY_STOPPING_S = 0.5
BRIEF_S = 3.0
"""A connection that ends within so many seconds was not meant to be."""

Status = Callable[[], Mapping[str, Any]]


class MqttPublisher:
    """Connects, and comes back when it was disconnected, for ever; what is wrong is logged once, not each time."""

    def __init__(
        self,
        mqtt: Mqtt,
        device_id: str,
        outbox: Outbox,
        *,
        status: Status,
        on_failure: Callable[[str, BaseException], None],
        base: Path | None = None,
        backoff_s: tuple[float, float] = (0.5, 30.0),
    ) -> None:
        """Args:
            mqtt: the broker.
            device_id: part of the topics and of the client id.
            outbox: what to send.
            status: gives the device's figures when they are to be told.
            on_failure: called when the thread dies.
            base: folder that the relative paths of `mqtt.tls` are relative to, see `tls_context`.
            backoff_s: seconds before the first and the slowest attempts to reconnect; doubled in between.
        Raises:
            InputError: a TLS file is missing or wrong.
        """
        self._mqtt = mqtt
        self._client_id = f"{mqtt.topic_prefix.replace('/', '-')}-{device_id}"
        self._topics = Topics.of(mqtt.topic_prefix, device_id)
        self._outbox = outbox
        self.witness: Witness | None = None
        """Asked once, before the first anchor is sent, about the one that the broker retains."""
        self._status = status
        self._backoff_s = backoff_s
        self._delay_s = backoff_s[0]
        self._tls = tls_context(mqtt.tls, base)
        # The embedded broker does not refuse MQTT 5, it waits for more: there is no need to find that out.
        self._version = MQTT311 if mqtt.protocol == "3.1.1" or mqtt.embedded else MQTT5
        self._version_known = False
        self._state, self._message = "connecting", ""
        self._told = ""
        self._brief = 0
        self._hung_up = 0
        self._stopping = threading.Event()
        self._deadline = 0.0
        self._wake_r, self._wake_w = socket.socketpair()
        self._wake_r.setblocking(False)
        self._wake_w.setblocking(False)
        self._worker = Worker("mqtt", self._run, on_failure)
        outbox.on_change(self._wake)

    def start(self) -> None:
        """Begin to connect and to send, in a thread."""
        self._worker.start()

    def stop(self, drain_s: float = 10.0) -> None:
        """Send what waits, connecting anew where need be, for at most `drain_s` seconds; publish `offline`, disconnect.

        The rest stays in the outbox. Where nothing waits, or the broker was not once reached since the start although
        it was tried, there is no more than `AWAY_S` of waiting.
        """
        hopeless = not self._version_known and self._message
        if self._state != "connected" and (hopeless or not self._outbox.queued):
            drain_s = min(drain_s, AWAY_S)
        self._deadline = time.monotonic() + drain_s
        self._stopping.set()
        self._wake()
        # An attempt to connect may be under way, and take its time: the thread holds nothing that would be lost.
        if not self._worker.join(drain_s) and self._state == "connected":
            self._worker.join(GOODBYE_S + 1)
        self._state = "stopped"

    def health(self) -> dict[str, Any]:
        """`state` (connected, connecting, stopped), `message` (a sentence, empty when all is well), `queued`,
        `dropped`,
        `protocol` (None before the broker has taken one) and `broker`."""
        return {
            "state": self._state,
            "message": self._message,
            "queued": self._outbox.queued,
            "dropped": self._outbox.dropped,
            "protocol": NAMES[self._version] if self._version_known else None,
            "broker": address(self._mqtt),
        }

    def _wake(self) -> None:
        try:
            self._wake_w.send(b"\0")
        except BlockingIOError:
            pass  # A full pipe wakes as well as a fuller one.

    def _run(self) -> None:
        while not self._finished():
            connection = self._connect()
            if connection and self._serve(connection):
                return
            if self._stopping.is_set():
                time.sleep(max(0.0, min(RETRY_STOPPING_S, self._deadline - time.monotonic())))
            elif not self._stopping.wait(self._delay_s * random.uniform(0.8, 1.2)):
                self._delay_s = min(self._delay_s * 2, self._backoff_s[1])

    def _finished(self) -> bool:
        """Whether to try no more: a stop is asked for, and its time is up, or nothing waits."""
        return self._stopping.is_set() and (time.monotonic() >= self._deadline or not self._outbox.queued)

    def _connect(self) -> Connection | None:
        will = availability_message(self._topics, online=False)
        connection = Connection(self._mqtt, self._client_id, self._version, self._tls, will)
        try:
            connection.open()
        except ConnectionFailed as failure:
            if self._fall_back(failure):
                return self._connect()
            self._down(str(failure))
            return None
        self._hung_up = 0
        self._version_known = True
        return connection

    def _fall_back(self, failure: ConnectionFailed) -> bool:
        """Whether to try MQTT 3.1.1 now: the broker refused 5, or did not answer it, or hung up on it twice."""
        if self._mqtt.protocol != "auto":
            return False
        self._hung_up = self._hung_up + 1 if failure.reason == "hung up" else 0
        if self._version == MQTT311:
            if failure.reason and not self._version_known:
                self._version = MQTT5  # It was not the version, then: ask for the better one next time.
            return False
        guess = failure.reason == "no answer" or self._hung_up >= 2
        if failure.reason == "version" or (guess and not self._version_known):
            log.warning("the broker at %s does not take MQTT 5: trying 3.1.1", address(self._mqtt))
            self._version = MQTT311
            return True
        return False

    def _down(self, sentence: str) -> None:
        if sentence != self._told:
            log.warning("%s (events are kept until then)", sentence)
        self._told = sentence
        self._state, self._message = "connecting", sentence

    def _up(self) -> None:
        log.info("connected to the broker at %s, MQTT %s", address(self._mqtt), NAMES[self._version])
        self._state, self._message = "connected", ""

    def _serve(self, connection: Connection) -> bool:
        """Send until the connection ends; whether that was a goodbye."""
        if self._stopping.is_set() and time.monotonic() >= self._deadline:
            connection.close()
            return True
        delivery = Delivery(connection, self._outbox)
        delivery.send(availability_message(self._topics, online=True))
        self._compare_anchor(connection)
        self._up()
        connected_at = time.monotonic()
        status_at = connected_at
        while connection.alive:
            now = time.monotonic()
            if self._stopping.is_set() and (now >= self._deadline or delivery.refusal or delivery.settled):
                self._goodbye(connection, delivery)
                return True
            if delivery.refusal:
                break
            if now >= status_at:
                delivery.send(status_message(self._topics, self._status()))
                status_at = now + self._mqtt.status_interval_s
            delivery.fill()
            self._step(connection, min(1.0, status_at - now))
            delivery.collect()
            if (delivery.acknowledged and not delivery.refusal) or now - connected_at > self._backoff_s[1]:
                self._delay_s = self._backoff_s[0]
                self._told = ""
        delivery.settle()
        connection.close()
        self._brief = self._brief + 1 if time.monotonic() - connected_at < BRIEF_S else 0
        self._down(delivery.refusal or (self._hint() if self._brief >= 3 else connection.lost))
        return False

    def _compare_anchor(self, connection: Connection) -> None:
        """What the broker retains as the access log's anchor is looked at before it is replaced."""
        if self.witness is None:
            return
        anchor = retained(connection, self._topics.anchor)
        if anchor is not None and not self.witness.meets(anchor):
            self._outbox.withhold(self._topics.anchor)
        if connection.alive:
            self.witness = None

    def _hint(self) -> str:
        """Brokers do not always say why they hang up."""
        return (
            f"the broker at {address(self._mqtt)} hangs up soon after each connection: do its access rules let this "
            f"device publish to {self._topics.root}/#, and has no other device the id {self._client_id!r}?"
        )

    def _step(self, connection: Connection, timeout_s: float) -> None:
        connection.step(max(0.0, timeout_s), self._wake_r)
        try:
            while self._wake_r.recv(4096):
                pass
        except BlockingIOError:
            pass

    def _goodbye(self, connection: Connection, delivery: Delivery) -> None:
        """`offline` by our own word, since a clean disconnect cancels the will."""
        delivery.send(availability_message(self._topics, online=False))
        deadline = time.monotonic() + GOODBYE_S
        while connection.alive and not delivery.idle and time.monotonic() < deadline:
            self._step(connection, 0.1)
            delivery.collect()
        delivery.settle()
        connection.close()
