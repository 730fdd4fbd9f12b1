"""One connection to a broker, driven by the thread that owns it; and what to say when it fails."""

from __future__ import annotations

import select
import socket
import ssl
import time
from collections import deque
from pathlib import Path
from typing import Any, Literal

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from device.config import Mqtt, Tls
from device.configfile import resolve_path
from device.errors import InputError
from device.publish.messages import Message

CONNECT_TIMEOUT_S = 10.0
ANSWER_TIMEOUT_S = 6.0
UNSUPPORTED_VERSION, BAD_PASSWORD, NOT_AUTHORIZED, TAKEN_OVER = 0x84, 0x86, 0x87, 0x8E
FAILURE = 0x80
"""Reason codes from here on are refusals (MQTT 5.0, section 2.4)."""


class ConnectionFailed(Exception):
    """Why there is no connection, in one sentence.

    `reason` says what may have to do with the version of MQTT: `version` (the broker refused it), `hung up` (without a
    word) or `no answer`; brokers that do not know the version do each of the three, other things do the latter two.
    """

    def __init__(self, sentence: str, reason: Literal["", "version", "hung up", "no answer"] = "") -> None:
        super().__init__(sentence)
        self.reason = reason


def tls_context(tls: Tls, base: Path | None = None) -> ssl.SSLContext | None:
    """The settings as a context; None without TLS.

    Args:
        tls: the settings.
        base: folder that relative paths are relative to: the configuration file's; by default the working directory.
    Raises:
        InputError: a file is not what it should be.
    """
    if not tls.enabled:
        return None
    paths = {
        name: resolve_path(path, base or Path.cwd()) for name in ("ca", "cert", "key") if (path := getattr(tls, name))
    }
    tls = tls.model_copy(update=paths)
    if tls.ca and not tls.ca.is_file():
        raise InputError(f"mqtt.tls.ca: there is no file {tls.ca}; it must be the authority's certificate (PEM)")
    try:
        context = ssl.create_default_context(cafile=str(tls.ca) if tls.ca else None)
    except OSError as error:
        raise InputError(f"mqtt.tls.ca: {tls.ca} is not a readable PEM certificate ({error})") from error
    if tls.cert:
        try:
            context.load_cert_chain(tls.cert, tls.key)
        except OSError as error:
            key = tls.key or tls.cert
            raise InputError(
                f"mqtt.tls.cert and mqtt.tls.key: {tls.cert} and {key} are not a certificate and its private key, "
                f"both readable PEM ({error})"
            ) from error
    return context


class Connection:
    """A paho client without paho's threads, memory and reconnecting: the outbox remembers what was sent, its owner
    reconnects."""

    def __init__(
        self, mqtt: Mqtt, client_id: str, version: MQTTProtocolVersion, tls: ssl.SSLContext | None, will: Message | None
    ) -> None:
        """Args:
        mqtt: where to, and who we are there.
        client_id: unique at the broker; an empty one lets the broker choose.
        version: MQTTv5 or MQTTv311.
        tls: from `tls_context`.
        will: what the broker publishes when this connection ends without a goodbye.
        """
        self.mqtt = mqtt
        self.version = version
        self.lost = ""
        self.receive_maximum = 65_535
        self.packet_maximum = 268_435_455
        self.retain_available = True
        self.answers: deque[tuple[int, int]] = deque()
        """Packet id and reason code of each acknowledgement not yet looked at."""
        self._connack: ReasonCode | None = None
        # Clean each time: what a broker keeps of a publisher with QoS 1 is nothing that the outbox does not know
        # better.
        five = version == MQTTProtocolVersion.MQTTv5
        self.client = paho.Client(
            CallbackAPIVersion.VERSION2,
            client_id,
            clean_session=None if five else True,
            protocol=version,
            reconnect_on_failure=False,
        )
        self.client.max_inflight_messages_set(0)
        self.client.connect_timeout = CONNECT_TIMEOUT_S
        if mqtt.username is not None:
            secret = mqtt.password.get_secret_value() if mqtt.password else None
            self.client.username_pw_set(mqtt.username, secret)
        if tls:
            self.client.tls_set_context(tls)
        if will:
            self.client.will_set(will.topic, will.payload, will.qos, will.retain)
        self.client.on_socket_open = _send_at_once
        self.client.on_connect = self._on_connect
        self.client.on_disconnect = self._on_disconnect
        self.client.on_publish = self._on_publish

    def open(self) -> None:
        """Connect, and wait for the broker's answer. Raises ConnectionFailed."""
        try:
            clean = True if self.version == MQTTProtocolVersion.MQTTv5 else paho.MQTT_CLEAN_START_FIRST_ONLY
            self.client.connect(self.mqtt.host, self.mqtt.port, self.mqtt.keepalive_s, clean_start=clean)
        except (OSError, ValueError) as error:
            # ValueError: what is no name at all, such as `broker..local` (UnicodeError is one, too).
            raise ConnectionFailed(explain(error, self.mqtt)) from error
        deadline = time.monotonic() + ANSWER_TIMEOUT_S
        while self._connack is None and self.alive and time.monotonic() < deadline:
            self.step(0.5)
        if self._connack is None:
            hung_up = not self.alive
            self.client.disconnect()
            raise ConnectionFailed(_no_answer(self.mqtt, hung_up), "hung up" if hung_up else "no answer")
        if self._connack.value >= FAILURE:
            self.close()
            version = self._connack.value == UNSUPPORTED_VERSION
            raise ConnectionFailed(explain_refusal(self._connack, self.mqtt), "version" if version else "")

    @property
    def alive(self) -> bool:
        """Whether there is a socket still."""
        return self.client.socket() is not None

    def publish(self, message: Message) -> int:
        """Hand a message to the socket; returns its packet id, by which it is acknowledged."""
        retain = message.retain and self.retain_available
        return self.client.publish(message.topic, message.payload, message.qos, retain).mid

    def step(self, timeout_s: float, wake: socket.socket | None = None) -> None:
        """Wait for the network, or for a byte on `wake`, for at most `timeout_s`, and do what there is to do."""
        sock: Any = self.client.socket()
        if sock is None:
            return
        pending = isinstance(sock, ssl.SSLSocket) and sock.pending() > 0
        reading = [sock, wake] if wake else [sock]
        writing = [sock] if self.client.want_write() else []
        readable, writable, _ = select.select(reading, writing, [], 0 if pending else timeout_s)
        if sock in readable or pending:
            self.client.loop_read()
        if writable:
            self.client.loop_write()
        self.client.loop_misc()

    def close(self) -> None:
        """Say goodbye in MQTT's own way (so that the will is not published), and close."""
        if self.alive:
            self.client.disconnect()
            deadline = time.monotonic() + 1
            while self.alive and time.monotonic() < deadline:
                self.step(0.1)

    def _on_connect(
        self, client: paho.Client, userdata: object, flags: object, reason: ReasonCode, properties: Properties | None
    ) -> None:
        del client, userdata, flags
        self._connack = reason
        # A client that sends more unacknowledged messages than the broker allows is thrown out (MQTT 5.0, section 4.9).
        self.receive_maximum = getattr(properties, "ReceiveMaximum", self.receive_maximum)
        self.packet_maximum = getattr(properties, "MaximumPacketSize", self.packet_maximum)
        self.retain_available = bool(getattr(properties, "RetainAvailable", 1))

    def _on_disconnect(
        self, client: paho.Client, userdata: object, flags: Any, reason: ReasonCode, properties: object
    ) -> None:
        del client, userdata, properties
        if self.lost:
            return  # paho tells twice of a disconnect by the broker, the second time without the reason.
        if flags.is_disconnect_packet_from_server and reason.value == TAKEN_OVER:
            self.lost = (
                f"another client with the same id took over the connection to the broker at {address(self.mqtt)}: "
                "each device needs a device.id of its own"
            )
        else:
            self.lost = f"the connection to the broker at {address(self.mqtt)} was lost ({reason}); reconnecting"

    def _on_publish(
        self, client: paho.Client, userdata: object, mid: int, reason: ReasonCode, properties: object
    ) -> None:
        del client, userdata, properties
        self.answers.append((mid, reason.value))


