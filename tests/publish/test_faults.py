"""Brokers that are not there, refuse, or are not what they should be: one sentence, and the device goes on."""

from __future__ import annotations

import logging
import shutil
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from device.errors import InputError
from device.publish.broker import EmbeddedBroker
from device.publish.publisher import Publisher
from tests.mosquitto import Mosquitto, Subscriber, eventually, free_port
from tests.publish import certificates
from tests.publish.samples import event

MakePublisher = Callable[..., Publisher]
RunBroker = Callable[..., Mosquitto]


@pytest.fixture
def run_broker(tmp_path: Path) -> Iterator[RunBroker]:
    """Mosquittos with configurations of their own."""
    running: list[Mosquitto] = []

    def make(extra: str, listener: str = "", files: dict[str, str] | None = None) -> Mosquitto:
        mosquitto = Mosquitto(tmp_path / f"broker{len(running)}", extra, listener)
        for name, text in (files or {}).items():
            (mosquitto.folder / name).write_text(text)
        running.append(mosquitto.start())
        return mosquitto

    yield make
    for mosquitto in running:
        mosquitto.stop()


def says(box: Publisher, words: str) -> bool:
    """Whether health comes to say `words`."""
    return eventually(lambda: words in box.health()["mqtt"]["message"])


def test_fail__no_broker_is_said_once_and_costs_nothing(
    publisher: MakePublisher, caplog: pytest.LogCaptureFixture
) -> None:
    port = free_port()
    box = publisher(port=port)
    box.accept(event("new"))
    assert says(box, f"no broker at 127.0.0.1:{port} (Connection refused): start one there, or set mqtt.host")
    assert box.health()["mqtt"]["state"] == "connecting"
    # Backoff in tests is at most 0.2 s: by now it has tried several times.
    assert not eventually(lambda: caplog.text.count("no broker at") > 1, 1.0)
    assert caplog.text.count("no broker at") == 1
    assert box.store.recent(1)[0]["type"] == "new"


def test_fail__unknown_host(publisher: MakePublisher) -> None:
    assert says(publisher(host="broker.invalid"), "the broker's name 'broker.invalid' is not known")


@pytest.mark.parametrize("host", ["broker..local", "", ".local", "x" * 64])
def test_fail__what_cannot_be_a_name(publisher: MakePublisher, host: str) -> None:
    assert says(publisher(host=host), f"{host!r} cannot be a broker's name: mqtt.host must be a name or an address")


def test_fail__wrong_password_then_right_after_it_was_mended(run_broker: RunBroker, publisher: MakePublisher) -> None:
    broker = run_broker("allow_anonymous false\npassword_file {folder}/passwords", files={"passwords": ""})
    box = publisher(port=broker.port, username="porch", password="secret-word")
    box.accept(event("new"))
    assert says(box, "refuses user 'porch'")
    assert says(box, "check mqtt.username and mqtt.password")
    assert "secret-word" not in str(box.health())
    broker.stop()
    passwords = broker.folder / "passwords"
    subprocess.run(["mosquitto_passwd", "-b", passwords, "porch", "secret-word"], check=True)
    broker.start()
    assert eventually(lambda: box.health()["mqtt"]["queued"] == 0)


def test_fail__anonymous_where_the_broker_wants_a_user(run_broker: RunBroker, publisher: MakePublisher) -> None:
    box = publisher(port=run_broker("allow_anonymous false").port)
    assert says(box, "refuses clients without a user name")


