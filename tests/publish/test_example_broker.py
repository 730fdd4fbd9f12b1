"""The hardened Mosquitto that config/ shows works as it says, and the examples in docs/mqtt.md are what is sent."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

from device.config import Mqtt
from device.publish.anchor import retained
from device.publish.connection import Connection as Client
from device.publish.connection import MQTTProtocolVersion, tls_context
from device.publish.messages import Message
from device.publish.publisher import Publisher
from tests.golden import mqtt as golden
from tests.mosquitto import Mosquitto, eventually
from tests.publish import certificates
from tests.publish.samples import event

MakePublisher = Callable[..., Publisher]


def example(root: Path, folder: Path) -> Mosquitto:
    """The example broker with its paths under `folder`, and the users porch, garden and home."""
    folder.mkdir()
    certificates.authority(folder, "ca")
    certificates.signed(folder, "broker", "ca", "127.0.0.1")
    shutil.copy(root / "config" / "mosquitto.acl", folder)
    (folder / "passwords").touch()
    for user in ("porch", "garden", "home"):
        subprocess.run(["mosquitto_passwd", "-b", folder / "passwords", user, f"{user}'s"], check=True)
    text = (root / "config" / "mosquitto.conf").read_text()
    for path in ("/etc/mosquitto/certs", "/etc/mosquitto/conf.d", "/etc/mosquitto", "/var/lib/mosquitto"):
        text = text.replace(path, str(folder))
    # The fixture opens its own port, keeps its own queue and sessions: take only what remains.
    kept = [line for line in text.splitlines() if not re.match(r"#|listener |persistence|max_queued_messages", line)]
    listening = [line for line in kept if re.match(r"cafile|certfile|keyfile|tls_version", line)]
    rest = [line for line in kept if line not in listening]
    return Mosquitto(folder, "\n".join(rest), "\n".join(["listener {port} 127.0.0.1", *listening]))


def test_ok__example_lets_a_device_publish_and_confines_it(
    root: Path, tmp_path: Path, publisher: MakePublisher
) -> None:
    broker = example(root, tmp_path / "example").start()
    tls = {"enabled": True, "ca": tmp_path / "example" / "ca.pem"}
    box = publisher(port=broker.port, username="porch", password="porch's", tls=tls)
    box.accept(event("new", picture=True))
    assert eventually(lambda: box.health()["mqtt"]["state"] == "connected" and box.health()["mqtt"]["queued"] == 0)

    def client(user: str) -> Client:
        mqtt = Mqtt.model_validate(
            {"port": broker.port, "username": user, "password": f"{user}'s", "tls": {**tls}, "protocol": "5"}
        )
        one = Client(mqtt, f"a-{user}", MQTTProtocolVersion.MQTTv5, tls_context(mqtt.tls), None)
        one.open()
        return one

    heard: list[tuple[str, bytes]] = []
    home = client("home")
    home.client.on_message = lambda _c, _u, m: heard.append((m.topic, m.payload))
    home.client.subscribe("sereno/#", 1)
    assert eventually(lambda: (home.step(0.1), len(heard) >= 3)[1]), "retained states are read by who may"
    topics = [topic for topic, _ in heard]
    assert "sereno/porch/availability" in topics
    assert "sereno/porch/front/person/snapshot" in topics
    garden = client("garden")
    garden.publish(Message("sereno/porch/events", b"forged", qos=1))
    assert eventually(lambda: (garden.step(0.1), garden.answers)[1])
    assert garden.answers[0][1] == 0x87, "a device must not speak for another"
    home.publish(Message("sereno/porch/events", b"forged", qos=1))
    assert eventually(lambda: (home.step(0.1), home.answers)[1])
    assert home.answers[0][1] == 0x87, "who reads must not write"
    porch, anchor = client("porch"), "sereno/porch/door/audit"
    porch.publish(Message(anchor, b"seven", qos=1, retain=True))
    assert eventually(lambda: (porch.step(0.1), porch.answers)[1])
    assert retained(porch, anchor) == "seven", "a door compares with its own anchor"
    assert retained(garden, anchor) is None, "and no other device reads it"
    porch.close()
    garden.close()
    home.close()
    box.stop(drain_s=5)
    broker.stop()


def test_ok__the_payload_in_the_documentation_is_what_is_sent(root: Path) -> None:
    text = (root / "docs" / "mqtt.md").read_text()
    shown = [json.loads(block) for block in re.findall(r"```json\n(.*?)```", text, re.DOTALL)]
    sent = [json.loads(m.payload) for m in golden.sample("sereno") if m.topic == "sereno/porch/events"]
    assert sent[1] in shown
