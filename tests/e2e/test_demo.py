"""`make run` as its user has it: the demo's own configuration, the real program, an embedded broker, a real browser."""

from __future__ import annotations

import re
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import paho.mqtt.client as paho
import pytest
import yaml
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from tests.chromium import Chromium
from tests.daemon import ROOT, Daemon, sereno
from tests.mosquitto import eventually, free_port

PASSWORD = "the lamp is lit"


@dataclass(frozen=True)
class Demo:
    """The demo at work."""

    daemon: Daemon
    config: Path
    url: str
    mqtt_port: int


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    """`sereno run --config config/demo.yaml`, but for ports and storage of its own, and one user."""
    folder = tmp_path_factory.mktemp("demo")
    settings = yaml.safe_load((ROOT / "config" / "demo.yaml").read_text(encoding="utf-8"))
    settings["web"]["port"] = free_port()
    settings["mqtt"]["port"] = free_port()
    settings["storage"]["path"] = str(folder / "state")
    config = folder / "demo.yaml"
    config.write_text(yaml.safe_dump(settings), encoding="utf-8")
    added = sereno("users", "add", "ana", "--config", config, "--password-stdin", stdin=PASSWORD)
    assert added.returncode == 0, added.stderr
    with Daemon(config) as daemon:
        daemon.wait_for("page on ")
        port = re.search(r"broker listens on 127\.0\.0\.1:(\d+)", daemon.said)
        assert port, daemon.said
        yield Demo(daemon, config, f"http://127.0.0.1:{settings['web']['port']}", int(port.group(1)))
        assert daemon.end(signal.SIGINT, 30) == 0, daemon.said
    assert "Traceback" not in daemon.said


def test_ok__an_event_reaches_a_subscriber(demo: Demo) -> None:
    heard: list[tuple[str, bytes]] = []
    client = paho.Client(CallbackAPIVersion.VERSION2, protocol=MQTTProtocolVersion.MQTTv311)
    client.on_message = lambda _client, _userdata, message: heard.append((message.topic, message.payload))
    client.connect("127.0.0.1", demo.mqtt_port)
    client.subscribe("sereno/demo/#", 1)
    client.loop_start()
    assert eventually(lambda: any(t == "sereno/demo/events" and b'"type":"new"' in p for t, p in heard), 30), heard
    client.disconnect()
    client.loop_stop()
    assert ("sereno/demo/availability", b"online") in heard


def test_ok__watch_prints_events(demo: Demo) -> None:
    done = sereno("watch", "--port", demo.mqtt_port, "--count", "2", timeout_s=60)
    assert done.returncode == 0, done.stderr
    assert "street" in done.stdout


def test_ok__page_shows_boxes_and_events(demo: Demo, tmp_path: Path) -> None:
    with Chromium(tmp_path / "profile") as browser:
        page = browser.page()
        page.log_in(demo.url, "ana", PASSWORD)
        page.wait_for("document.querySelectorAll('#events .card, .events li, [data-start]').length > 0", 30)
        page.wait_for("[...document.images].some(i => i.src.includes('/live/') && i.naturalWidth > 100)", 30)
        page.screenshot(tmp_path / "page.png")
        assert page.complaints() == []
        assert all(address.startswith((demo.url, "data:")) for address in page.requests())


def test_ok__a_program_asks_with_a_token(demo: Demo) -> None:
    import json
    from urllib.error import HTTPError
    from urllib.request import Request, urlopen

    with urlopen(f"{demo.url}/healthz", timeout=5) as answer:
        assert answer.read() == b"ok"
    with pytest.raises(HTTPError, match="401"):
        urlopen(f"{demo.url}/api/status", timeout=5)
    key = sereno("token", "add", "homeassistant", "--config", demo.config).stdout.strip()
    with urlopen(Request(f"{demo.url}/api/status", headers={"Authorization": f"Bearer {key}"}), timeout=5) as answer:
        status = json.load(answer)
    assert status["cameras"][0]["state"] == "ok"
    assert status["mqtt"]["state"] == "connected"
    assert status["fps"] > 0
