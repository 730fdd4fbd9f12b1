"""The publish room as its composition root sees it: a sink for events that never blocks, the list of events, and one
health."""

from __future__ import annotations

import logging
import queue
import sqlite3
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from device.config import Config
from device.datatypes import (
    AccessDecision,
    AuditHead,
    CameraState,
    DoorState,
    Event,
    LockMoved,
    ObjectCount,
    ObjectEvent,
)
from device.publish import messages, snapshots
from device.publish.anchor import Witness
from device.publish.database import Database
from device.publish.decisions import DecisionFeed, DecisionLog
from device.publish.lock import FolderLock, cannot_write
from device.publish.mqtt import MqttPublisher, Status
from device.publish.outbox import Entry, Outbox
from device.publish.store import EventStore, StoredEvent
from device.system.threads import Worker

log = logging.getLogger(__name__)

QUEUE_MAX = 10_000
"""Events waiting for the writer at most; beyond it they are lost, and counted: memory is bounded even where the disk
hangs."""
PICTURES_MAX = 32
"""Of these, so many may carry a picture (1 MB each); what comes later goes without."""
BATCH_MAX = 256
"""Events written in one transaction."""
HOUSEKEEPING_S = 300.0


@dataclass(slots=True)
class OpenEvent:
    """What the writer remembers of an object until its end."""

    jpeg: bytes | None = None
    has_snapshot: bool = False