def _send_at_once(client: paho.Client, userdata: object, sock: Any) -> None:
    """Small packets that wait for the answer to the one before cost 40 ms each (Nagle's algorithm, delayed ACK)."""
    del client, userdata
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def address(mqtt: Mqtt) -> str:
    """Where the broker is, for people."""
    return f"{mqtt.host}:{mqtt.port}"


def explain(error: OSError | ValueError, mqtt: Mqtt) -> str:
    """Why a broker cannot be reached, and what would be right."""
    where = address(mqtt)
    if not isinstance(error, OSError):
        return f"{mqtt.host!r} cannot be a broker's name: mqtt.host must be a name or an address"
    if isinstance(error, ssl.SSLCertVerificationError):
        return (
            f"the certificate of the broker at {where} is not trusted ({error.verify_message}): mqtt.tls.ca must name "
            "the authority that signed it, and mqtt.host the name that it was issued for"
        )
    if isinstance(error, ssl.SSLError) or (mqtt.tls.enabled and isinstance(error, ConnectionResetError)):
        return (
            f"no TLS with the broker at {where} ({error.strerror or error}): "
            "mqtt.port must be its TLS port, or mqtt.tls.enabled false"
        )
    if isinstance(error, socket.gaierror):
        return (
            f"the broker's name {mqtt.host!r} is not known ({error.strerror}): mqtt.host must be a name or an address"
        )
    if isinstance(error, TimeoutError):
        return f"the broker at {where} does not answer: is mqtt.host right, and does a firewall stand between?"
    return (
        f"no broker at {where} ({error.strerror or error}): start one there, "
        "or set mqtt.host and mqtt.port to where there is one"
    )


def explain_refusal(reason: ReasonCode, mqtt: Mqtt) -> str:
    """Why a broker said no, and what would be right."""
    where = address(mqtt)
    if reason.value in (BAD_PASSWORD, NOT_AUTHORIZED):
        who = f"user {mqtt.username!r}" if mqtt.username is not None else "clients without a user name"
        return f"the broker at {where} refuses {who} ({reason}): check mqtt.username and mqtt.password"
    if reason.value == UNSUPPORTED_VERSION:
        return f"the broker at {where} does not speak MQTT {mqtt.protocol}: set mqtt.protocol to auto"
    return f"the broker at {where} refuses the connection ({reason})"


def _no_answer(mqtt: Mqtt, hung_up: bool) -> str:
    if hung_up:
        return (
            f"the broker at {address(mqtt)} hung up without an answer: is that an MQTT port, "
            "and does it expect TLS (mqtt.tls) or a client certificate?"
        )
    return f"what listens at {address(mqtt)} does not answer in MQTT: mqtt.port must be the broker's"