def test_ok__access_rules_that_forbid_events_block_them_until_mended(
    run_broker: RunBroker, publisher: MakePublisher
) -> None:
    rules = {"acl": "topic readwrite sereno/porch/availability\ntopic readwrite sereno/porch/status\ntopic read #\n"}
    broker = run_broker("allow_anonymous true\nacl_file {folder}/acl", files=rules)
    heard = Subscriber(broker.port, "sereno/#")
    box = publisher(port=broker.port)
    for kind in ("new", "update", "end"):
        box.accept(event(kind))
    assert says(box, "refuses to take sereno/porch/events (reason 0x87): its access rules must let this device publish")
    assert box.health()["mqtt"]["queued"] == 3
    (broker.folder / "acl").write_text("topic readwrite #\n")
    # Not restarted: where rules are in force, Mosquitto 2.0 keeps nothing for a subscriber that has yet to come back.
    broker.reload()
    assert eventually(lambda: heard.seqs() == [1, 2, 3])
    heard.close()


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Certificates: `ca`, the `broker` and `client` it signed, `elsewhere` for another address, and a `stranger`."""
    folder = tmp_path_factory.mktemp("keys")
    certificates.authority(folder, "ca")
    certificates.authority(folder, "stranger")
    certificates.signed(folder, "broker", "ca", "127.0.0.1")
    certificates.signed(folder, "client", "ca", "127.0.0.1")
    certificates.signed(folder, "elsewhere", "ca", "192.0.2.1")
    return folder


def tls(keys: Path, name: str = "broker", more: str = "") -> str:
    return (
        f"listener {{port}} 127.0.0.1\nallow_anonymous true\ncafile {keys}/ca.pem\n"
        f"certfile {keys}/{name}.pem\nkeyfile {keys}/{name}.key\n{more}"
    )


def test_ok__tls_with_a_certificate_of_the_device(run_broker: RunBroker, publisher: MakePublisher, keys: Path) -> None:
    broker = run_broker("", tls(keys, more="require_certificate true"))
    files = {"ca": keys / "ca.pem", "cert": keys / "client.pem", "key": keys / "client.key"}
    box = publisher(port=broker.port, tls={"enabled": True, **files})
    for number in range(200):
        box.accept(event("new", id=f"1.{number}-a"))
    assert eventually(lambda: box.health()["mqtt"]["state"] == "connected" and box.health()["mqtt"]["queued"] == 0)


def test_ok__tls_files_are_relative_to_the_configuration_and_to_the_home(
    run_broker: RunBroker, publisher: MakePublisher, keys: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broker = run_broker("", tls(keys, more="require_certificate true"))
    monkeypatch.setenv("HOME", str(keys))
    files = {"ca": "ca.pem", "cert": f"../{keys.name}/client.pem", "key": "~/client.key"}
    box = publisher(port=broker.port, base=keys, tls={"enabled": True, **files})
    assert eventually(lambda: box.health()["mqtt"]["state"] == "connected")


@pytest.mark.parametrize(
    ("name", "ca", "words"),
    [("broker", "stranger", "is not trusted (self-signed"), ("elsewhere", "ca", "IP address mismatch")],
)
def test_fail__wrong_certificate_is_said_and_tried_again(
    run_broker: RunBroker, publisher: MakePublisher, keys: Path, name: str, ca: str, words: str
) -> None:
    broker = run_broker("", tls(keys, name))
    box = publisher(port=broker.port, tls={"enabled": True, "ca": keys / f"{ca}.pem"})
    assert says(box, words)
    assert says(box, "mqtt.tls.ca must name the authority that signed it")
    assert box.health()["mqtt"]["state"] == "connecting"


def test_fail__tls_to_a_port_without(broker: Mosquitto, publisher: MakePublisher, keys: Path) -> None:
    box = publisher(port=broker.port, tls={"enabled": True, "ca": keys / "ca.pem"})
    assert says(box, f"no TLS with the broker at 127.0.0.1:{broker.port}")


def test_fail__no_tls_to_a_port_with(run_broker: RunBroker, publisher: MakePublisher, keys: Path) -> None:
    assert says(publisher(port=run_broker("", tls(keys)).port), "does it expect TLS (mqtt.tls)")


def test_fail__tls_files_that_are_not(publisher: MakePublisher, keys: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"mqtt.tls.ca: there is no file .*nowhere.pem"):
        publisher(start=False, tls={"enabled": True, "ca": tmp_path / "nowhere.pem"})
    (tmp_path / "text.pem").write_text("no certificate")
    with pytest.raises(InputError, match=r"mqtt.tls.ca: .*text.pem is not a readable PEM certificate"):
        publisher(start=False, tls={"enabled": True, "ca": tmp_path / "text.pem"})
    with pytest.raises(InputError, match=r"are not a certificate and its private key"):
        publisher(start=False, tls={"enabled": True, "cert": keys / "client.pem", "key": keys / "broker.key"})


def test_ok__broker_that_refuses_mqtt_5_is_spoken_to_in_3_1_1(
    publisher: MakePublisher, caplog: pytest.LogCaptureFixture
) -> None:
    """A broker of 3.1.1 answers CONNECT of another version with return code 1 (MQTT 3.1.1, section 3.2.2.3)."""
    connects: list[int] = []

    def serve(listener: socket.socket) -> None:
        for _ in range(3):
            client, _ = listener.accept()
            with client:
                packet = client.recv(4096)
                connects.append(packet[packet.index(b"MQTT") + 4])
                client.sendall(b"\x20\x02\x00" + (b"\x01" if connects[-1] != 4 else b"\x00"))
                if connects[-1] == 4:
                    while client.recv(4096):
                        pass
                    return

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, args=(listener,), daemon=True)
        thread.start()
        box = publisher(port=listener.getsockname()[1])
        assert eventually(lambda: box.health()["mqtt"]["protocol"] == "3.1.1")
        assert connects == [5, 4]
        assert caplog.text.count("does not take MQTT 5: trying 3.1.1") == 1
        box.stop(drain_s=0)


def test_fail__protocol_5_is_insisted_on(publisher: MakePublisher) -> None:
    def serve(listener: socket.socket) -> None:
        client, _ = listener.accept()
        with client:
            client.recv(4096)
            client.sendall(b"\x20\x02\x00\x01")

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=serve, args=(listener,), daemon=True).start()
        assert says(
            publisher(port=listener.getsockname()[1], protocol="5"), "does not speak MQTT 5: set mqtt.protocol to auto"
        )


def test_fail__two_devices_of_one_id(broker: Mosquitto, publisher: MakePublisher) -> None:
    first = publisher(port=broker.port)
    assert eventually(lambda: first.health()["mqtt"]["state"] == "connected")
    publisher("another state", port=broker.port)
    assert says(first, "has no other device the id 'sereno-porch'?")


def test_ok__embedded_broker_serves_old_and_new_clients_and_takes_a_free_port(
    publisher: MakePublisher, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        broker = EmbeddedBroker(taken.getsockname()[1], lambda name, error: pytest.fail(f"{name}: {error}"))
        assert broker.port != taken.getsockname()[1]
    broker.start()
    assert f"listens on 127.0.0.1:{broker.port}" in caplog.text
    box = publisher(port=broker.port, embedded=True)
    box.accept(event("new", picture=True))
    assert eventually(lambda: box.health()["mqtt"]["state"] == "connected" and box.health()["mqtt"]["queued"] == 0)
    box.stop(drain_s=5)
    found = shutil.which("mosquitto_sub")
    assert found, "mosquitto_sub is not installed: `apt install mosquitto-clients`, or `make test`, which does"
    late = subprocess.run(
        [found, "-p", str(broker.port), "-t", "sereno/porch/availability", "-C", "1", "-W", "5", "-V", "mqttv311"],
        capture_output=True,
        check=True,
    )
    assert late.stdout == b"offline\n"
    broker.stop()


def test_ok__embedded_broker_on_the_port_that_was_asked_for() -> None:
    port = free_port()
    assert EmbeddedBroker(port, lambda *_: None).port == port