class Publisher:
    """Takes events, writes them down in a thread of its own, and has them sent.

    `store` is the list of recent events. Opening locks the storage folder: one process at a time.
    """

    def __init__(
        self,
        config: Config,
        folder: Path,
        *,
        on_failure: Callable[[str, BaseException], None],
        base: Path | None = None,
        status: Status = dict,
        clock: Callable[[], float] = time.time,
        backoff_s: tuple[float, float] = (0.5, 30.0),
    ) -> None:
        """Args:
            config: `device`, `mqtt`, `storage` and `privacy` are read.
            folder: where to keep things, made where it is missing.
            on_failure: called when a thread of this room dies.
            base: folder that the configuration's relative paths are relative to; by default the working directory.
            status: gives the figures of the `status` topic.
            clock: seconds since 1970.
            backoff_s: of reconnecting, see MqttPublisher.
        Raises:
            InputError: the folder is in use, or cannot be written to; a TLS file is wrong.
        """
        self._config, self._clock = config, clock
        self._topics = messages.Topics.of(config.mqtt.topic_prefix, config.device.id)
        self._queue: queue.Queue[Event | threading.Event | None] = queue.Queue(QUEUE_MAX)
        self._pictures = 0
        self._pictures_lock = threading.Lock()
        self._overrun = 0
        self._open: dict[str, OpenEvent] = {}
        self._lock = FolderLock(folder)
        try:
            self._database = Database(folder / "events.db")
            self._snapshots = self._snapshot_folder(folder)
            self._outbox = Outbox(self._database, config.mqtt.outbox_max, self._topics.root, config.mqtt.enabled)
            self.store = EventStore(self._database, self._snapshots)
            self._feed: DecisionFeed | None = None
            self._mqtt = (
                MqttPublisher(
                    config.mqtt,
                    config.device.id,
                    self._outbox,
                    status=status,
                    on_failure=on_failure,
                    base=base,
                    backoff_s=backoff_s,
                )
                if config.mqtt.enabled
                else None
            )
        except sqlite3.Error as error:
            self._lock.release()
            raise cannot_write(folder, str(error)) from error
        except BaseException:
            self._lock.release()
            raise
        self._writer = Worker("events", self._write, on_failure)

    def _snapshot_folder(self, folder: Path) -> snapshots.SnapshotFolder:
        storage = self._config.storage
        try:
            return snapshots.SnapshotFolder(
                folder / "snapshots",
                max_bytes=storage.snapshots_max_mb * 2**20,
                max_age_s=storage.snapshots_max_days * 86_400,
                min_free_bytes=storage.min_free_mb * 2**20,
            )
        except OSError as error:
            raise cannot_write(folder, error) from error

    def follow(self, decisions: DecisionLog, witness: Witness) -> None:
        """Tell of a door's decisions, out of its log, and of its head, unless the broker knows better. Call before
        `start`."""
        named = self._config.privacy.publish_names
        self._feed = DecisionFeed(self._outbox, self._topics, decisions, named=named, witness=witness)
        if self._mqtt:
            self._mqtt.witness = witness

    def start(self) -> None:
        """End what a crash left open, then write and send."""
        self._end_orphans()
        if self._config.privacy.publish_snapshots:
            for camera, label, jpeg in self.store.newest_snapshots():
                self._outbox.write([Entry(messages.snapshot_message(self._topics, camera, label, jpeg))])
        else:
            # What former runs published, the broker still shows to everyone: an empty message removes it.
            self._outbox.write([Entry(messages.Message(topic, b"", retain=True)) for topic in self._outbox.pictures])
        self._writer.start()
        if self._mqtt:
            self._mqtt.start()

    def _end_orphans(self) -> None:
        """Events whose end nobody saw, since the process was killed, get it now."""
        entries = []
        for event in self.store.open_events():
            before, after = event.payload, messages.ended(event.payload)
            entries.append(self._event_entry("end", before, after))
        if entries:
            log.warning("%d events were open when sereno was last ended: they get their end now", len(entries))
            self._outbox.write(entries)

    def stop(self, drain_s: float = 10.0) -> None:
        """Write what was accepted, send for at most `drain_s` seconds in all, publish `offline`; what is left waits
        for the next start."""
        deadline = time.monotonic() + drain_s
        if not (self._enqueue(None, drain_s) and self._writer.join(max(1.0, drain_s))):
            log.warning("events were still being written when the time to stop was up")
        else:
            self._outbox.finish()
        if self._mqtt:
            self._mqtt.stop(max(0.0, deadline - time.monotonic()))
        self._database.close()
        self._lock.release()

    def accept(self, event: Event) -> None:
        """Take an event; never blocks. Beyond what memory may hold it is lost, and counted."""
        if isinstance(event, ObjectEvent) and event.best is not None:
            with self._pictures_lock:
                self._pictures += 1
                crowded = self._pictures > PICTURES_MAX
            if crowded:
                self._picture_done()
                event = replace(event, best=None)
        try:
            self._queue.put_nowait(event)
        except queue.Full:
            if self._overrun == 0:
                log.error("events come faster than they can be written: the newest are lost, and counted")
            self._overrun += 1
            if isinstance(event, ObjectEvent) and event.best is not None:
                self._picture_done()

    def _picture_done(self) -> None:
        with self._pictures_lock:
            self._pictures -= 1

    def flush(self, timeout_s: float) -> bool:
        """Wait until all that was accepted so far is written down; False when it took longer than `timeout_s`."""
        done = threading.Event()
        return self._enqueue(done, timeout_s) and done.wait(timeout_s)

    def _enqueue(self, item: threading.Event | None, timeout_s: float) -> bool:
        """Queue a word for the writer behind the events; False where there was no room in time."""
        try:
            self._queue.put(item, timeout=max(0.0, timeout_s))
        except queue.Full:
            return False
        return True

    def health(self) -> dict[str, Any]:
        """`mqtt`: as MqttPublisher.health, or state `off`. `storage`: `state` (ok, degraded) and `message`; `lost`
        counts events that found no room."""
        off = {"state": "off", "message": "", "queued": 0, "dropped": 0, "protocol": None, "broker": None}
        trouble = self._outbox.trouble or self._snapshots.trouble
        return {
            "mqtt": self._mqtt.health() if self._mqtt else off,
            "storage": {"state": "degraded" if trouble else "ok", "message": trouble, "lost": self._overrun},
        }

    def _write(self) -> None:
        housekeeping_at = time.monotonic()
        while True:
            batch, flushes, stop = self._next_batch()
            if batch:
                self._write_batch(batch)
            else:
                self._outbox.retry()
            if self._feed:
                self._feed.fill()
            for done in flushes:
                done.set()
            if stop:
                return
            if time.monotonic() >= housekeeping_at:
                self._clean_up()
                housekeeping_at = time.monotonic() + HOUSEKEEPING_S

    def _next_batch(self) -> tuple[list[Event], list[threading.Event], bool]:
        """What waits, after waiting for the first for at most a few seconds."""
        batch: list[Event] = []
        flushes: list[threading.Event] = []
        try:
            item = self._queue.get(timeout=2.0)
            while True:
                if item is None:
                    return batch, flushes, True
                if isinstance(item, threading.Event):
                    flushes.append(item)
                else:
                    batch.append(item)
                if len(batch) >= BATCH_MAX:
                    break
                item = self._queue.get_nowait()
        except queue.Empty:
            pass
        return batch, flushes, False

    def _write_batch(self, batch: list[Event]) -> None:
        entries = [entry for event in batch for entry in self._entries(event)]
        self._outbox.write(entries)
        for entry in entries:
            if entry.event:
                self.store.announce(entry.event)

    def _entries(self, event: Event) -> list[Entry]:
        if isinstance(event, ObjectCount):
            return [Entry(messages.count_message(self._topics, event))]
        if isinstance(event, CameraState):
            return [Entry(messages.state_message(self._topics, event))]
        if isinstance(event, ObjectEvent):
            return self._object_entries(event)
        return [Entry(message) for message in self._door_messages(event)]

    def _door_messages(self, event: AccessDecision | LockMoved | DoorState | AuditHead) -> list[messages.Message]:
        """States of the door; its decisions are told from the log itself."""
        if isinstance(event, AccessDecision):
            return []
        if isinstance(event, LockMoved):
            return [messages.lock_message(self._topics, event)]
        if isinstance(event, DoorState):
            return messages.door_messages(self._topics, event)
        return [messages.anchor_message(self._topics, event)]

    def _object_entries(self, event: ObjectEvent) -> list[Entry]:
        known = self._open.setdefault(event.after.id, OpenEvent())
        had_snapshot = known.has_snapshot
        if event.best is not None:
            self._keep_picture(event, known)
            self._picture_done()
        after = messages.object_payload(event.after, known.has_snapshot)
        before = after if event.type == "new" else messages.object_payload(event.before, had_snapshot)
        entries = [self._event_entry(event.type, before, after)]
        if known.jpeg and event.type != "update" and self._config.privacy.publish_snapshots:
            picture = messages.snapshot_message(self._topics, event.after.camera, event.after.label, known.jpeg)
            entries.insert(0, Entry(picture))
        if event.type == "end":
            del self._open[event.after.id]
        return entries

    def _keep_picture(self, event: ObjectEvent, known: OpenEvent) -> None:
        privacy = self._config.privacy
        if event.best is None or not (privacy.snapshots or privacy.publish_snapshots):
            return
        known.jpeg = snapshots.picture_of(event.best)
        if privacy.snapshots:
            state = event.after
            known.has_snapshot |= self._snapshots.write(state.camera, state.id, known.jpeg, self._clock())

    def _event_entry(self, kind: str, before: messages.Payload, after: messages.Payload) -> Entry:
        seq = self._outbox.next_seq()
        message = messages.event_message(self._topics, self._config.device.id, seq, kind, before, after)
        return Entry(message, StoredEvent(kind, after))

    def _clean_up(self) -> None:
        now = self._clock()
        self._snapshots.prune(now)
        try:
            self.store.prune(now, self._config.storage.snapshots_max_days * 86_400)
        except sqlite3.Error as error:
            log.warning("cannot clear away old events: %s", error)
