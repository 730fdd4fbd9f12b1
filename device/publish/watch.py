"""`sereno watch`: events printed as they arrive."""

from __future__ import annotations

import json
import logging
import os
import secrets
import ssl
import sys
import threading
from datetime import datetime
from pathlib import Path
from typing import Any, TextIO

import paho.mqtt.client as paho
from paho.mqtt.enums import MQTTProtocolVersion

from device.config import Mqtt
from device.errors import InputError
from device.jsontext import parsed
from device.publish.connection import Connection, ConnectionFailed, address, tls_context
from device.publish.messages import Topics

log = logging.getLogger(__name__)

RECONNECT_S = 2.0
GREEN, YELLOW, RED, FAINT = "\033[32m", "\033[33m", "\033[31m", "\033[2m"
COLORS = {
    "new": GREEN,
    "update": YELLOW,
    "end": FAINT,
    "online": GREEN,
    "offline": RED,
    "granted": GREEN,
    "denied": RED,
}
RESET = "\033[0m"


class Printer:
    """Writes one line a message, at once."""

    def __init__(self, out: TextIO, as_json: bool, color: bool) -> None:
        self._out, self._as_json, self._color = out, as_json, color
        self.events = 0

    def show(self, topic: str, payload: bytes) -> None:
        """Print a message of a device."""
        if topic.endswith("/availability"):
            self._availability(topic, payload)
            return
        try:
            message = parsed(payload)
            readable = self._decision if topic.endswith("/door/access") else self._readable
            line = json.dumps(message, ensure_ascii=False) if self._as_json else readable(topic, message)
        except (ValueError, KeyError, TypeError, AttributeError, OverflowError):
            log.warning("%s: a message that is not an event of Sereno was passed over", printable(topic))
            return
        self.events += 1
        print(line, file=self._out, flush=True)

    def _availability(self, topic: str, payload: bytes) -> None:
        """Whether a device is there: on the screen between the events, with --json on stderr."""
        device, word = printable(topic.split("/")[-2]), printable(payload.decode(errors="replace"))
        if self._as_json:
            log.info("%s is %s", device, word)
        else:
            print(
                f"{_clock(datetime.now().timestamp())}  {device} is {self._paint(word, word)}",
                file=self._out,
                flush=True,
            )

    def _decision(self, topic: str, message: dict[str, Any]) -> str:
        """Who came to the door of which device."""
        device, word = topic.split("/")[-3], printable(message["decision"])
        who = message.get("name") or message["person"] or "somebody"
        parts = [
            _clock(message["time"]),
            f"{printable(device) + '/' + printable(message['camera']):16}",
            self._paint(f"{word:7}", word),
            f"{printable(who)}: {printable(message['reason'])}",
        ]
        if message["similarity"] is not None:
            parts.append(f"similarity {message['similarity']:.2f}")
        if message["lock_ms"] is not None:
            parts.append(f"unlocked after {message['lock_ms']:.0f} ms")
        return "  ".join(parts)

    def _readable(self, _topic: str, message: dict[str, Any]) -> str:
        after, kind = message["after"], printable(message["type"])
        moment = after["end_time"] if after["end_time"] is not None else after["frame_time"]
        place = "/".join(printable(part) for part in (message.get("device"), after["camera"]) if part)
        parts = [
            _clock(moment),
            f"{place:16}",
            self._paint(f"{kind:6}", kind),
            f"{printable(after['label']):12}",
            f"{after['top_score']:4.0%}",
        ]
        if after["entered_zones"]:
            parts.append("in " + ", ".join(printable(zone) for zone in after["entered_zones"]))
        if kind == "end":
            parts.append(f"after {after['end_time'] - after['start_time']:.1f} s")
        elif after["stationary"]:
            parts.append("at rest")
        return "  ".join(parts)

    def _paint(self, text: str, word: str) -> str:
        return f"{COLORS[word]}{text}{RESET}" if self._color and word in COLORS else text


def printable(text: object) -> str:
    """Text from the network, harmless to a terminal: no control characters."""
    return "".join(character if character.isprintable() else "?" for character in str(text))


def _clock(seconds: float) -> str:
    return datetime.fromtimestamp(seconds).strftime("%H:%M:%S")


def watch(
    mqtt: Mqtt,
    device_id: str | None,
    as_json: bool,
    out: TextIO,
    color: bool,
    stop: threading.Event,
    count: int | None = None,
    base: Path | None = None,
) -> None:
    """Print events until `stop` is set, Ctrl-C, a reader that has gone, or `count` events.

    Args:
        mqtt: the broker and the prefix of the topics.
        device_id: one device; None for all that publish there.
        as_json: each event's payload on a line of its own, else a line for people.
        out: where to.
        color: with colours.
        stop: ends it within a second.
        count: ends it after so many events.
        base: folder that the relative paths of `mqtt.tls` are relative to, see `tls_context`.
    Raises:
        InputError: the broker cannot be reached at the start, or refuses. Later it is waited for.
    """
    printer = Printer(out, as_json, color)
    tls = tls_context(mqtt.tls, base)
    try:
        connection = _connect(mqtt, device_id, printer, tls)
        log.info("connected to %s", address(mqtt))
        while not stop.is_set() and (count is None or printer.events < count):
            if connection.alive:
                connection.step(0.5)
            elif not stop.wait(RECONNECT_S):
                connection = _reconnect(connection, mqtt, device_id, printer, tls)
        connection.close()
    except ConnectionFailed as failure:
        raise InputError(str(failure)) from failure
    except KeyboardInterrupt:
        pass
    except BrokenPipeError:
        # As `| head` does. Python would complain once more when it flushes stdout at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _connect(mqtt: Mqtt, device_id: str | None, printer: Printer, tls: ssl.SSLContext | None) -> Connection:
    # Every broker speaks 3.1.1, and a reader gains nothing from 5.
    version = MQTTProtocolVersion.MQTTv5 if mqtt.protocol == "5" else MQTTProtocolVersion.MQTTv311
    client_id = f"sereno-watch-{secrets.token_hex(4)}"
    connection = Connection(mqtt, client_id, version, tls, will=None)

    def on_message(client: paho.Client, userdata: object, message: paho.MQTTMessage) -> None:
        del client, userdata
        printer.show(message.topic, bytes(message.payload))

    connection.client.on_message = on_message
    connection.open()
    topics = Topics.of(mqtt.topic_prefix, device_id or "+")
    connection.client.subscribe([(topics.availability, 1), (topics.events, 1), (topics.access, 1)])
    return connection


def _reconnect(
    lost: Connection, mqtt: Mqtt, device_id: str | None, printer: Printer, tls: ssl.SSLContext | None
) -> Connection:
    """A new connection, or the lost one again where the broker is still away: said once."""
    if lost.lost:
        log.warning("%s", lost.lost)
        lost.lost = ""
    try:
        connection = _connect(mqtt, device_id, printer, tls)
    except ConnectionFailed:
        return lost
    log.warning("connected to %s again", address(mqtt))
    return connection
