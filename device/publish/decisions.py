"""A door's decisions for the broker, read from the access log itself: what is in the log is told, and nothing else."""

from __future__ import annotations

import logging
from typing import Protocol

from device.datatypes import AccessDecision
from device.publish.anchor import Witness
from device.publish.messages import Topics, access_message
from device.publish.outbox import Entry, Outbox

log = logging.getLogger(__name__)

BATCH = 200
"""Decisions read from the log at a time."""


class DecisionLog(Protocol):
    """The access log, as far as its decisions are told. Any thread may ask."""

    def newest(self) -> int:
        """Number of the newest record, 0 where there is none."""

    def decisions(self, after: int, limit: int) -> list[AccessDecision]:
        """At most `limit` decisions with a `record` above `after`, in their order."""


class DecisionFeed:
    """Moves decisions from the log to the outbox, as long as that has room.

    The log is the queue: a decision that found no room in the outbox, or whose process was killed between the log and
    the outbox, is told later. How far it has come is written with the messages, in one transaction.
    """

    def __init__(self, outbox: Outbox, topics: Topics, source: DecisionLog, *, named: bool, witness: Witness) -> None:
        """Start after the last record that was told; in a new outbox with what comes from now on.

        Args:
            outbox: where messages go.
            topics: of this device.
            source: the log.
            named: put people's names into the messages.
            witness: told where the log lacks what was told of it.
        """
        self._outbox, self._topics, self._source, self._named = outbox, topics, source, named
        newest = source.newest()
        told, of = outbox.told_record, outbox.told_log
        same = told is not None and of in ("", witness.log)
        self._told = min(told, newest) if told is not None and same else newest
        # What an earlier version told bears no name: that may have been a log before this one.
        if told is not None and of == witness.log and told > newest:
            witness.lacks(told, newest)
        if (told, of) != (self._told, witness.log):
            outbox.start_at(self._told, witness.log)
        self._waiting = False

    def fill(self) -> None:
        """Write what is new in the log to the outbox, as much as it has room for."""
        while self._source.newest() > self._told:
            room = min(BATCH, self._outbox.room)
            if room == 0:
                if not self._waiting:
                    log.warning("the outbox is full: decisions wait in the access log, and are told from there")
                self._waiting = True
                return
            found = self._source.decisions(self._told, room)
            if not found:
                return
            self._outbox.write([self._entry(decision) for decision in found])
            self._told = found[-1].record
            self._waiting = False

    def _entry(self, decision: AccessDecision) -> Entry:
        message = access_message(self._topics, self._outbox.next_seq(), decision, named=self._named)
        return Entry(message, record=decision.record)
