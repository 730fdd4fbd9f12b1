"""The head of a door's access log, as a broker keeps it: retained, where root on the door has no say."""

from __future__ import annotations

import secrets
import time
from pathlib import Path

import paho.mqtt.client as paho
from paho.mqtt.enums import MQTTProtocolVersion

from device.config import Mqtt
from device.errors import InputError
from device.publish.connection import Connection, ConnectionFailed, address, tls_context
from device.publish.messages import Topics

WAIT_S = 5.0
"""A retained message comes at once after the subscription."""


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
    found: list[bytes] = []

    def on_message(_client: paho.Client, _userdata: object, message: paho.MQTTMessage) -> None:
        found.append(bytes(message.payload))

    connection.client.on_message = on_message
    try:
        connection.open()
    except ConnectionFailed as failure:
        raise InputError(str(failure)) from failure
    try:
        connection.client.subscribe(topic, 1)
        deadline = time.monotonic() + WAIT_S
        while not found and connection.alive and time.monotonic() < deadline:
            connection.step(0.2)
    finally:
        connection.close()
    if not found:
        raise InputError(f"the broker at {address(mqtt)} has no anchor at {topic}")
    return found[0].decode(errors="replace")
