"""Messages over one connection: sent in their order, within the window that the broker allows, until acknowledged."""

from __future__ import annotations

import logging
from collections import deque

from device.publish.connection import FAILURE, Connection, address
from device.publish.messages import Message
from device.publish.outbox import Outbox

log = logging.getLogger(__name__)

WINDOW = 100
"""Messages in flight at most: enough to hide the network's delay, few enough to be sent again after a break."""
FETCH = 200
"""Messages read from the outbox at a time."""
REMOVE = 50
"""Messages removed from the outbox at a time while many are in flight; those of a break in between come again."""


class Delivery:
    """What was sent over one connection, and what of it the broker has acknowledged."""

    def __init__(self, connection: Connection, outbox: Outbox) -> None:
        self._connection = connection
        self._outbox = outbox
        self._window = min(WINDOW, connection.receive_maximum)
        self._in_flight: dict[int, Message] = {}
        self._ready: deque[Message] = deque()
        self._fetched_seq = 0
        self._done: list[int] = []
        self._sent_version = 0
        self._too_large: set[str] = set()
        self._refused: set[str] = set()
        self.refusal = ""
        self.acknowledged = 0

    @property
    def settled(self) -> bool:
        """Whether all is acknowledged, and nothing waits."""
        waiting = self._ready or self._outbox.states(self._sent_version) or self._outbox.pending(self._fetched_seq, 1)
        return self.idle and not waiting

    @property
    def idle(self) -> bool:
        """Whether all that was sent is acknowledged."""
        return not self._in_flight

    @property
    def _room(self) -> int:
        return self._window - len(self._in_flight) if self._connection.alive else 0

    def send(self, message: Message) -> None:
        """Send one message now, whatever waits."""
        if len(message.payload) + len(message.topic) + 32 > self._connection.packet_maximum:
            if message.topic not in self._too_large:
                self._too_large.add(message.topic)
                log.warning("%s: %d bytes are more than the broker takes", message.topic, len(message.payload))
            return
        packet_id = self._connection.publish(message)
        if message.qos:
            self._in_flight[packet_id] = message

    def fill(self) -> None:
        """Send what waits until the window is full: states first, all of them at a new connection, so that a broker
        which forgot them learns the truth."""
        for version, message in self._outbox.states(self._sent_version):
            if self._room <= 0:
                return
            self.send(message)
            self._sent_version = version
        while self._room > 0:
            if not self._ready:
                self._ready.extend(self._outbox.pending(self._fetched_seq, FETCH))
                if not self._ready:
                    return
                self._fetched_seq = self._ready[-1].seq or self._fetched_seq
            self.send(self._ready.popleft())

    def collect(self) -> None:
        """Take what the broker has answered: acknowledged messages leave the outbox, some at a time while many come."""
        while self._connection.answers:
            packet_id, reason = self._connection.answers.popleft()
            message = self._in_flight.pop(packet_id, None)
            if message is None:
                continue
            if reason >= FAILURE:
                self._refuse(message, reason)
            elif message.seq:
                self._done.append(message.seq)
            elif not message.payload:
                self._outbox.forget(message.topic)
        if len(self._done) >= REMOVE or self.idle or not self._connection.alive:
            self.settle()

    def settle(self) -> None:
        """Remove from the outbox what was acknowledged."""
        if self._done:
            self._outbox.acknowledge(self._done)
            self.acknowledged += len(self._done)
            self._done = []

    def _refuse(self, message: Message, reason: int) -> None:
        """A message with `seq` must not be lost, so it blocks what follows until the broker takes it; a state may."""
        sentence = (
            f"the broker at {address(self._connection.mqtt)} refuses to take {message.topic} (reason 0x{reason:02x}): "
            "its access rules must let this device publish there"
        )
        if message.seq:
            self.refusal = sentence
        elif message.topic not in self._refused:
            self._refused.add(message.topic)
            log.warning("%s", sentence)
