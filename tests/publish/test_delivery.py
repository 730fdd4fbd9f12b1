"""Events reach a real subscriber through a real Mosquitto, whatever ends in between."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from device.datatypes import AccessDecision, AuditHead, CameraState, LockMoved, ObjectCount
from device.publish.database import Database
from device.publish.publisher import Publisher
from tests.mosquitto import Mosquitto, Subscriber, eventually, free_port
from tests.publish.samples import event, life

MakePublisher = Callable[..., Publisher]
Subscribe = Callable[..., Subscriber]


def test_ok__event_count_motion_snapshot_status_and_availability_arrive(
    broker: Mosquitto, subscribe: Subscribe, publisher: MakePublisher
) -> None:
    heard = subscribe()
    box = publisher(port=broker.port)
    box.accept(CameraState("front", "motion", True, 1.0))
    box.accept(event("new", picture=True))
    box.accept(ObjectCount("front", "person", 1))
    assert eventually(lambda: len(heard.events()) == 1 and heard.on("sereno/porch/front/person"))
    box.stop(drain_s=5)
    assert eventually(lambda: heard.on("sereno/porch/availability")[-1] == b"offline")
    message = heard.events()[0]
    assert message["type"] == "new"
    assert message["device"] == "porch"
    assert message["seq"] == 1
    assert message["before"] == message["after"]
    assert message["after"]["has_snapshot"] is True
    assert heard.on("sereno/porch/front/person") == [b"1"]
    assert heard.on("sereno/porch/front/motion") == [b"ON"]
    assert heard.on("sereno/porch/front/person/snapshot")[0][:3] == b"\xff\xd8\xff"
    assert json.loads(heard.on("sereno/porch/status")[0]) == {"fps": 9.5}
    assert heard.on("sereno/porch/availability") == [b"online", b"offline"]
    topics = [topic.rsplit("/", 1)[-1] for topic, _, _ in heard.heard]
    assert topics.index("snapshot") < topics.index("events"), "who fetches the picture on an event must find it"


def test_ok__frigate_prefix_carries_no_device_id(
    broker: Mosquitto, subscribe: Subscribe, publisher: MakePublisher
) -> None:
    heard = subscribe("frigate/#")
    box = publisher(port=broker.port, topic_prefix="frigate")
    box.accept(event("new"))
    box.accept(ObjectCount("front", "person", 2))
    assert eventually(lambda: heard.on("frigate/events") and heard.on("frigate/front/person") == [b"2"])


def test_ok__late_subscriber_gets_retained_states_but_no_old_event(
    broker: Mosquitto, subscribe: Subscribe, publisher: MakePublisher
) -> None:
    box = publisher(port=broker.port)
    box.accept(event("new", picture=True))
    box.accept(ObjectCount("front", "person", 1))
    assert box.flush(5)
    assert eventually(lambda: box.health()["mqtt"]["state"] == "connected" and box.health()["mqtt"]["queued"] == 0)
    time.sleep(0.2)
    late = subscribe()
    assert eventually(lambda: len(late.heard) >= 4)
    assert all(retained for _, _, retained in late.heard)
    assert late.events() == []
    assert late.on("sereno/porch/front/person") == [b"1"]
    assert late.on("sereno/porch/availability") == [b"online"]


@pytest.mark.parametrize("how", ["stop", "kill"])
def test_ok__broker_restart_loses_and_reorders_nothing(
    broker: Mosquitto, subscribe: Subscribe, publisher: MakePublisher, how: str
) -> None:
    heard = subscribe()
    box = publisher(port=broker.port)
    broker.save()
    for number in range(200):
        for one in life(number):
            box.accept(one)
    # A killed broker takes with it what it had acknowledged and not yet delivered, so it is killed when it owes
    # nothing; one that is stopped is stopped in full flow.
    assert eventually(lambda: len(heard.seqs()) == 400 if how == "kill" else len(heard.heard) > 50)
    getattr(broker, how)()
    for number in range(200, 300):
        for one in life(number):
            box.accept(one)
    assert eventually(lambda: box.health()["mqtt"]["state"] == "connecting")
    assert "was lost" in box.health()["mqtt"]["message"] or "no broker at" in box.health()["mqtt"]["message"]
    broker.start()
    assert eventually(lambda: len(heard.seqs()) == 600, 20), f"{len(heard.seqs())} of 600 arrived"
    assert heard.seqs() == list(range(1, 601))
    assert eventually(lambda: box.health()["mqtt"]["queued"] == 0)
    assert heard.connections >= 2, "the broker was not restarted while the subscriber listened"


CHILD = """
import sys, threading
from pathlib import Path
from device.config import Config
from device.publish.publisher import Publisher
from tests.publish.samples import life
config = Config.model_validate({"device": {"id": "porch", "role": "camera"}, "mqtt": {"port": int(sys.argv[2])},
    "storage": {"min_free_mb": 0}})
