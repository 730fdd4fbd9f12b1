"""`sereno watch` prints what a real broker delivers."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import paho.mqtt.publish as paho_publish
import pytest

from device.config import Mqtt
from device.errors import InputError
from device.publish.messages import Topics, access_message
from device.publish.publisher import Publisher
from device.publish.watch import Printer, printable, watch
from tests.mosquitto import Mosquitto, eventually, free_port
from tests.publish.samples import DECISION, event, life

MakePublisher = Callable[..., Publisher]


class Watcher:
    """`watch` in a thread; `text` is what it has printed."""

    def __init__(
        self, port: int, device_id: str | None = None, count: int | None = None, as_json: bool = False
    ) -> None:
        self._out = io.StringIO()
        self.stop = threading.Event()
        arguments = (Mqtt(port=port), device_id, as_json, self._out, False, self.stop, count)
        self.thread = threading.Thread(target=watch, args=arguments, daemon=True)
        self.thread.start()

    @property
    def text(self) -> str:
        return self._out.getvalue()


def test_ok__readable_lines_of_a_life(broker: Mosquitto, publisher: MakePublisher) -> None:
    box = publisher(port=broker.port)
    watcher = Watcher(broker.port)
    assert eventually(lambda: "porch is online" in watcher.text)
    for one in (event("new"), event("update", stationary=True), event("end")):
        box.accept(one)
    assert eventually(lambda: watcher.text.count("\n") == 4)
    box.stop(drain_s=5)
    assert eventually(lambda: "porch is offline" in watcher.text)
    watcher.stop.set()
    watcher.thread.join(5)
    assert not watcher.thread.is_alive()
    new, update, end = [line.split("  ", 1)[1] for line in watcher.text.splitlines()[1:4]]
    assert new == "porch/front       new     person         96%  in yard, walk"
    assert update == "porch/front       update  person         96%  in yard, walk  at rest"
    assert end == "porch/front       end     person         96%  in yard, walk  after 7.4 s"
    assert "\033" not in watcher.text


def test_ok__json_is_one_event_a_line_and_count_ends_it(broker: Mosquitto, publisher: MakePublisher) -> None:
    box = publisher(port=broker.port)
    watcher = Watcher(broker.port, as_json=True, count=2, device_id="porch")
    assert eventually(lambda: "sereno-watch" in broker.log())
    for one in life(1, updates=3):
        time.sleep(0.05)
        box.accept(one)
    watcher.thread.join(10)
    assert not watcher.thread.is_alive()
    assert [json.loads(line)["type"] for line in watcher.text.splitlines()][:2] == ["new", "update"]


def test_ok__another_device_is_not_shown_where_one_is_asked_for(broker: Mosquitto, publisher: MakePublisher) -> None:
    publisher(port=broker.port)
    watcher = Watcher(broker.port, device_id="garden")
    every = Watcher(broker.port)
    assert eventually(lambda: "porch" in every.text)
    assert watcher.text == ""
    watcher.stop.set()
    every.stop.set()


def test_ok__it_comes_back_after_the_broker_was_away(
    broker: Mosquitto, publisher: MakePublisher, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("device.publish.watch.RECONNECT_S", 0.1)
    watcher = Watcher(broker.port)
    box = publisher(port=broker.port)
    assert eventually(lambda: "online" in watcher.text)
    broker.stop()
    assert eventually(lambda: "was lost" in caplog.text)
    broker.start()
    assert eventually(lambda: "again" in caplog.text)
    box.accept(event("new"))
    assert eventually(lambda: " new " in watcher.text)
    watcher.stop.set()


def test_fail__no_broker() -> None:
    port = free_port()
    with pytest.raises(InputError, match=rf"no broker at 127.0.0.1:{port} \(Connection refused\)"):
        watch(Mqtt(port=port), None, False, io.StringIO(), False, threading.Event())


def test_fail__what_cannot_be_a_name() -> None:
    with pytest.raises(InputError, match=r"'broker..local' cannot be a broker's name"):
        watch(Mqtt(host="broker..local"), None, False, io.StringIO(), False, threading.Event())


def test_fail__tls_file_is_looked_for_beside_the_configuration(tmp_path: Path) -> None:
    mqtt = Mqtt.model_validate({"tls": {"enabled": True, "ca": "ca.pem"}})
    with pytest.raises(InputError, match=rf"mqtt.tls.ca: there is no file {tmp_path}/ca.pem"):
        watch(mqtt, None, False, io.StringIO(), False, threading.Event(), base=tmp_path)


def test_fail__messages_of_others_are_passed_over(broker: Mosquitto, caplog: pytest.LogCaptureFixture) -> None:
    watcher = Watcher(broker.port, count=1)
    assert eventually(lambda: "sereno-watch" in broker.log())
    time.sleep(0.2)
    nested = "[" * 200_000
    for payload in (
        "no json",
        nested,
        "[]",
        '{"type": "new"}',
        '{"type": "new", "after": {"camera": 1, "end_time": "x"}}',
    ):
        paho_publish.single("sereno/porch/events", payload, qos=1, hostname="127.0.0.1", port=broker.port)
    assert eventually(lambda: caplog.text.count("passed over") == 5)
    assert watcher.text == ""
    watcher.stop.set()


def test_ok__what_comes_from_the_network_cannot_drive_the_terminal() -> None:
    assert printable("\033]0;title\007 person\n\x9b2J") == "?]0;title? person??2J"
    out = io.StringIO()
    Printer(out, as_json=False, color=True).show("sereno/po\033rch/availability", b"online")
    assert "po?rch is \033[32monline\033[0m" in out.getvalue()


CODE = """
import sys, threading
from device.config import Mqtt
from device.publish.watch import watch
watch(Mqtt(port=int(sys.argv[1])), None, False, sys.stdout, False, threading.Event())
"""


def test_ok__ctrl_c_ends_it_without_a_word(broker: Mosquitto, publisher: MakePublisher, root: Path) -> None:
    publisher(port=broker.port)
    with subprocess.Popen(
        [sys.executable, "-c", CODE, str(broker.port)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=root
    ) as child:
        assert child.stdout
        assert child.stderr
        assert b"online" in child.stdout.readline()
        os.kill(child.pid, signal.SIGINT)
        assert child.wait(10) == 0
        assert child.stderr.read() == b""


def test_ok__a_reader_that_has_gone_ends_it_without_a_word(
    broker: Mosquitto, publisher: MakePublisher, root: Path
) -> None:
    """As `sereno watch | head -1` does."""
    box = publisher(port=broker.port)
    with subprocess.Popen(
        [sys.executable, "-c", CODE, str(broker.port)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=root
    ) as child:
        assert child.stdout
        assert child.stderr
        child.stdout.readline()
        child.stdout.close()
        box.accept(event("new"))
        assert child.wait(10) == 0
        assert child.stderr.read() == b""


def test_ok__decisions_of_a_door() -> None:
    out = io.StringIO()
    printer = Printer(out, as_json=False, color=False)
    topics = Topics.of("sereno", "hall")
    for decision in (DECISION, replace(DECISION, granted=False, reason="unknown", person="", lock_ms=None)):
        printer.show(topics.access, access_message(topics, 7, decision, named=False).payload)
    printer.show(topics.access, access_message(topics, 7, DECISION, named=True).payload)
    lines = [line.split("  ", 1)[1] for line in out.getvalue().splitlines()]
    assert lines == [
        "hall/front        granted  dd9c7df3ddf798cb: recognised  similarity 0.89  unlocked after 42 ms",
        "hall/front        denied   somebody: unknown  similarity 0.89",
        "hall/front        granted  Ana: recognised  similarity 0.89  unlocked after 42 ms",
    ]
