"""The lock and its keeper as two real processes, the pins gpiozero's mock: what the journal says after each end."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from device.access.keeper.settings import KeeperSettings
from device.access.keeperlink import KeeperLink
from device.access.lock import KeeperLock, LockError
from tests.access.mocklock import PIN, ROOT, journal, levels, record, until


def test_ok__a_release_and_its_end(journal_path: Path, opened: Callable[..., KeeperLink]) -> None:
    lock = KeeperLock(opened())
    assert lock.state == "locked", lock.fault
    lock.unlock(0.3, record("grant"))
    assert lock.state == "unlocked"
    moved = lock.poll()
    assert until(lambda: moved.extend(lock.poll()) or lock.state == "locked")
    assert [(m.unlocked, m.cause, m.authorisation) for m in moved] == [
        (True, "authorised", record("grant")),
        (False, "deadline", record("grant")),
    ]
    assert 0.3 <= moved[1].monotonic - moved[0].monotonic < 2
    assert [entry["action"] for entry in journal(journal_path, "start", "unlock", "rest")] == [
        "start",
        "unlock",
        "rest",
    ]
    assert levels(journal_path) == [0, 1, 0]


def test_fail__an_order_whose_time_is_over(journal_path: Path, opened: Callable[..., KeeperLink]) -> None:
    lock = KeeperLock(opened())
    with pytest.raises(LockError, match="it came too late"):
        lock.unlock(9, record("a"), time.monotonic() - 0.001)
    assert (lock.state, levels(journal_path)) == ("locked", [0])
    lock.unlock(9, record("b"), time.monotonic() + 5)
    assert lock.state == "unlocked"


def test_fail__a_damaged_journal(journal_path: Path, opened: Callable[..., KeeperLink]) -> None:
    """The lock is faulty for as long as it is there, and says by what."""
    journal_path.parent.mkdir(exist_ok=True)
    journal_path.write_text("[" * 200_000 + "\n")
    lock = KeeperLock(opened())
    assert (lock.state, "journal.jsonl is damaged at line 1" in lock.fault) == ("faulty", True)
    with pytest.raises(LockError, match="damaged at line 1"):
        lock.unlock(1, record("a"))


def test_ok__never_longer_than_the_bound(journal_path: Path, opened: Callable[..., KeeperLink]) -> None:
    """Whatever it is told; and several in a row are one time that is bounded."""
    lock = KeeperLock(opened(max_unlock_s=1.5))
    lock.unlock(3600, record("a"))
    lock.unlock(3600, record("b"))
    assert until(lambda: any(not moved.unlocked for moved in lock.poll()))
    unlock, extend, rest = journal(journal_path, "unlock", "extend", "rest")
    assert (unlock["action"], extend["action"], rest["cause"]) == ("unlock", "extend", "deadline")
    assert rest["monotonic"] - unlock["monotonic"] < 3


def test_ok__rest_when_asked(journal_path: Path, opened: Callable[..., KeeperLink]) -> None:
    lock = KeeperLock(opened())
    lock.unlock(9, record("a"))
    lock.rest()
    assert until(lambda: any(not moved.unlocked for moved in lock.poll()))
    assert journal(journal_path, "rest")[0]["cause"] == "asked"


def test_ok__close_rests(journal_path: Path, opened: Callable[..., KeeperLink]) -> None:
    lock = KeeperLock(opened())
    lock.unlock(9, record("a"))
    lock.close()
    assert [moved.cause for moved in lock.poll()] == ["authorised", "daemon-gone"]
    assert levels(journal_path) == [0, 1, 0]
    assert journal(journal_path, "stop")[-1]["cause"] == "daemon-gone"
    with pytest.raises(LockError, match="closed"):
        lock.unlock(1, record("b"))


@pytest.mark.parametrize("authorisation", ["", "abc", "Z" * 64, record("x").upper()])
def test_fail__not_authorised(journal_path: Path, opened: Callable[..., KeeperLink], authorisation: str) -> None:
    lock = KeeperLock(opened())
    with pytest.raises(LockError, match="no audit record"):
        lock.unlock(1, authorisation)
    assert levels(journal_path) == [0]


def test_fail__no_grant_is_replayed(journal_path: Path, opened: Callable[..., KeeperLink]) -> None:
    """Not by the same keeper, and not by the next one, which knows its journal, also one that was torn."""
    lock = KeeperLock(opened())
    lock.unlock(0.05, record("a"))
    assert until(lambda: lock.poll() is not None and lock.state == "locked")
    with pytest.raises(LockError, match="before"):
        lock.unlock(1, record("a"))
    lock.close()
    with journal_path.open("a") as stream:
        stream.write('{"action": "unl')
    again = KeeperLock(opened())
    with pytest.raises(LockError, match="before"):
        again.unlock(1, record("a"))
    again.unlock(0.05, record("b"))
    assert [entry["authorisation"] for entry in journal(journal_path, "unlock")] == [record("a"), record("b")]


@pytest.mark.parametrize("seconds", [0.0, -1.0, float("nan"), float("inf")])
def test_fail__time_that_is_none(journal_path: Path, opened: Callable[..., KeeperLink], seconds: float) -> None:
    lock = KeeperLock(opened())
    with pytest.raises(LockError, match="positive"):
        lock.unlock(seconds, record("a"))
    assert levels(journal_path) == [0]


def test_fail__loop_that_does_not_turn(journal_path: Path, opened: Callable[..., KeeperLink]) -> None:
    lock = KeeperLock(opened(heartbeat_s=0.3))
    lock.unlock(9, record("a"))
    assert until(lambda: bool(journal(journal_path, "rest")))
    unlock, rest = journal(journal_path, "unlock", "rest")
    assert rest["cause"] == "daemon-silent"
    assert 0.25 < rest["monotonic"] - unlock["monotonic"] < 2


def test_ok__loop_that_turns_keeps_it(journal_path: Path, opened: Callable[..., KeeperLink]) -> None:
    lock = KeeperLock(opened(heartbeat_s=0.3))
    lock.unlock(0.9, record("a"))
    assert until(lambda: any(not moved.unlocked for moved in lock.poll()))
    assert journal(journal_path, "rest")[0]["cause"] == "deadline"


DAEMON = """
import subprocess, sys, time
from pathlib import Path
from device.access.keeper.settings import KeeperSettings
from device.access.keeperlink import KeeperLink
from device.access.lock import KeeperLock
lock = KeeperLock(KeeperLink(KeeperSettings.from_json(sys.argv[1])))
subprocess.Popen(["sleep", "3"])  # A child that outlives its parent must not hold the pipe open.
lock.unlock(9, sys.argv[2])
print("unlocked", flush=True)
while True:
    lock.poll()
    time.sleep(0.02)