box = Publisher(config, Path(sys.argv[1]), on_failure=lambda n, e: None, backoff_s=(0.05, 0.2))
box.start()
for number in range(int(sys.argv[3]), int(sys.argv[3]) + 100_000):
    for one in life(number):
        box.accept(one)
    box.flush(10)
    print(number, flush=True)
"""


def test_ok__kill_9_of_the_device_loses_and_reorders_nothing_that_was_written(
    broker: Mosquitto, subscribe: Subscribe, publisher: MakePublisher, tmp_path: Path, root: Path
) -> None:
    heard = subscribe()
    written = 0
    for start in (0, 1000, 2000):
        with subprocess.Popen(
            [sys.executable, "-c", CHILD, str(tmp_path / "state"), str(broker.port), str(start)],
            stdout=subprocess.PIPE,
            cwd=root,
            text=True,
        ) as child:
            assert child.stdout
            for line in child.stdout:
                written += 2
                if int(line) - start >= 150:
                    os.kill(child.pid, signal.SIGKILL)
                    break
        heard_before_end = len(heard.seqs())
        assert heard_before_end > 0
    box = publisher(port=broker.port)
    assert eventually(lambda: box.health()["mqtt"]["state"] == "connected" and box.health()["mqtt"]["queued"] == 0)
    assert eventually(lambda: len(heard.seqs()) >= written)
    seqs = heard.seqs()
    assert seqs == list(range(1, len(seqs) + 1))
    assert "offline" in [payload.decode() for payload in heard.on("sereno/porch/availability")], "no last will came"


def test_ok__after_a_kill_open_events_end_and_counts_go_to_zero(
    broker: Mosquitto, subscribe: Subscribe, publisher: MakePublisher, tmp_path: Path, root: Path
) -> None:
    code = CHILD.split("for number")[0] + (
        "from tests.publish.samples import event\n"
        "from device.datatypes import CameraState, ObjectCount\n"
        "for one in (event('new', picture=True), event('update', frame_time=1607123999.5),\n"
        "            ObjectCount('front', 'person', 3), CameraState('front', 'motion', True, 1.0)):\n"
        "    box.accept(one)\n"
        "box.flush(10)\nprint('written', flush=True)\nthreading.Event().wait()\n"
    )
    arguments = [sys.executable, "-c", code, str(tmp_path / "state"), str(broker.port), "0"]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, cwd=root) as child:
        assert child.stdout
        child.stdout.readline()
        os.kill(child.pid, signal.SIGKILL)
    heard = subscribe()
    box = publisher(port=broker.port)
    assert eventually(lambda: "end" in [message["type"] for message in heard.events()])
    end = heard.events()[-1]
    assert end["seq"] == 3
    assert end["after"]["end_time"] == end["after"]["frame_time"] == 1607123999.5
    assert end["after"]["active"] is False
    assert end["before"]["end_time"] is None
    assert end["after"]["has_snapshot"] is True
    assert eventually(lambda: heard.on("sereno/porch/front/person")[-1:] == [b"0"])
    assert eventually(lambda: heard.on("sereno/porch/front/motion")[-1:] == [b"OFF"])
    assert box.store.open_events() == []
    assert box.store.recent(5)[0]["type"] == "end"


def test_ok__broker_that_comes_late_gets_everything_in_order(publisher: MakePublisher, tmp_path: Path) -> None:
    broker = Mosquitto(tmp_path / "late")
    box = publisher(port=broker.port)
    for number in range(50):
        for one in life(number):
            box.accept(one)
    assert box.flush(5)
    assert box.health()["mqtt"]["queued"] == 100
    broker.start()
    # The subscriber's session must be there first: stop the device's luck of being faster.
    heard = Subscriber(broker.port, "sereno/#")
    for number in range(50, 60):
        for one in life(number):
            box.accept(one)
    assert eventually(lambda: box.health()["mqtt"]["queued"] == 0)
    assert eventually(lambda: 120 in heard.seqs())
    assert heard.seqs() == sorted(heard.seqs())
    heard.close()
    broker.stop()


def test_ok__what_is_not_sent_at_a_stop_is_sent_by_the_next_start(
    broker: Mosquitto, subscribe: Subscribe, publisher: MakePublisher
) -> None:
    first = publisher(port=free_port())
    for one in life(1, updates=3):
        first.accept(one)
    first.stop(drain_s=0.2)
    heard = subscribe()
    publisher(port=broker.port)
    assert eventually(lambda: len(heard.events()) == 5)
    assert [message["type"] for message in heard.events()] == ["new", "update", "update", "update", "end"]


def test_ok__a_stop_waits_for_a_broker_that_comes_back(broker: Mosquitto, publisher: MakePublisher) -> None:
    box = publisher(port=broker.port)
    assert eventually(lambda: box.health()["mqtt"]["state"] == "connected")
    broker.stop()
    assert eventually(lambda: box.health()["mqtt"]["state"] == "connecting")
    for one in life(1):
        box.accept(one)
    assert box.flush(5)
    back = threading.Timer(3, broker.start)
    back.start()
    box.stop(drain_s=10)
    back.join()
    heard = Subscriber(broker.port, "sereno/#")
    assert eventually(lambda: heard.on("sereno/porch/availability") == [b"offline"])
    heard.close()
    left = Database(box._database.path)
    assert left.connection.execute("SELECT COUNT(*) FROM outbox").fetchone()[0] == 0
    left.close()


def test_ok__a_stop_does_not_wait_for_a_broker_that_was_never_there(publisher: MakePublisher) -> None:
    box = publisher(port=free_port())
    box.accept(event("new"))
    assert eventually(lambda: "no broker at" in box.health()["mqtt"]["message"])
    start = time.monotonic()
    box.stop(drain_s=10)
    assert time.monotonic() - start < 4


def test_ok__a_stop_does_not_wait_for_a_broker_that_is_away_where_nothing_waits(
    broker: Mosquitto, publisher: MakePublisher
) -> None:
    box = publisher(port=broker.port)
    assert eventually(lambda: box.health()["mqtt"]["state"] == "connected")
    broker.stop()
    assert eventually(lambda: box.health()["mqtt"]["state"] == "connecting")
    start = time.monotonic()
    box.stop(drain_s=10)
    assert time.monotonic() - start < 2


def test_ok__pictures_at_the_broker_go_when_privacy_says_so(
    broker: Mosquitto, subscribe: Subscribe, publisher: MakePublisher
) -> None:
    topic = "sereno/porch/front/person/snapshot"
    first = publisher(port=broker.port)
    first.accept(event("new", picture=True))
    assert first.flush(5)
    first.stop(drain_s=5)
    heard = subscribe(topic)
    assert eventually(lambda: len(heard.on(topic)) == 1)
    second = publisher(port=broker.port, privacy={"publish_snapshots": False})
    assert eventually(lambda: heard.on(topic)[1:] == [b""])
    second.stop(drain_s=5)
    third = publisher(port=broker.port, privacy={"publish_snapshots": False})
    assert eventually(lambda: third.health()["mqtt"]["state"] == "connected")
    third.stop(drain_s=5)
    late = subscribe(topic, "sereno/porch/availability", client_id="late")
    assert eventually(lambda: late.on("sereno/porch/availability"))
    assert late.on(topic) == []
    assert len(heard.on(topic)) == 2, "it is removed once"


def test_ok__five_hundred_events_a_second(broker: Mosquitto, subscribe: Subscribe, publisher: MakePublisher) -> None:
    heard = subscribe()
    box = publisher(port=broker.port)
    assert eventually(lambda: box.health()["mqtt"]["state"] == "connected")
    events = [one for number in range(1500) for one in life(number)]
    start = time.monotonic()
    for one in events:
        box.accept(one)
    assert eventually(lambda: len(heard.heard) >= len(events), 30)
    rate = len(events) / (time.monotonic() - start)
    print(f"{rate:.0f} events a second, accept to subscriber")
    assert eventually(lambda: box.health()["mqtt"]["queued"] == 0)
    assert heard.seqs() == list(range(1, len(events) + 1))
    assert rate >= 500


class Door:
    """What a door says of the anchor that the broker retains."""

    log = "0" * 32

    def __init__(self, known: str = "") -> None:
        self.known = known
        self.met: list[str] = []

    def newest(self) -> int:
        return 0

    def decisions(self, after: int, limit: int) -> list[AccessDecision]:
        del after, limit
        return []

    def lacks(self, told: int, newest: int) -> None:
        raise AssertionError((told, newest))

    def meets(self, anchor: str) -> bool:
        self.met.append(anchor)
        return anchor == self.known


def follow(publisher: MakePublisher, port: int, door: Door, *heads: str) -> Publisher:
    """A door that has a head to tell before it is connected."""
    box = publisher(start=False, port=port)
    box.follow(door, door)
    box.start()
    for head in heads:
        box.accept(AuditHead(4, head))
    return box


ANCHOR = "sereno/porch/door/audit"


def test_ok__an_anchor_that_the_log_accounts_for_is_replaced(
    broker: Mosquitto, subscribe: Subscribe, publisher: MakePublisher
) -> None:
    heard = subscribe(ANCHOR)
    first = Door()
    box = follow(publisher, broker.port, first, "four")
    assert eventually(lambda: heard.on(ANCHOR) == [b"four"])
    box.stop(5)
    second = Door("four")
    box = follow(publisher, broker.port, second, "five")
    assert eventually(lambda: heard.on(ANCHOR) == [b"four", b"five"])
    box.stop(5)
    assert (first.met, second.met) == ([], ["four"])


def test_fail__an_anchor_that_the_log_lacks_stays(
    broker: Mosquitto, subscribe: Subscribe, publisher: MakePublisher
) -> None:
    """Also after the connection was lost; all else is told."""
    heard = subscribe("sereno/#")
    follow(publisher, broker.port, Door(), "seven").stop(5)
    door = Door("another")
    box = follow(publisher, broker.port, door, "four")
    assert eventually(lambda: heard.on("sereno/porch/availability")[-1:] == [b"online"])
    broker.stop()
    broker.start()
    box.accept(LockMoved(unlocked=False, wall=1.0))
    box.accept(AuditHead(5, "five"))
    assert eventually(lambda: b"LOCKED" in heard.on("sereno/porch/door/lock/state"))
    box.stop(5)
    assert door.met == ["seven"]
    assert set(heard.on(ANCHOR)) == {b"seven"}


def test_ok__a_broker_that_lets_nobody_read_the_anchor_gets_it(tmp_path: Path, publisher: MakePublisher) -> None:
    folder = tmp_path / "deaf"
    folder.mkdir()
    (folder / "acl").write_text("topic write sereno/#\n")
    broker = Mosquitto(folder, "allow_anonymous true\nacl_file {folder}/acl").start()
    door = Door()
    box = follow(publisher, broker.port, door, "four")
    assert eventually(lambda: box.health()["mqtt"]["state"] == "connected")
    box.stop(5)
    assert box.health()["mqtt"]["queued"] == 0
    assert door.met == []
    broker.stop()
