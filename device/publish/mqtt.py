"""The outbox on its way to the broker: one thread that connects, sends in order, and removes what was acknowledged."""

from __future__ import annotations

import logging
import random
import socket
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from paho.mqtt.enums import MQTTProtocolVersion

from device.config import Mqtt
from device.publish.connection import FAILURE, Connection, ConnectionFailed, address, tls_context
from device.publish.messages import Message, Topics, availability_message, status_message
from device.publish.outbox import Outbox
from device.system.threads import Worker

log = logging.getLogger(__name__)

WINDOW = 100
"""Messages in flight at most: enough to hide the network's delay, few enough to be sent again after a break."""
MQTT5, MQTT311 = MQTTProtocolVersion.MQTTv5, MQTTProtocolVersion.MQTTv311
NAMES = {MQTT5: "5", MQTT311: "3.1.1"}
GOODBYE_S = 2.0
BRIEF_S = 3.0
"""A connection that ends within so many seconds was not meant to be."""

Status = Callable[[], Mapping[str, Any]]


class Delivery:
    """What was sent over one connection, and what of it the broker has acknowledged."""

    def __init__(self, connection: Connection, outbox: Outbox) -> None:
        self._connection = connection
        self._outbox = outbox
        self._window = min(WINDOW, connection.receive_maximum)
        self._in_flight: dict[int, Message] = {}
        self._sent_seq = 0
        self._sent_version = 0
        self._too_large: set[str] = set()
        self._refused: set[str] = set()
        self.refusal = ""
        self.acknowledged = 0

    @property
    def settled(self) -> bool:
        """Whether all that was sent is acknowledged, and nothing waits."""
        return self.idle and not self._outbox.states(self._sent_version) and not self._outbox.pending(self._sent_seq, 1)

    @property
    def idle(self) -> bool:
        """Whether all that was sent is acknowledged."""
        return not self._in_flight

    def send(self, message: Message) -> None:
        """Send one message now, whatever waits."""
        if len(message.payload) + len(message.topic) + 32 > self._connection.packet_maximum:
            if message.topic not in self._too_large:
                self._too_large.add(message.topic)
                log.warning("%s: %d bytes are more than the broker takes", message.topic, len(message.payload))
            return
        packet_id = self._connection.publish(message)
        if message.qos:
            self._in_flight[packet_id] = message

    def fill(self) -> None:
        """Send what waits until the window is full: states first, all of them at a new connection, so that a broker
        which forgot them learns the truth."""
        for version, message in self._outbox.states(self._sent_version):
            if len(self._in_flight) >= self._window or not self._connection.alive:
                return
            self.send(message)
            self._sent_version = version
        room = self._window - len(self._in_flight)
        # Half a window at least: one query for many messages.
        if room < max(1, self._window // 2):
            return
        for message in self._outbox.pending(self._sent_seq, room):
            if not self._connection.alive:
                return
            self.send(message)
            self._sent_seq = message.seq or self._sent_seq

    def collect(self) -> None:
        """Take what the broker has answered: acknowledged messages leave the outbox."""
        done: list[int] = []
        while self._connection.answers:
            packet_id, reason = self._connection.answers.popleft()
            message = self._in_flight.pop(packet_id, None)
            if message is None:
                continue
            if reason >= FAILURE:
                self._refuse(message, reason)
            elif message.seq:
                done.append(message.seq)
        if done:
            self._outbox.acknowledge(done)
            self.acknowledged += len(done)

    def _refuse(self, message: Message, reason: int) -> None:
        """A message with `seq` must not be lost, so it blocks what follows until the broker takes it; a state may."""
        sentence = (
            f"the broker at {address(self._connection.mqtt)} refuses to take {message.topic} (reason 0x{reason:02x}): "
            "its access rules must let this device publish there"
        )
        if message.seq:
            self.refusal = sentence
        elif message.topic not in self._refused:
            self._refused.add(message.topic)
            log.warning("%s", sentence)


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
        backoff_s: tuple[float, float] = (0.5, 30.0),
    ) -> None:
        """Args:
            mqtt: the broker.
            device_id: part of the topics and of the client id.
            outbox: what to send.
            status: gives the device's figures when they are to be told.
            on_failure: called when the thread dies.
            backoff_s: seconds before the first and the slowest attempts to reconnect; doubled in between.
        Raises:
            InputError: a TLS file is missing or wrong.
        """
        self._mqtt = mqtt
        self._client_id = f"{mqtt.topic_prefix.replace('/', '-')}-{device_id}"
        self._topics = Topics.of(mqtt.topic_prefix, device_id)
        self._outbox = outbox
        self._status = status
        self._backoff_s = backoff_s
        self._delay_s = backoff_s[0]
        self._tls = tls_context(mqtt.tls)
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
        """Send what waits for at most `drain_s` seconds, publish `offline`, disconnect. The rest stays in the
        outbox."""
        self._deadline = time.monotonic() + drain_s
        self._stopping.set()
        self._wake()
        # An attempt to connect may be under way, and take its time: the thread holds nothing that would be lost.
        self._worker.join(drain_s + GOODBYE_S + 1 if self._state == "connected" else min(drain_s, GOODBYE_S))
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
        while not self._stopping.is_set():
            connection = self._connect()
            if connection:
                self._serve(connection)
            if not self._stopping.wait(self._delay_s * random.uniform(0.8, 1.2)):
                self._delay_s = min(self._delay_s * 2, self._backoff_s[1])

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

    def _serve(self, connection: Connection) -> None:
        delivery = Delivery(connection, self._outbox)
        delivery.send(availability_message(self._topics, online=True))
        self._up()
        connected_at = time.monotonic()
        status_at = connected_at
        while connection.alive and not delivery.refusal:
            now = time.monotonic()
            if self._stopping.is_set() and (delivery.settled or now >= self._deadline):
                self._goodbye(connection, delivery)
                return
            if now >= status_at:
                delivery.send(status_message(self._topics, self._status()))
                status_at = now + self._mqtt.status_interval_s
            delivery.fill()
            self._step(connection, min(1.0, status_at - now))
            delivery.collect()
            if (delivery.acknowledged and not delivery.refusal) or now - connected_at > self._backoff_s[1]:
                self._delay_s = self._backoff_s[0]
                self._told = ""
        connection.close()
        self._brief = self._brief + 1 if time.monotonic() - connected_at < BRIEF_S else 0
        self._down(delivery.refusal or (self._hint() if self._brief >= 3 else connection.lost))

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
        connection.close()
