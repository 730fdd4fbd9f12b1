"""The outbox keeps what it is given, in order, within its bounds, over restarts."""

from __future__ import annotations

import logging
import shutil
import sqlite3
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from device.errors import InputError
from device.publish import outbox as outbox_module
from device.publish.database import POWER_CUT_GAP, Database
from device.publish.messages import Message
from device.publish.outbox import Entry, Outbox


def message(outbox: Outbox, droppable: bool = False) -> Message:
    seq = outbox.next_seq()
    return Message("sereno/porch/events", f"{seq}".encode(), seq=seq, droppable=droppable)


def opened(path: Path, limit: int = 1000) -> Outbox:
    return Outbox(Database(path), limit, "sereno/porch")


def seqs(outbox: Outbox) -> list[int]:
    return [pending.seq or 0 for pending in outbox.pending(0, 10_000)]


def test_ok__what_is_written_is_there_after_a_restart_until_acknowledged(tmp_path: Path) -> None:
    first = opened(tmp_path / "a.db")
    first.write([Entry(message(first)) for _ in range(5)])
    first.acknowledge([1, 3])
    again = opened(tmp_path / "a.db")
    assert seqs(again) == [2, 4, 5]
    assert [m.payload for m in again.pending(2, 1)] == [b"4"]
    assert again.queued == 3


def test_ok__seq_goes_on_over_restarts_even_when_all_was_sent(tmp_path: Path) -> None:
    first = opened(tmp_path / "a.db")
    first.write([Entry(message(first)) for _ in range(3)])
    first.acknowledge([1, 2, 3])
    first._database.close()
    assert opened(tmp_path / "a.db").next_seq() == 4


