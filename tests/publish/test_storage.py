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
    filler = fill(small_disk)
    for number in range(100):
        for one in life(number):
            box.accept(one)
    box.accept(event("new", picture=True))
    assert box.flush(10)
    assert eventually(lambda: len(heard.seqs()) == 201)
    assert heard.seqs() == list(range(1, 202))
    health = box.health()["storage"]
    assert health["state"] == "degraded"
    assert "full" in health["message"]
    assert heard.events()[-1]["after"]["has_snapshot"] is False
    filler.unlink()
    box.accept(event("end", picture=True))
    assert eventually(lambda: box.health()["storage"] == {"state": "ok", "message": "", "lost": 0})
    assert eventually(lambda: len(heard.seqs()) == 202)
    assert heard.events()[-1]["after"]["has_snapshot"] is True
    assert len(box.store.recent(500)) == 101, "what was held in memory is listed after all"
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
