"""Storage that is full, read-only or taken: refused at the start, survived later."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from device.errors import InputError
from device.publish import outbox as outbox_module
from device.publish import publisher as publisher_module
from device.publish.publisher import Publisher
from tests.mosquitto import Mosquitto, Subscriber, eventually
from tests.publish.samples import event, life

MakePublisher = Callable[..., Publisher]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of one megabyte in place of the state folder."""
    folder = tmp_path / "state"
    folder.mkdir()
    if os.geteuid() != 0:
        pytest.skip("only root may mount a small disk")
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", folder], capture_output=True)
    if mounted.returncode:
        pytest.skip(f"no small disk can be mounted here: {mounted.stderr.decode().strip()}")
    yield folder
    subprocess.run(["umount", "--lazy", folder], check=True)


def test_fail__second_instance_is_told_who_is_first(publisher: MakePublisher) -> None:
    publisher(enabled=False)
    with pytest.raises(
        InputError, match=rf"state is already in use by another sereno \(pid {os.getpid()}\): stop that one"
    ):
        publisher(start=False)


def test_ok__the_folder_is_free_again_after_a_stop_and_after_a_failed_start(publisher: MakePublisher) -> None:
    publisher(enabled=False).stop()
    with pytest.raises(InputError):
        publisher(start=False, tls={"enabled": True, "ca": "/nowhere.pem"})
    publisher(enabled=False)


def test_fail__folder_that_cannot_be_made(publisher: MakePublisher, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"cannot write to the storage folder .*: Not a directory; storage.path must"):
        publisher("file/state", start=False)


def test_fail__read_only_folder(publisher: MakePublisher, small_disk: Path) -> None:
    subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)
    with pytest.raises(InputError, match=r"cannot write to the storage folder .*: Read-only file system"):
        publisher(start=False)


def test_fail__full_disk_at_the_start(publisher: MakePublisher, small_disk: Path) -> None:
    fill(small_disk)
    with pytest.raises(InputError, match=r"cannot write to the storage folder .* free space"):
        publisher(start=False)


def fill(folder: Path) -> Path:
    """Leave no byte free."""
    path = folder / "filler"
    with path.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(b"x" * 512)
        except OSError:
            pass
    return path


def test_ok__disk_that_fills_up_later_costs_no_event(
    publisher: MakePublisher, small_disk: Path, broker: Mosquitto, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox_module, "RETRY_S", 0.05)
    heard = Subscriber(broker.port, "sereno/#")
    box = publisher(port=broker.port)
    box.accept(event("new", id="1607123955.1-before"))
    assert eventually(lambda: heard.seqs() == [1])
    filler = fill(small_disk)
    for number in range(100):
        for one in life(number):
            box.accept(one)
    box.accept(event("new", picture=True))
    assert box.flush(10)
    assert eventually(lambda: box.health()["storage"]["state"] == "degraded")
    assert len(heard.seqs()) + box.health()["mqtt"]["queued"] >= 202, "what the disk took is sent, the rest is held"
    health = box.health()["storage"]
    assert health["state"] == "degraded"
    assert "full" in health["message"]
    filler.unlink()
    box.accept(event("end", picture=True))
    assert eventually(lambda: box.health()["storage"] == {"state": "ok", "message": "", "lost": 0})
    assert eventually(lambda: len(heard.seqs()) == 203)
    assert heard.seqs() == list(range(1, 204))
    assert [e["after"]["has_snapshot"] for e in heard.events()[-2:]] == [False, True]
    assert len(box.store.recent(500)) == 102, "what was held in memory is listed after all"
    heard.close()


