"""How often somebody may ask for something that costs: a bucket of tokens each."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable

CAPACITY = 1024


class Rate:
    """Each key may ask `burst` times at once and `per_s` times a second after that. Memory is bounded."""

    def __init__(self, clock: Callable[[], float], burst: int, per_s: float) -> None:
        """`clock`: monotonic seconds."""
        self._clock, self._burst, self._per_s = clock, burst, per_s
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()
        self._lock = threading.Lock()

    def wait_s(self, key: str) -> float:
        """Seconds until `key` may ask again; 0: it may now, and that was counted."""
        with self._lock:
            now = self._clock()
            left, since = self._buckets.get(key, (float(self._burst), now))
            left = min(float(self._burst), left + (now - since) * self._per_s)
            allowed = left >= 1
            self._buckets[key] = (left - 1 if allowed else left, now)
            self._buckets.move_to_end(key)
            while len(self._buckets) > CAPACITY:
                self._buckets.popitem(last=False)
        return 0.0 if allowed else (1 - left) / self._per_s
