"""The head of a door's access log, as a broker keeps it: retained, where root on the door has no say."""

from __future__ import annotations

import logging
import secrets
import time
from pathlib import Path
from typing import Any, Protocol

import paho.mqtt.client as paho
from paho.mqtt.enums import MQTTProtocolVersion

from device.config import Mqtt
from device.errors import InputError
from device.publish.connection import FAILURE, Connection, ConnectionFailed, address, tls_context
from device.publish.messages import Topics

log = logging.getLogger(__name__)

WAIT_S = 5.0
"""A broker answers a subscription within this."""
AFTER_S = 1.0
"""A retained message comes at once after the answer."""


class Witness(Protocol):
    """What a door says of records of its log that others remember. Any thread may ask."""

    @property
    def log(self) -> str:
        """The log's name."""

    def lacks(self, told: int, newest: int) -> None:
        """The log ends with the record `newest`, but a later one was told of."""

    def meets(self, anchor: str) -> bool:
        """Whether what the broker retains as the anchor may be replaced by a newer one."""


def retained(connection: Connection, topic: str) -> str | None:
    """What the broker retains at a topic; None where that is nothing, or it does not let us read there.

    Args:
        connection: open; other messages that come meanwhile are acknowledged, and no more.
        topic: without wildcards.
    """
    found: list[bytes] = []
    answered: list[float] = []

    def on_message(_client: paho.Client, _userdata: object, message: paho.MQTTMessage) -> None:
        if message.retain and message.topic == topic:
            found.append(bytes(message.payload))

    def on_subscribe(_client: paho.Client, _userdata: object, _mid: int, codes: list[Any], _properties: object) -> None:
        if any(code.value >= FAILURE for code in codes):
            log.warning(
                "the broker at %s does not let this user read %s, the access log's anchor",
                address(connection.mqtt),
                topic,
            )
        answered.append(time.monotonic())

    client = connection.client
    client.on_message, client.on_subscribe = on_message, on_subscribe
    client.subscribe(topic, 1)
    deadline = time.monotonic() + WAIT_S
    while not found and connection.alive and time.monotonic() < min([deadline, *(at + AFTER_S for at in answered)]):
        connection.step(0.1)
    if connection.alive:
        client.unsubscribe(topic)
    client.on_message = client.on_subscribe = None
    return found[0].decode(errors="replace") if found else None


def fetch_anchor(mqtt: Mqtt, device_id: str, base: Path | None = None) -> str:
    """What the broker retains at the door's topic: JSON, see `device.access.auditrecord.Head`.

    Args:
        mqtt: the broker and the prefix of the topics.
        device_id: the door's.
        base: folder that the relative paths of `mqtt.tls` are relative to.
    Raises:
        InputError: the broker cannot be reached, or has no anchor of this door.
    """
    topic = Topics.of(mqtt.topic_prefix, device_id).anchor
    version = MQTTProtocolVersion.MQTTv5 if mqtt.protocol == "5" else MQTTProtocolVersion.MQTTv311
    connection = Connection(mqtt, f"sereno-audit-{secrets.token_hex(4)}", version, tls_context(mqtt.tls, base), None)
    try:
        connection.open()
    except ConnectionFailed as failure:
        raise InputError(str(failure)) from failure
    try:
        found = retained(connection, topic)
    finally:
        connection.close()
    if not found:
        raise InputError(f"the broker at {address(mqtt)} has no anchor at {topic}")
    return found
