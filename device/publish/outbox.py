"""What must reach the broker, kept until it has: numbered messages in their order, and the newest value of each
retained topic."""

from __future__ import annotations

import logging
import sqlite3
import time
from collections import deque
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from itertools import islice

from device.publish.database import Database
from device.publish.messages import Message, at_rest
from device.publish.store import StoredEvent, save_event

log = logging.getLogger(__name__)

HELD_MAX = 5_000
"""Entries kept in memory while the disk refuses, at about 2 kB each."""
RETRY_S = 5.0
"""Seconds between two attempts to write to a disk that has refused."""
TOLD = "told_record"
"""Key of the number of the last audit record of which a message was written."""
TOLD_LOG = "told_log"
"""Key of the name of the log that it is of."""
PICTURE = b""
"""What the record of states has in place of a picture: only that the broker was given one."""


@dataclass(frozen=True, slots=True)
class Entry:
    """What one event leaves behind: a message for the broker, a row in the list of events, or both. `record` is the
    number of the audit record that the message tells of."""

    message: Message | None
    event: StoredEvent | None = None
    record: int = 0


class Outbox:
    """Messages with `seq`, in SQLite until acknowledged; where the disk refuses, in memory, bounded, until it takes
    them. None is sent before it is on disk: a number that was sent and then forgotten in a kill would be given out
    again.

    Messages without `seq` are states: only the newest of a topic counts, and all of them are sent at each connection.
    """

    def __init__(self, database: Database, limit: int, root: str, queueing: bool = True) -> None:
        """Args:
        database: where it is kept.
        limit: most messages kept; beyond it droppable ones go first, oldest first.
        root: first part of this device's topics; states of other roots are forgotten.
        queueing: False where there is no broker to send to: nothing is queued then, events are listed all the same.
        """
        self._database = database
        self._limit = limit
        self._queueing = queueing
        self._held: deque[Entry] = deque()
        self._acknowledged: set[int] = set()
        self._refused_at = float("-inf")
        self._states: dict[str, tuple[int, Message]] = {}
        self._version = 0
        self._withheld = ""
        self._listeners: list[Callable[[], None]] = []
        self.trouble = ""
        self.pictures: list[str] = []
        """Topics at which the broker was given a picture in former runs, and may retain it still."""
        with database.transaction() as connection:
            self._count: int = connection.execute("SELECT COUNT(*) FROM outbox").fetchone()[0]
            self.dropped = int(database.meta("dropped") or 0)
            self._settle_states(connection, root)

    def _settle_states(self, connection: sqlite3.Connection, root: str) -> None:
        """What was in view when the process ended is so no more: counts go to 0 and alarms to OFF until told anew."""
        rows = connection.execute("SELECT topic, payload FROM state").fetchall()
        connection.execute("DELETE FROM state")
        for topic, payload in rows:
            if not topic.startswith(f"{root}/"):
                continue
            if payload == PICTURE:
                self.pictures.append(topic)
                connection.execute("INSERT INTO state VALUES (?, ?)", (topic, PICTURE))
            else:
                self._put_state(connection, Message(topic, at_rest(bytes(payload)), retain=True))

    def on_change(self, listener: Callable[[], None]) -> None:
        """Call `listener` after each write that left something to send. It must not block."""
        self._listeners.append(listener)

    def next_seq(self) -> int:
        """A number that no message had before. Call in the order in which messages are then written."""
        with self._database.lock:
            seq = self._database.next_seq
            self._database.next_seq += 1
            return seq

    def write(self, entries: Sequence[Entry]) -> None:
        """Keep `entries`, in one transaction. Never raises for a disk that refuses: they stay in memory then."""
        with self._database.lock:
            self._held.extend(entries)
            if time.monotonic() - self._refused_at >= RETRY_S:
                self._flush()
            if self._held:
                self._trim_held()
        self._tell()

    def _tell(self) -> None:
        for listener in self._listeners:
            listener()

    def retry(self) -> None:
        """Try again what the disk has refused; costs nothing where there is nothing. Call every few seconds."""
        with self._database.lock:
            waiting = self._held or self._acknowledged or self.trouble
            if not waiting or time.monotonic() - self._refused_at < RETRY_S:
                return
            self._flush()
        self._tell()

    def finish(self) -> None:
        """The last attempt to write what the disk has refused; call when no more will be written."""
        with self._database.lock:
            if self._held or self._acknowledged:
                self._flush()
            if self._held:
                log.error("%s still takes no writes: %d events are lost", self._database.path, len(self._held))
        self._tell()

    def _flush(self) -> None:
        count, dropped = self._count, self.dropped
        try:
            with self._database.transaction() as connection:
                self._delete(connection, self._acknowledged)
                self._insert(connection, [entry.message for entry in self._held if entry.message])
                for entry in self._held:
                    if entry.event:
                        save_event(connection, entry.event)
                if told := max((entry.record for entry in self._held), default=0):
                    self._database.set_meta(TOLD, str(told))
                self._trim(connection)
                if self.trouble:
                    for _, state in self._states.values():
                        if not state.lasting:
                            self._record(connection, state)
                self._database.remember_seq()
        except sqlite3.Error as error:
            self._count, self.dropped = count, dropped
            self._refused(error)
            # States live in memory anyway; what could not be written is only their record for after a crash.
            for entry in self._held:
                if entry.message and entry.message.seq is None:
                    self._remember(entry.message)
        else:
            self._held.clear()
            self._acknowledged.clear()
            if self.trouble:
                log.warning("the storage folder takes writes again: nothing is held in memory any more")
                self.trouble = ""

    def _insert(self, connection: sqlite3.Connection, messages: Iterable[Message]) -> None:
        rows = []
        for message in messages:
            if message.seq is None:
                self._put_state(connection, message)
            elif self._queueing:
                rows.append(
                    (message.seq, message.topic, message.payload, message.qos, message.retain, message.droppable)
                )
        connection.executemany("INSERT INTO outbox VALUES (?, ?, ?, ?, ?, ?)", rows)
        self._count += len(rows)

    def _put_state(self, connection: sqlite3.Connection, message: Message) -> None:
        """Remember the newest value."""
        if self._remember(message) and not message.lasting:
            self._record(connection, message)

    def _record(self, connection: sqlite3.Connection, message: Message) -> None:
        """On disk only what is a word: pictures are on disk already."""
        word = message.payload if len(message.payload) <= 8 else PICTURE
        connection.execute("INSERT OR REPLACE INTO state VALUES (?, ?)", (message.topic, word))

    def _remember(self, message: Message) -> bool:
        """Whether the value is news."""
        known = self._states.get(message.topic)
        if known and known[1].payload == message.payload:
            return False
        self._version += 1
        self._states[message.topic] = (self._version, message)
        return True

    def _trim(self, connection: sqlite3.Connection) -> None:
        excess = self._count - self._limit
        if excess <= 0:
            return
        gone = connection.execute(
            "DELETE FROM outbox WHERE seq IN (SELECT seq FROM outbox WHERE droppable = 1 ORDER BY seq LIMIT ?)",
            (excess,),
        ).rowcount
        gone += connection.execute(
            "DELETE FROM outbox WHERE seq IN (SELECT seq FROM outbox ORDER BY seq LIMIT ?)", (excess - gone,)
        ).rowcount
        self._count -= gone
        self._drop(gone)
        self._database.set_meta("dropped", str(self.dropped))

    def _trim_held(self) -> None:
        """States were remembered already, so only numbered messages stay; beyond the bound updates go first."""
        self._held = deque(entry for entry in self._held if entry.event or (entry.message and entry.message.seq))
        excess = len(self._held) - min(HELD_MAX, self._limit)
        if excess <= 0:
            return
        doomed = set(islice((i for i, e in enumerate(self._held) if not e.message or e.message.droppable), excess))
        rest = (i for i in range(len(self._held)) if i not in doomed)
        doomed.update(islice(rest, excess - len(doomed)))
        self._held = deque(entry for i, entry in enumerate(self._held) if i not in doomed)
        self._drop(len(doomed))

    def _drop(self, count: int) -> None:
        if self.dropped == 0:
            log.warning("the outbox is full (%d messages): the oldest updates are dropped, and counted", self._limit)
        self.dropped += count

    def _refused(self, error: sqlite3.Error) -> None:
        self._refused_at = time.monotonic()
        if not self.trouble:
            log.error(
                "cannot write to %s: %s; events are held in memory, unsent, until it can", self._database.path, error
            )
        self.trouble = f"cannot write to {self._database.path}: {error}; {len(self._held)} events are held in memory"

    def pending(self, after: int, limit: int) -> list[Message]:
        """At most `limit` messages with a `seq` above `after`, in their order; none that is not on disk."""
        with self._database.lock:
            if after >= self._database.next_seq - 1:
                return []
            try:
                rows = self._database.connection.execute(
                    "SELECT topic, payload, qos, retain, seq, droppable FROM outbox WHERE seq > ? ORDER BY seq LIMIT ?",
                    (after, limit + len(self._acknowledged)),
                ).fetchall()
            except sqlite3.Error as error:
                self._refused(error)
                return []
            messages = [Message(t, bytes(p), q, bool(r), s, bool(d)) for t, p, q, r, s, d in rows]
            return [message for message in messages if message.seq not in self._acknowledged][:limit]

    def acknowledge(self, seqs: Collection[int]) -> None:
        """The broker has these: remove them."""
        with self._database.lock:
            self._acknowledged |= set(seqs)
            if self.trouble:
                return
            count = self._count
            try:
                with self._database.transaction() as connection:
                    self._delete(connection, self._acknowledged)
                self._acknowledged.clear()
            except sqlite3.Error as error:
                self._count = count
                self._refused(error)

    def _delete(self, connection: sqlite3.Connection, seqs: Iterable[int]) -> None:
        for seq in seqs:
            self._count -= connection.execute("DELETE FROM outbox WHERE seq = ?", (seq,)).rowcount

    def states(self, after: int) -> list[tuple[int, Message]]:
        """Retained states with a version above `after`, oldest version first."""
        with self._database.lock:
            if self._version <= after:
                return []
            news = (s for topic, s in self._states.items() if s[0] > after and topic != self._withheld)
            return sorted(news, key=lambda state: state[0])

    def withhold(self, topic: str) -> None:
        """Send no state of this topic any more: what the broker retains there stays."""
        self._withheld = topic

    def forget(self, topic: str) -> None:
        """The broker has let go of what it retained there: say no more of it, unless there is a new value since."""
        with self._database.lock:
            known = self._states.get(topic)
            if known is None or known[1].payload:
                return
            del self._states[topic]
            if self.trouble:
                return
            try:
                with self._database.transaction() as connection:
                    connection.execute("DELETE FROM state WHERE topic = ?", (topic,))
            except sqlite3.Error as error:
                self._refused(error)

    @property
    def room(self) -> int:
        """Messages that can be written now without another's being dropped; 0 while the disk refuses."""
        with self._database.lock:
            return 0 if self.trouble or self._held else max(0, self._limit - self._count)

    @property
    def told_record(self) -> int | None:
        """The number of the last audit record of which a message was written; None where none ever was."""
        told = self._database.meta(TOLD)
        return int(told) if told else None

    @property
    def told_log(self) -> str:
        """The name of the log that `told_record` is of; empty where none was kept."""
        return self._database.meta(TOLD_LOG)

    def start_at(self, record: int, log_name: str) -> None:
        """Tell of no record of that log up to this number."""
        with self._database.transaction():
            self._database.set_meta(TOLD, str(record))
            self._database.set_meta(TOLD_LOG, log_name)

    @property
    def queued(self) -> int:
        """Messages that the broker has not acknowledged."""
        with self._database.lock:
            held = sum(1 for entry in self._held if entry.message and entry.message.seq)
            return max(0, self._count + held - len(self._acknowledged)) if self._queueing else 0