def test_ok__nothing_is_left_half_written_when_killed_while_writing(publisher: MakePublisher, tmp_path: Path) -> None:
    """A kill in the middle of a batch: the next start finds whole transactions only."""
    code = (
        "import os, sys, threading, time\nfrom pathlib import Path\nfrom device.config import Config\n"
        "from device.publish.publisher import Publisher\nfrom tests.publish.samples import life\n"
        "c = Config.model_validate({'device': {'id': 'porch', 'role': 'camera'}, 'mqtt': {'port': 1}})\n"
        "p = Publisher(c, Path(sys.argv[1]), on_failure=print)\np.start()\n"
        "threading.Timer(0.3, lambda: os.kill(os.getpid(), 9)).start()\n"
        "n = 0\nwhile True:\n    n += 1\n    [p.accept(e) for e in life(n, updates=2)]\n    time.sleep(0.0005)\n"
    )
    root = Path(__file__).parents[2]
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "state")], cwd=root, timeout=30)
    box = publisher(port=1)
    pending = [message.seq for message in box._outbox.pending(0, 100_000)]
    assert len(pending) > 10
    assert pending == list(range(1, len(pending) + 1))
    assert box.store.open_events() == []


CHILD = """
import sys, time
from pathlib import Path
from device.config import Config
from device.publish.publisher import Publisher
from tests.publish.samples import event
from tests.publish.test_storage import fill
config = Config.model_validate({"device": {"id": "porch", "role": "camera"}, "mqtt": {"port": int(sys.argv[2])}})
box = Publisher(config, Path(sys.argv[1]), on_failure=print, backoff_s=(0.05, 0.2))
box.start()
box.accept(event("new", id="1.1-before"))
box.flush(10)
fill(Path(sys.argv[1]))
for number in range(200):
    box.accept(event("new", id=f"1.{number}-full"))
box.flush(10)
time.sleep(1)
assert box.health()["storage"]["state"] == "degraded"
print("full", flush=True)
time.sleep(60)
"""


def test_ok__no_number_names_two_messages_after_a_full_disk_and_kill_9(
    publisher: MakePublisher, small_disk: Path, broker: Mosquitto, root: Path
) -> None:
    heard = Subscriber(broker.port, "sereno/porch/events")
    arguments = [sys.executable, "-c", CHILD, str(small_disk), str(broker.port)]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, cwd=root, text=True) as child:
        assert child.stdout
        assert child.stdout.readline() == "full\n"
        child.kill()
    (small_disk / "filler").unlink()
    box = publisher(port=broker.port)
    box.accept(event("new", id="1.1-after"))
    assert eventually(lambda: "1.1-after" in [e["after"]["id"] for e in heard.events()])
    named: dict[int, set[tuple[str, str]]] = {}
    for message in heard.events():
        named.setdefault(message["seq"], set()).add((message["type"], message["after"]["id"]))
    assert [names for names in named.values() if len(names) > 1] == []
    assert heard.seqs() == list(range(1, len(named) + 1))
    heard.close()


def test_ok__only_the_owner_may_look_at_what_is_kept(publisher: MakePublisher, tmp_path: Path) -> None:
    before = os.umask(0o022)
    try:
        box = publisher(enabled=False)
        box.accept(event("new", picture=True))
        assert box.flush(5)
    finally:
        os.umask(before)
    state = tmp_path / "state"
    modes = {path.name: path.stat().st_mode & 0o777 for path in [state, *state.rglob("*")]}
    assert modes["state"] == modes["snapshots"] == 0o700
    assert {name: mode for name, mode in modes.items() if ".db" in name or ".jpg" in name} == {
        "events.db": 0o600,
        "events.db-wal": 0o600,
        "events.db-shm": 0o600,
        next(name for name in modes if name.endswith(".jpg")): 0o600,
    }


def test_ok__a_folder_that_is_there_keeps_its_mode(publisher: MakePublisher, tmp_path: Path) -> None:
    (tmp_path / "state").mkdir()
    (tmp_path / "state").chmod(0o750)
    publisher(enabled=False)
    assert (tmp_path / "state").stat().st_mode & 0o777 == 0o750


def test_ok__a_flood_does_not_cost_the_pictures_after_it(
    publisher: MakePublisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(publisher_module, "QUEUE_MAX", 2)
    box = publisher(start=False, enabled=False)
    for number in range(2 + publisher_module.PICTURES_MAX):
        box.accept(event("new", picture=number >= 2, id=f"1.{number}-flood"))
    assert box.health()["storage"]["lost"] == publisher_module.PICTURES_MAX
    box.start()
    assert box.flush(5)
    box.accept(event("new", picture=True, id="1.1-after"))
    assert box.flush(5)
    assert box.store.snapshot("1.1-after") is not None
    box.stop()
