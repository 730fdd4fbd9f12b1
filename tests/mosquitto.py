"""A real Mosquitto for tests: on a free port, in a folder of its own, stopped, killed and started again at will."""

from __future__ import annotations

import json
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties


def free_port() -> int:
    """A TCP port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def eventually(condition: Callable[[], Any], timeout_s: float = 10.0) -> bool:
    """Wait for another process or thread: whether `condition` became true in time."""
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.01)
    return bool(condition())


class Mosquitto:
    """A broker with persistence. `extra` is added to its configuration, `listener` replaces what opens the port.

    They may name `{folder}` and `{port}`.
    """

    def __init__(self, folder: Path, extra: str = "allow_anonymous true", listener: str = "") -> None:
        found = shutil.which("mosquitto") or shutil.which("/usr/sbin/mosquitto")
        assert found, (
            "mosquitto is not installed: `apt install mosquitto mosquitto-clients`, or `make test`, which does"
        )
        self._program = found
        self.folder = folder
        self.port = free_port()
        self._log = folder / "mosquitto.log"
        self._config = folder / "mosquitto.conf"
        folder.mkdir(parents=True, exist_ok=True)
        self._config.write_text(
            f"{listener or 'listener {port} 127.0.0.1'}\n".format(port=self.port, folder=folder)
            + f"persistence true\npersistence_location {folder}/\nlog_dest file {self._log}\n"
            # A test's subscriber may be away for long, and a killed broker must not owe it anything.
            + f"max_queued_messages 0\nmax_inflight_messages 0\nuser root\n{extra.format(folder=folder)}\n"
        )
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> Mosquitto:
        """Start it and wait until it answers."""
        self._process = subprocess.Popen([self._program, "-c", str(self._config)], stderr=subprocess.PIPE)
        assert eventually(self._listening), f"mosquitto did not start: {self.log()}"
        return self

    def _listening(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def stop(self) -> None:
        """End it in order: it saves its sessions and retained messages."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """End it without warning."""
        self._end(signal.SIGKILL)

    def reload(self) -> None:
        """Have it read its access rules and passwords anew, its clients staying connected."""
        assert self._process
        self._process.send_signal(signal.SIGHUP)

    def save(self) -> None:
        """Have it write its sessions to disk now."""
        assert self._process
        self._process.send_signal(signal.SIGUSR1)
        assert eventually(lambda: (self.folder / "mosquitto.db").exists())

    def _end(self, how: signal.Signals) -> None:
        if self._process:
            self._process.send_signal(how)
            self._process.wait(10)
            if self._process.stderr:
                self._process.stderr.close()
            self._process = None

    def log(self) -> str:
        """What it has logged."""
        return self._log.read_text() if self._log.exists() else ""


class Subscriber:
    """A real client with a persistent session that writes down what it hears, in the order of arrival."""

    def __init__(self, port: int, *filters: str, client_id: str = "subscriber", **login: str) -> None:
        self.heard: list[tuple[str, bytes, bool]] = []
        self.connections = 0
        self._filters = filters
        self._ready = threading.Event()
        self.client = paho.Client(CallbackAPIVersion.VERSION2, client_id, protocol=MQTTProtocolVersion.MQTTv5)
        self.client.reconnect_delay_set(0.05, 0.2)
        if login:
            self.client.username_pw_set(login["username"], login["password"])
        self.client.on_connect = self._on_connect
        self.client.on_subscribe = lambda *_: self._ready.set()
        self.client.on_message = lambda _c, _u, m: self.heard.append((m.topic, bytes(m.payload), m.retain))
        session = Properties(PacketTypes.CONNECT)
        session.SessionExpiryInterval = 3600
        self.client.connect("127.0.0.1", port, clean_start=False, properties=session)
        self.client.loop_start()
        assert self._ready.wait(10), "the broker did not confirm the subscription"

    def _on_connect(self, client: paho.Client, _userdata: Any, _flags: Any, _reason: Any, _properties: Any) -> None:
        self.connections += 1
        client.subscribe([(pattern, 1) for pattern in self._filters])

    def on(self, topic: str) -> list[bytes]:
        """The payloads heard on one topic."""
        return [payload for heard, payload, _ in list(self.heard) if heard == topic]

    def events(self) -> list[dict[str, Any]]:
        """The object events heard, parsed."""
        return [json.loads(payload) for topic, payload, _ in list(self.heard) if topic.endswith("/events")]

    def seqs(self) -> list[int]:
        """Numbers in the order of their first arrival: what a subscriber sees that ignores repeats."""
        return list(dict.fromkeys(event["seq"] for event in self.events()))

    def close(self) -> None:
        """Disconnect."""
        self.client.disconnect()
        self.client.loop_stop()
