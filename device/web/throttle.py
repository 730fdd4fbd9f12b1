"""How often a login may be tried."""

from __future__ import annotations

import ipaddress
import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

FREE_TRIES = 5
"""Tries for one user name from one address before the first wait."""
FREE_TRIES_ADDRESS = 20
"""Tries from one address for any names: guessing many names does not help either."""
FIRST_WAIT_S = 2.0
LONGEST_WAIT_S = 900.0
FORGET_S = 3600.0
"""An address is as good as new after so long without a try."""
CAPACITY = 4096

Key = tuple[str, str]


@dataclass
class _Record:
    tries: int = 0
    last: float = 0.0
    until: float = 0.0


class LoginThrottle:
    """After some failures each further one doubles the wait, up to a quarter of an hour. Memory is bounded."""

    def __init__(self, clock: Callable[[], float], capacity: int = CAPACITY) -> None:
        self._clock = clock
        self._capacity = capacity
        self._names: OrderedDict[Key, _Record] = OrderedDict()
        self._addresses: OrderedDict[Key, _Record] = OrderedDict()
        self._lock = threading.Lock()

    def begin(self, address: str, user: str) -> float:
        """Seconds to wait before this login may be tried; 0: try it now, and it counts as failed until `succeeded`.

        It is counted before it is tried, so that many tries at the same moment gain nothing.
        """
        network = _network(address)
        with self._lock:
            name, whole = self._get(self._names, (network, user)), self._get(self._addresses, (network, ""))
            wait_s = max(name.until, whole.until) - self._clock()
            if wait_s > 0:
                return wait_s
            self._count(name, FREE_TRIES)
            self._count(whole, FREE_TRIES_ADDRESS)
        return 0.0

    def succeeded(self, address: str, user: str) -> None:
        """The login that was begun was right."""
        network = _network(address)
        with self._lock:
            self._names.pop((network, user), None)
            whole = self._get(self._addresses, (network, ""))
            whole.tries, whole.until = max(0, whole.tries - 1), 0.0

    def __len__(self) -> int:
        return len(self._names) + len(self._addresses)

    def _get(self, records: OrderedDict[Key, _Record], key: Key) -> _Record:
        record = records.get(key)
        if record is None or self._clock() - max(record.last, record.until) > FORGET_S:
            record = records[key] = _Record(last=self._clock())
        records.move_to_end(key)
        while len(records) > self._capacity:
            records.popitem(last=False)
        return record

    def _count(self, record: _Record, free: int) -> None:
        record.tries += 1
        record.last = self._clock()
        if record.tries > free:
            doublings = min(record.tries - free - 1, 20)
            record.until = record.last + min(FIRST_WAIT_S * 2**doublings, LONGEST_WAIT_S)


def _network(address: str) -> str:
    """`address`, or the /64 it is in: whoever has one IPv6 address has them all."""
    try:
        parsed = ipaddress.ip_address(address.split("%")[0])
    except ValueError:
        return address[:64]
    if isinstance(parsed, ipaddress.IPv6Address):
        if parsed.ipv4_mapped:
            return str(parsed.ipv4_mapped)
        return str(ipaddress.ip_network((parsed, 64), strict=False))
    return str(parsed)