def test_ok__seq_skips_what_a_power_cut_may_have_lost(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    first = opened(tmp_path / "a.db")
    first.write([Entry(message(first))])
    with first._database.transaction():
        first._database.set_meta("open", "another boot of the machine")
    assert opened(tmp_path / "a.db").next_seq() == 2 + POWER_CUT_GAP
    assert "power was cut" in caplog.text


def test_ok__full_outbox_drops_the_oldest_updates_then_the_oldest_of_all(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    outbox = opened(tmp_path / "a.db", limit=4)
    # new, update, update, end, new, end
    outbox.write([Entry(message(outbox, droppable=n in (1, 2))) for n in range(6)])
    assert seqs(outbox) == [1, 4, 5, 6]
    outbox.write([Entry(message(outbox))])
    assert seqs(outbox) == [4, 5, 6, 7]
    assert outbox.dropped == 3
    assert caplog.text.count("the outbox is full") == 1
    assert opened(tmp_path / "a.db", limit=4).dropped == 3, "the count is kept over a restart"


def test_ok__only_the_newest_state_of_a_topic_counts(tmp_path: Path) -> None:
    outbox = opened(tmp_path / "a.db")
    for count in (b"1", b"2", b"2"):
        outbox.write([Entry(Message("sereno/porch/front/person", count, retain=True))])
    outbox.write([Entry(Message("sereno/porch/front/motion", b"ON", retain=True))])
    assert [(version, m.payload) for version, m in outbox.states(0)] == [(2, b"2"), (3, b"ON")]
    assert [m.payload for _, m in outbox.states(2)] == [b"ON"]
    again = opened(tmp_path / "a.db")
    assert {m.topic: m.payload for _, m in again.states(0)} == {
        "sereno/porch/front/person": b"0",
        "sereno/porch/front/motion": b"OFF",
    }


def test_ok__states_of_a_former_device_id_are_forgotten(tmp_path: Path) -> None:
    outbox = opened(tmp_path / "a.db")
    outbox.write([Entry(Message("sereno/porch/front/person", b"1", retain=True))])
    assert Outbox(Database(tmp_path / "a.db"), 1000, "sereno/garden").states(0) == []


def test_ok__a_damaged_file_is_set_aside_and_seq_still_grows(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "a.db").write_bytes(b"this is not a database, " * 1000)
    outbox = opened(tmp_path / "a.db")
    outbox.write([Entry(message(outbox))])
    assert seqs(outbox)[0] > 1_600_000_000
    assert "is damaged" in caplog.text
    assert [path.name[:12] for path in tmp_path.glob("*damaged*")] == ["a.db.damaged"]


def test_fail__a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"cannot write to the storage folder .*/none: No such file or directory"):
        Database(tmp_path / "none" / "a.db")


class Refusing(Database):
    """A database on a disk that can be told to be full."""

    full = False

    def transaction(self):  # type: ignore[no-untyped-def]
        if self.full:
            raise sqlite3.OperationalError("database or disk is full")
        return super().transaction()


def test_ok__disk_that_refuses_costs_nothing_and_is_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(outbox_module, "RETRY_S", 0.0)
    database = Refusing(tmp_path / "a.db")
    outbox = Outbox(database, 1000, "sereno/porch")
    outbox.write([Entry(message(outbox))])
    database.full = True
    outbox.write([Entry(message(outbox)), Entry(Message("sereno/porch/front/person", b"1", retain=True))])
    outbox.write([Entry(message(outbox))])
    assert seqs(outbox) == [1], "what is not on disk is not sent"
    assert outbox.queued == 3
    assert [m.payload for _, m in outbox.states(0)] == [b"1"]
    assert "disk is full" in outbox.trouble
    assert "2 events are held" in outbox.trouble
    outbox.acknowledge([1])
    assert seqs(outbox) == []
    assert outbox.queued == 2
    told: list[bool] = []
    outbox.on_change(lambda: told.append(True))
    database.full = False
    outbox.retry()
    assert outbox.trouble == ""
    assert told == [True], "what is on disk now is to be sent"
    assert seqs(outbox) == [2, 3]
    again = opened(tmp_path / "a.db")
    assert seqs(again) == [2, 3]
    assert [m.payload for _, m in again.states(0)] == [b"0"], "a state that only memory held is on disk after all"
    assert caplog.text.count("cannot write") == 1


def test_ok__no_number_names_two_messages_after_a_full_disk_and_a_kill(tmp_path: Path) -> None:
    database = Refusing(tmp_path / "a.db")
    outbox = Outbox(database, 1000, "sereno/porch")
    outbox.write([Entry(message(outbox))])
    database.full = True
    outbox.write([Entry(message(outbox))])
    sent = seqs(outbox)
    # The process is killed: nothing more is written.
    assert opened(tmp_path / "a.db").next_seq() == max(sent) + 1 == 2


def test_ok__a_stop_tries_the_disk_once_more_and_says_what_is_lost(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    database = Refusing(tmp_path / "a.db")
    outbox = Outbox(database, 1000, "sereno/porch")
    database.full = True
    outbox.write([Entry(message(outbox))])
    outbox.finish()
    assert "still takes no writes: 1 events are lost" in caplog.text
    database.full = False
    outbox.finish()
    assert seqs(outbox) == [1]


def test_ok__memory_is_bounded_while_the_disk_refuses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbox_module, "HELD_MAX", 4)
    database = Refusing(tmp_path / "a.db")
    outbox = Outbox(database, 1000, "sereno/porch")
    database.full = True
    outbox.write([Entry(message(outbox, droppable=n in (1, 2))) for n in range(7)])
    assert outbox.queued == 4
    database.full = False
    outbox.finish()
    assert seqs(outbox) == [4, 5, 6, 7]
    assert outbox.dropped == 3


def test_ok__pictures_of_former_runs_are_known_until_the_broker_has_let_go_of_them(tmp_path: Path) -> None:
    topic = "sereno/porch/front/person/snapshot"
    outbox = opened(tmp_path / "a.db")
    outbox.write([Entry(Message(topic, b"\xff\xd8 a picture", retain=True))])
    again = opened(tmp_path / "a.db")
    assert again.pictures == [topic]
    assert again.states(0) == []
    again.write([Entry(Message(topic, b"", retain=True))])
    assert opened(tmp_path / "a.db").pictures == [topic], "nothing was acknowledged yet"
    again.forget(topic)
    assert again.states(0) == []
    assert opened(tmp_path / "a.db").pictures == []


steps = st.lists(
    st.one_of(
        st.tuples(st.just("write"), st.lists(st.booleans(), max_size=6)),
        st.tuples(st.just("acknowledge"), st.integers(0, 5)),
        st.tuples(st.just("restart"), st.just(0)),
        st.tuples(st.just("disk"), st.booleans()),
        st.tuples(st.just("retry"), st.just(0)),
    ),
    max_size=25,
)


@settings(max_examples=60, deadline=None)
@given(steps=steps)
def test_ok__whatever_happens_nothing_is_lost_repeated_or_reordered(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, object]]
) -> None:
    """Against lists as the model. A restart here is a crash: what a refusing disk never took is lost with it, and was
    never sent."""
    logging.getLogger("device.publish").setLevel(logging.CRITICAL)
    outbox_module.RETRY_S, kept = 0.0, outbox_module.RETRY_S
    folder = tmp_path_factory.mktemp("model")
    database = Refusing(folder / "a.db")
    outbox = Outbox(database, 10_000, "sereno/porch")
    waiting: list[int] = []
    held: list[int] = []
    given_out: list[int] = []
    try:
        for what, value in steps:
            if what == "write":
                entries = [Entry(message(outbox, droppable)) for droppable in value]  # type: ignore[attr-defined]
                outbox.write(entries)
                new = [entry.message.seq or 0 for entry in entries if entry.message]
                assert all(seq > max(given_out, default=0) for seq in new)
                given_out += new
                held += new
            elif what == "acknowledge":
                gone = waiting[: int(str(value))]
                outbox.acknowledge(gone)
                waiting = waiting[len(gone) :]
            elif what == "disk":
                database.full = bool(value)
            elif what == "retry":
                outbox.retry()
            elif what == "restart" and not database.full:
                outbox.retry()
                waiting, held = waiting + held, []
                database.connection.close()
                database = Refusing(folder / "a.db")
                outbox = Outbox(database, 10_000, "sereno/porch")
            if what in ("write", "retry") and not database.full:
                waiting, held = waiting + held, []
            assert seqs(outbox) == waiting
            assert outbox.queued == len(waiting) + len(held)
    finally:
        outbox_module.RETRY_S = kept
        logging.getLogger("device.publish").setLevel(logging.NOTSET)
        database.connection.close()
        shutil.rmtree(folder)
