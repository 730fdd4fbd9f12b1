"""The events of the last days: what the page lists, what a reader hears as it happens, what was open at a crash."""

from __future__ import annotations

import json
import logging
import queue
import sqlite3
import threading
from dataclasses import dataclass

from device.publish.database import Database
from device.publish.messages import Payload
from device.publish.snapshots import SnapshotFolder

log = logging.getLogger(__name__)

EVENTS_MAX = 20_000
"""Events listed at most, at about 1 kB each: a camera over a busy street must not fill the card."""
SUBSCRIBER_QUEUE = 256
"""Events that a subscriber may lag behind before it is dropped."""


@dataclass(frozen=True, slots=True)
class StoredEvent:
    """One event as the list keeps it: the type of its last message, and that message's `after`."""

    type: str
    payload: Payload


def save_event(connection: sqlite3.Connection, event: StoredEvent) -> None:
    """Insert it, or replace its former state; belongs inside a transaction."""
    after = event.payload
    connection.execute(
        "INSERT INTO event VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET "
        "end_time = excluded.end_time, type = excluded.type, payload = excluded.payload",
        (
            after["id"],
            after["camera"],
            after["label"],
            after["start_time"],
            after["end_time"],
            event.type,
            json.dumps(after, ensure_ascii=False, separators=(",", ":")),
        ),
    )


class Subscription:
    """Events as they happen, for one reader. One that does not keep up is closed."""

    def __init__(self, store: EventStore) -> None:
        self._store = store
        self._queue: queue.Queue[Payload] = queue.Queue(SUBSCRIBER_QUEUE)
        self.closed = False

    def get(self, timeout_s: float) -> Payload | None:
        """The next event; None when none came in time, or when closed (see `closed`)."""
        if self.closed:
            return None
        try:
            return self._queue.get(timeout=timeout_s)
        except queue.Empty:
            return None

    def close(self) -> None:
        """Hear no more. Harmless when repeated."""
        self.closed = True
        self._store.forget(self)

    def offer(self, event: Payload) -> None:
        """Queue an event for the reader, without waiting."""
        try:
            self._queue.put_nowait(event)
        except queue.Full:
            log.info("a reader of events did not keep up and was dropped")
            self.close()


class EventStore:
    """Recent events, each the `after` of its last message and that message's `type`."""

    def __init__(self, database: Database, snapshots: SnapshotFolder) -> None:
        self._database = database
        self._snapshots = snapshots
        self._subscriptions: set[Subscription] = set()
        self._lock = threading.Lock()

    def recent(
        self, limit: int, camera: str | None = None, label: str | None = None, before: float | None = None
    ) -> list[Payload]:
        """The newest events first.

        Args:
            limit: at most so many.
            camera: only this camera's.
            label: only of this label.
            before: only those that started before this moment (seconds since 1970): the last one's `start_time` gives
            the next page.
        """
        wanted = {"camera = ?": camera, "label = ?": label, "start_time < ?": before}
        terms = [term for term, value in wanted.items() if value is not None]
        where = f"WHERE {' AND '.join(terms)}" if terms else ""
        values = [value for value in wanted.values() if value is not None]
        with self._database.lock:
            rows = self._database.connection.execute(
                f"SELECT type, payload FROM event {where} ORDER BY start_time DESC, id DESC LIMIT ?",
                (*values, max(0, limit)),
            ).fetchall()
        return [self._shown(StoredEvent(kind, json.loads(payload))) for kind, payload in rows]

    def _shown(self, event: StoredEvent) -> Payload:
        """As the page gets it: pictures that were cleared away are not promised."""
        after = event.payload
        there = after["has_snapshot"] and self._snapshots.exists(after["camera"], after["id"])
        return {**after, "type": event.type, "has_snapshot": bool(there)}

    def snapshot(self, event_id: str) -> bytes | None:
        """An event's picture (JPEG), None where there is none. `event_id` may be anything: only listed ids are looked
        up."""
        with self._database.lock:
            row = self._database.connection.execute("SELECT camera, id FROM event WHERE id = ?", (event_id,)).fetchone()
        return self._snapshots.read(row[0], row[1]) if row else None

    def open_events(self) -> list[StoredEvent]:
        """Events that have not ended, oldest first."""
        with self._database.lock:
            rows = self._database.connection.execute(
                "SELECT type, payload FROM event WHERE end_time IS NULL ORDER BY start_time"
            ).fetchall()
        return [StoredEvent(kind, json.loads(payload)) for kind, payload in rows]

    def newest_snapshots(self) -> list[tuple[str, str, bytes]]:
        """Camera, label and picture of the newest event of each label of each camera, where there is one."""
        with self._database.lock:
            rows = self._database.connection.execute(
                "SELECT camera, label, id, MAX(start_time) FROM event GROUP BY camera, label"
            ).fetchall()
        pictures = ((camera, label, self._snapshots.read(camera, event_id)) for camera, label, event_id, _ in rows)
        return [(camera, label, jpeg) for camera, label, jpeg in pictures if jpeg]

    def prune(self, now: float, max_age_s: float) -> None:
        """Drop events that started more than `max_age_s` seconds before `now`, and the oldest beyond the bound."""
        with self._database.transaction() as connection:
            connection.execute("DELETE FROM event WHERE start_time < ? AND end_time IS NOT NULL", (now - max_age_s,))
            connection.execute(
                "DELETE FROM event WHERE end_time IS NOT NULL AND id IN "
                "(SELECT id FROM event ORDER BY start_time DESC LIMIT -1 OFFSET ?)",
                (EVENTS_MAX,),
            )

    def subscribe(self) -> Subscription:
        """Hear events from now on, each in the shape of `recent`. Close it after use."""
        subscription = Subscription(self)
        with self._lock:
            self._subscriptions.add(subscription)
        return subscription

    def forget(self, subscription: Subscription) -> None:
        """Serve a subscription no more."""
        with self._lock:
            self._subscriptions.discard(subscription)

    def announce(self, event: StoredEvent) -> None:
        """Tell every subscriber of an event in the state it has now."""
        with self._lock:
            subscriptions = list(self._subscriptions)
        if subscriptions:
            shown = self._shown(event)
            for subscription in subscriptions:
                subscription.offer(shown)
