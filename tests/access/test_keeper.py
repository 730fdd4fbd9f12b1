"""The keeper without a process: bounds to the moment, pins that fail, and what lgpio is asked for."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import types
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from device.access.keeper.journal import Journal, entries
from device.access.keeper.keeper import Keeper
from device.access.keeper.lamps import sequence
from device.access.keeper.lines import LgpioLines, LinesError
from device.access.keeper.settings import KeeperSettings


def record(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()


class Pins:
    """Lines that write down each call; `broken` is a pin that is refused."""

    def __init__(self, broken: int | None = None) -> None:
        self.calls: list[tuple[str, int, int]] = []
        self.levels: dict[int, int] = {}
        self.broken = broken

    def _do(self, call: str, pin: int, level: int) -> None:
        if pin == self.broken:
            raise LinesError(f"GPIO {pin} is broken")
        self.calls.append((call, pin, level))
        self.levels[pin] = level

    def claim_output(self, pin: int, level: int, what: str) -> None:
        del what
        self._do("output", pin, level)

    def claim_input(self, pin: int, well: int, what: str) -> None:
        del what
        self._do("input", pin, well)

    def write(self, pin: int, level: int) -> None:
        self._do("write", pin, level)

    def read(self, pin: int) -> int:
        return self.levels[pin]


class SlowJournal(Journal):
    """A journal on a disk that takes its time, or is full; and whose clock stands still."""

    at = 100.0
    delay_s = 0.0
    full = False

    def now(self) -> dict[str, float]:
        return {"monotonic": self.at, "wall": 1e9 + self.at}

    def write(self, action: str, *, durable: bool = True, **details: Any) -> None:
        if self.full:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        super().write(action, durable=durable, **details)
        self.at += self.delay_s


class Bench:
    """A keeper with all that it touches."""

    def __init__(self, folder: Path, **given: Any) -> None:
        self.settings = KeeperSettings(**{"journal": folder / "journal.jsonl", "driver": "mock", **given})
        self.pins, self.told = Pins(), list[dict[str, Any]]()
        self.journal = SlowJournal(self.settings.journal)
        self.keeper = Keeper(self.settings, self.pins, self.journal, self.told.append)

    @property
    def now(self) -> float:
        return self.journal.at

    def go(self, seconds: float) -> None:
        """Time passes, and the keeper takes its turn."""
        self.journal.at += seconds
        self.keeper.turn(self.now)

    def unlock(self, seconds: float = 3.0, name: str = "a", **more: Any) -> None:
        order = {"do": "unlock", "seconds": seconds, "authorisation": record(name), "by": self.now + 1, **more}
        self.keeper.hear(order, self.now)


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def test_fail__a_journal_with_a_line_that_was_never_an_entry(tmp_path: Path) -> None:
    """What has released the lock is not known then: the pin is put to rest, and that is all."""
    settings, pins = KeeperSettings(journal=tmp_path / "journal.jsonl", driver="mock"), Pins()
    settings.journal.write_text('{"action": "start"}\n' + "[" * 200_000 + "\n")
    with pytest.raises(OSError, match=r"journal\.jsonl is damaged at line 2: move it away"):
        Keeper(settings, pins, Journal(settings.journal), lambda _: None)
    assert pins.calls == [("output", 17, 0)]


def deleted(path: Path) -> None:
    path.unlink()


def replaced(path: Path) -> None:
    text = path.read_text()
    path.unlink()
    path.write_text(text)


def emptied(path: Path) -> None:
    path.write_text("")


def written_over(path: Path) -> None:
    path.write_text("x" * path.stat().st_size * 2)


def without_its_folder(path: Path) -> None:
    shutil.rmtree(path.parent)


@pytest.mark.parametrize("spoil", [deleted, replaced, emptied, written_over, without_its_folder])
def test_fail__the_journal_is_not_what_it_was(tmp_path: Path, spoil: Callable[[Path], None]) -> None:
    """What nobody could read afterwards is not done; what is released goes to rest all the same."""
    bench = Bench(tmp_path / "lock")
    bench.unlock(1.0, "a")
    spoil(bench.settings.journal)
    bench.unlock(2.0, "b")
    bench.go(1.1)
    assert not bench.keeper.unlocked
    for name in ("b", "c"):
        bench.unlock(1.0, name)
        assert (bench.told[-1]["event"], bench.keeper.unlocked) == ("refused", False)
        assert "was deleted, moved, replaced or cut off while it was in use" in bench.told[-1]["why"]
    assert bench.pins.calls == [("output", 17, 0), ("write", 17, 1), ("write", 17, 0)]


def test_fail__the_journal_is_taken_away_while_it_is_written_to(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    path = bench.settings.journal
    monkeypatch.setattr(os, "fsync", lambda _: path.unlink())
    bench.unlock()
    assert "was deleted" in bench.told[-1]["why"]
    assert bench.pins.calls == [("output", 17, 0)]


def test_ok__a_journal_that_is_put_back_is_gone_on_with(bench: Bench) -> None:
    path = bench.settings.journal
    path.rename(path.with_suffix(".away"))
    bench.unlock(1.0, "a")
    assert not bench.keeper.unlocked
    path.with_suffix(".away").rename(path)
    bench.unlock(1.0, "b")
    assert bench.keeper.unlocked


def test_ok__to_the_moment(bench: Bench) -> None:
    bench.unlock(1.5)
    assert bench.keeper.due() == pytest.approx(101.5)
    bench.go(1.49)
    assert bench.keeper.unlocked
    bench.go(0.011)
    assert not bench.keeper.unlocked
    assert bench.pins.calls == [("output", 17, 0), ("write", 17, 1), ("write", 17, 0)]


def test_ok__journal_before_pin(bench: Bench) -> None:
    """When the pin moves, the release is in the file."""
    seen: list[str] = []
    write = bench.pins.write
    bench.pins.write = lambda pin, level: (  # type: ignore[method-assign]
        seen.extend(entry["action"] for entry in entries(bench.settings.journal)),
        write(pin, level),
    )[1]
    bench.unlock()
    assert seen == ["start", "unlock"]


@pytest.mark.parametrize("asked", [4.0, 1e9])
def test_ok__bound(tmp_path: Path, asked: float) -> None:
    bench = Bench(tmp_path, max_unlock_s=3.0, heartbeat_s=60)
    bench.unlock(asked)
    bench.go(2.9)
    bench.unlock(asked, "b")
    bench.unlock(asked, "c")
    bench.go(0.11)
    assert not bench.keeper.unlocked, "three in a row are one time"
    assert bench.told[-1]["cause"] == "deadline"


def test_ok__extended_within_the_bound(tmp_path: Path) -> None:
    bench = Bench(tmp_path, max_unlock_s=10.0, heartbeat_s=60)
    bench.unlock(3)
    bench.go(2)
    bench.unlock(3, "b")
    bench.go(2.9)
    assert bench.keeper.unlocked
    bench.go(0.2)
    assert not bench.keeper.unlocked


def test_fail__silence(tmp_path: Path) -> None:
    bench = Bench(tmp_path, heartbeat_s=2.0)
    bench.unlock(9)
    bench.go(1.9)
    bench.keeper.hear({"do": "alive"}, bench.now)
    bench.go(1.9)
    assert bench.keeper.unlocked
    bench.go(0.2)
    assert bench.told[-1]["cause"] == "daemon-silent"


def test_fail__slow_disk(bench: Bench) -> None:
    """The daemon has given up by the time that the journal is on the disk: the door stays shut."""
    bench.journal.delay_s = 2.0
    bench.unlock()
    assert ("write", 17, 1) not in bench.pins.calls
    assert bench.told[-1]["why"] == "it came too late"
    assert [entry["action"] for entry in entries(bench.settings.journal)][-3:] == ["unlock", "rest", "refuse"]
    bench.journal.delay_s = 0.0
    bench.unlock()
    assert "before" in bench.told[-1]["why"]


def test_fail__full_disk(bench: Bench) -> None:
    bench.journal.full = True
    bench.unlock()
    assert ("write", 17, 1) not in bench.pins.calls
    assert bench.told == [
        {
            "event": "refused",
            "why": "the journal cannot be written: No space left on device",
            "authorisation": record("a"),
        }
    ]


def test_ok__disk_fills_up_while_released(bench: Bench) -> None:
    """It rests all the same."""
    bench.unlock()
    bench.journal.full = True
    bench.go(3)
    assert bench.pins.levels[17] == 0
    assert bench.told[-1]["cause"] == "deadline, journal-failed"


@pytest.mark.parametrize(
    "wrong",
    [{"seconds": True}, {"seconds": "3"}, {"seconds": None}, {"by": 0}, {"by": None}, {"authorisation": 5}],
)
def test_fail__orders_that_are_wrong(bench: Bench, wrong: dict[str, Any]) -> None:
    bench.unlock(**wrong)  # type: ignore[arg-type]
    assert bench.told[-1]["event"] == "refused"
    assert ("write", 17, 1) not in bench.pins.calls


def test_fail__lock_pin_fails(bench: Bench) -> None:
    """Nothing is known of the pin then: whoever runs the keeper must hear of it."""
    bench.pins.broken = 17
    with pytest.raises(LinesError):
        bench.unlock()


def test_ok__contact_that_bounces(tmp_path: Path) -> None:
    bench = Bench(tmp_path, contact_pin=5)
    bench.pins.levels[5] = 1
    bench.go(0.05)
    bench.pins.levels[5] = 0
    bench.go(0.05)
    bench.go(0.05)
    assert bench.told == []
    bench.pins.levels[5] = 1
    bench.go(0.05)
    bench.go(0.05)
    assert bench.told == [{"event": "inputs", "contact": True}]


def test_ok__lamps() -> None:
    outputs = {"granted": 1, "denied": 2, "look": 3, "buzzer": 4}
    assert sequence("granted", outputs)[:4] == [(0.0, 1, 1), (0.0, 2, 0), (0.0, 3, 0), (0.0, 4, 0)]
    for word in ("granted", "denied", "look", "off"):
        steps = sequence(word, outputs)
        assert steps == sorted(steps, key=lambda step: step[0])
        last = {pin: level for _, pin, level in steps}
        assert set(last.values()) == {0}, "everything goes out by itself"
    assert sequence("granted", {}) == []


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"driver": "rpi"}, "driver"),
        ({"strike": "maglock"}, "fail-secure or fail-safe"),
        ({"max_unlock_s": 61}, "seconds"),
        ({"max_unlock_s": 0}, "seconds"),
        ({"heartbeat_s": float("nan")}, "seconds"),
        ({"contact_pin": 17}, "GPIO 17"),
        ({"granted_pin": 5, "exit_pin": 5}, "GPIO 5"),
    ],
)
def test_fail__settings(tmp_path: Path, given: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        KeeperSettings(journal=tmp_path / "j", **given)


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"journal": "j", "pins": 3}', '{"journal": "j", "heartbeat_s": "x"}']
)
def test_fail__settings_that_are_none(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 (of JSON's, or of ours)
        KeeperSettings.from_json(text)


def test_ok__settings_go_and_come(tmp_path: Path) -> None:
    settings = KeeperSettings(journal=tmp_path / "j", pin=4, contact_pin=5, strike="fail-safe", active_high=False)
    assert KeeperSettings.from_json(settings.to_json()) == settings
    assert replace(settings, active_high=True).rest_level == 1


class Refused(Exception):
    """Stands for lgpio.error."""


def kernel(label: str = "pinctrl-rp1", busy: int | None = None) -> tuple[types.SimpleNamespace, list[tuple[Any, ...]]]:
    """A stand-in for the module lgpio, with the calls and answers of lgpio 0.2.2; and what was called."""
    calls: list[tuple[Any, ...]] = []

    def called(name: str, answer: Any = 0) -> Callable[..., Any]:
        def call(*given: Any) -> Any:
            calls.append((name, *given))
            if given[1:2] == (busy,) and name.startswith("gpio_claim"):
                raise Refused("'GPIO busy'")
            return answer

        return call

    names = ("gpio_claim_output", "gpio_claim_input", "gpio_write", "gpiochip_open", "gpiochip_close")
    lgpio = types.SimpleNamespace(error=Refused, SET_PULL_UP=32, **{name: called(name) for name in names})
    lgpio.gpio_read = called("gpio_read", 1)
    lgpio.gpio_get_chip_info = lambda _handle: (0, 54, "gpiochip0", label)
    lgpio.gpio_get_line_info = lambda _handle, pin: (0, pin, 3, "GPIO17", "dht11@11")
    return lgpio, calls


@pytest.mark.parametrize("active_high", [True, False])
def test_ok__lgpio_claims_at_the_rest_level_in_one_call(tmp_path: Path, active_high: bool) -> None:
    """No other call touches the pin before or after: nothing for a relay to click at."""
    lgpio, calls = kernel()
    settings = KeeperSettings(journal=tmp_path / "j", active_high=active_high)
    Keeper(settings, LgpioLines(lgpio, 0), Journal(settings.journal), lambda _: None)
    assert calls == [("gpiochip_open", 0), ("gpio_claim_output", 0, 17, int(not active_high))]


def test_fail__lgpio_pin_in_use() -> None:
    lgpio, _ = kernel(busy=17)
    with pytest.raises(LinesError, match=r"GPIO 17 for the lock cannot be had: GPIO busy \(by dht11@11\)"):
        LgpioLines(lgpio, 0).claim_output(17, 0, "lock")


def test_ok__lgpio_inputs_are_pulled_up() -> None:
    lgpio, calls = kernel()
    lines = LgpioLines(lgpio, 0)
    lines.claim_input(5, 0, "door contact")
    assert calls[-1] == ("gpio_claim_input", 0, 5, 32)
    assert lines.read(5) == 1