"""


@pytest.fixture
def daemon(journal_path: Path) -> Iterator[subprocess.Popen[str]]:
    """A daemon of its own process that has released the lock for nine seconds."""
    settings = KeeperSettings(journal=journal_path, driver="mock", pin=PIN, heartbeat_s=0.5)
    command = [sys.executable, "-c", DAEMON, settings.to_json(), record("grant")]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        assert process.stdout.readline() == "unlocked\n"
        yield process
        process.kill()


@pytest.mark.parametrize(("number", "cause"), [(signal.SIGKILL, "daemon-gone"), (signal.SIGSTOP, "daemon-silent")])
def test_ok__daemon_killed_or_hung(journal_path: Path, daemon: subprocess.Popen[str], number: int, cause: str) -> None:
    """Nobody is left to say a word: the lock rests all the same, by what the journal says within moments."""
    struck = time.monotonic()
    daemon.send_signal(number)
    assert until(lambda: bool(journal(journal_path, "rest")))
    rest = journal(journal_path, "rest")[0]
    assert rest["cause"] == cause
    assert rest["monotonic"] - struck < 2
    assert levels(journal_path) == [0, 1, 0]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_ok__keeper_told_to_stop(journal_path: Path, opened: Callable[..., KeeperLink], number: int) -> None:
    """It rests and ends in order; the daemon starts another one."""
    link = opened()
    lock = KeeperLock(link)
    lock.unlock(9, record("a"))
    first = link.pid
    assert first
    os.kill(first, number)
    assert until(lambda: not lock.poll() and not lock.fault and link.pid not in (None, first))
    assert journal(journal_path, "rest")[0]["cause"] == "signal"
    lock.unlock(0.1, record("b"))


def test_ok__keeper_killed(journal_path: Path, opened: Callable[..., KeeperLink]) -> None:
    """Nothing can be done at that moment; the next keeper claims the pin at rest within moments, and writes it down."""
    link = opened()
    lock = KeeperLock(link)
    lock.unlock(9, record("a"))
    first = link.pid
    assert first
    os.kill(first, signal.SIGKILL)
    moved = []
    assert until(lambda: moved.extend(lock.poll()) or (not lock.fault and link.pid not in (None, first)))
    assert [m.cause for m in moved] == ["authorised", "keeper-lost"]
    entry = journal(journal_path, "rest")[0]
    assert (entry["cause"], entry["authorisation"]) == ("keeper-restarted", record("a"))
    assert levels(journal_path) == [0, 1, 0]
    with pytest.raises(LockError, match="before"):
        lock.unlock(1, record("a"))


def test_fail__keeper_that_hangs(journal_path: Path, opened: Callable[..., KeeperLink]) -> None:
    """No answer is no release, also not later: the keeper is ended, and the message dies with it."""
    link = opened()
    lock = KeeperLock(link)
    first = link.pid
    assert first
    os.kill(first, signal.SIGSTOP)
    with pytest.raises(LockError, match="did not answer"):
        lock.unlock(1, record("a"))
    assert lock.state == "faulty"
    assert until(lambda: not lock.poll() and lock.state == "locked")
    assert 1 not in levels(journal_path)


def test_fail__keeper_hangs_while_released(journal_path: Path, opened: Callable[..., KeeperLink]) -> None:
    """The daemon guards its guard: it ends the keeper, and the next one puts the pin to rest."""
    link = opened(max_unlock_s=0.3)
    lock = KeeperLock(link)
    lock.unlock(9, record("a"))
    first = link.pid
    assert first
    os.kill(first, signal.SIGSTOP)
    assert until(lambda: not lock.poll() and not lock.fault and link.pid not in (None, first))
    unlock, rest = journal(journal_path, "unlock", "rest")
    assert rest["cause"] == "keeper-restarted"
    assert rest["monotonic"] - unlock["monotonic"] < 6
    assert levels(journal_path) == [0, 1, 0]


@pytest.mark.parametrize("garbage", [b"open the door\n", b"[1]\n", b'{"do": "open"}\n', b"\xff\n", b"x" * 5000])
def test_ok__garbage_ends_it_at_rest(journal_path: Path, garbage: bytes) -> None:
    settings = KeeperSettings(journal=journal_path, driver="mock", pin=PIN)
    command = [sys.executable, "-m", "device.access.keeper", settings.to_json()]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as keeper:
        assert keeper.stdin
        assert keeper.stdout
        assert json.loads(keeper.stdout.readline())["event"] == "ready"
        by = time.monotonic() + 5
        order = {"do": "unlock", "seconds": 9, "authorisation": record("a"), "by": by}
        keeper.stdin.write(json.dumps(order).encode() + b"\n")
        keeper.stdin.flush()
        assert json.loads(keeper.stdout.readline())["unlocked"] is True
        keeper.stdin.write(garbage)
        keeper.stdin.flush()
        assert keeper.wait(10) == 0
    assert journal(journal_path, "rest")[0]["cause"] == "garbage"
    assert levels(journal_path) == [0, 1, 0]


def test_fail__last_words_of_a_daemon(journal_path: Path) -> None:
    """An order that is read together with the end of the pipe opens nothing."""
    settings = KeeperSettings(journal=journal_path, driver="mock", pin=PIN)
    order = {"do": "unlock", "seconds": 9, "authorisation": record("a"), "by": time.monotonic() + 60}
    command = [sys.executable, "-m", "device.access.keeper", settings.to_json()]
    subprocess.run(command, cwd=ROOT, input=json.dumps(order).encode() + b"\n", capture_output=True, check=True)
    assert 1 not in levels(journal_path)
    assert not journal(journal_path, "unlock")
