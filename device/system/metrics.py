"""Counters, gauges and latencies, in the text format that Prometheus reads."""

from __future__ import annotations

import math
import threading
from collections import deque
from collections.abc import Iterator
from typing import Literal

Labels = tuple[tuple[str, str], ...]
QUANTILES = (0.5, 0.95, 0.99)


class Number:
    """A counter or a gauge: one number for each set of labels. Thread-safe; made by a Registry."""

    def __init__(self, name: str, help_text: str, kind: Literal["counter", "gauge"], lock: threading.Lock) -> None:
        self.name, self.help, self.kind = name, help_text, kind
        self._lock = lock
        self._values: dict[Labels, float] = {}

    def inc(self, amount: float = 1.0, **labels: str) -> None:
        """Add to it. Raises ValueError where a counter would fall."""
        if self.kind == "counter" and amount < 0:
            raise ValueError(f"{self.name} is a counter and cannot fall by {-amount}")
        key = _key(labels)
        with self._lock:
            self._values[key] = self._values.get(key, 0.0) + amount

    def set(self, value: float, **labels: str) -> None:
        """Set it. A counter may be set too, where the true count is kept elsewhere."""
        with self._lock:
            self._values[_key(labels)] = float(value)

    def remove(self, **labels: str) -> None:
        """Forget one set of labels; nothing happens where it is not known."""
        with self._lock:
            self._values.pop(_key(labels), None)

    def value(self, **labels: str) -> float:
        """The number now; 0 where nothing was counted."""
        with self._lock:
            return self._values.get(_key(labels), 0.0)

    def lines(self) -> Iterator[str]:
        """The samples as text."""
        with self._lock:
            values = sorted(self._values.items())
        for labels, value in values:
            yield f"{self.name}{_braces(labels)} {_number(value)}"


class Latency:
    """Durations in seconds: count and sum of all, quantiles of the last `size`. Thread-safe; made by a Registry."""

    kind = "summary"

    def __init__(self, name: str, help_text: str, lock: threading.Lock, size: int) -> None:
        self.name, self.help = name, help_text
        self._lock = lock
        self._size = size
        self._recent: dict[Labels, deque[float]] = {}
        self._totals: dict[Labels, tuple[int, float]] = {}

    def observe(self, seconds: float, **labels: str) -> None:
        """Note one duration."""
        key = _key(labels)
        with self._lock:
            self._recent.setdefault(key, deque(maxlen=self._size)).append(seconds)
            count, total = self._totals.get(key, (0, 0.0))
            self._totals[key] = count + 1, total + seconds

    def quantile(self, part: float, **labels: str) -> float:
        """The duration that `part` (0 to 1) of the last ones did not exceed, by nearest rank; nan without any."""
        with self._lock:
            recent = sorted(self._recent.get(_key(labels), ()))
        return _nearest_rank(recent, part)

    def lines(self) -> Iterator[str]:
        """The samples as text."""
        with self._lock:
            rows = [(key, sorted(recent), *self._totals[key]) for key, recent in sorted(self._recent.items())]
        for key, recent, count, total in rows:
            for part in QUANTILES:
                labels = (*key, ("quantile", f"{part:g}"))
                yield f"{self.name}{_braces(labels)} {_number(_nearest_rank(recent, part))}"
            yield f"{self.name}_sum{_braces(key)} {_number(total)}"
            yield f"{self.name}_count{_braces(key)} {count}"


class Registry:
    """All metrics of a process. Asking twice for a name gives the same metric."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._metrics: dict[str, Number | Latency] = {}

    def counter(self, name: str, help_text: str) -> Number:
        """What only rises: `sereno_frames_total`."""
        return self._number(name, help_text, "counter")

    def gauge(self, name: str, help_text: str) -> Number:
        """What rises and falls: `sereno_outbox_messages`."""
        return self._number(name, help_text, "gauge")

    def latency(self, name: str, help_text: str, size: int = 256) -> Latency:
        """Durations: `sereno_inference_seconds`."""
        found = self._metrics.setdefault(name, Latency(name, help_text, self._lock, size))
        if not isinstance(found, Latency):
            raise ValueError(f"{name} is already a {found.kind}")
        return found

    def _number(self, name: str, help_text: str, kind: Literal["counter", "gauge"]) -> Number:
        found = self._metrics.setdefault(name, Number(name, help_text, kind, self._lock))
        if not isinstance(found, Number) or found.kind != kind:
            raise ValueError(f"{name} is already a {found.kind}")
        return found

    def render(self) -> str:
        """Everything in Prometheus' text format 0.0.4."""
        lines: list[str] = []
        for name, metric in sorted(self._metrics.items()):
            help_text = metric.help.replace("\\", r"\\").replace("\n", r"\n")
            lines += [f"# HELP {name} {help_text}", f"# TYPE {name} {metric.kind}", *metric.lines()]
        return "\n".join(lines) + "\n" if lines else ""


def _key(labels: dict[str, str]) -> Labels:
    return tuple(sorted(labels.items()))


def _braces(labels: Labels) -> str:
    if not labels:
        return ""
    return "{" + ",".join(f'{name}="{_escape(value)}"' for name, value in labels) + "}"


def _escape(value: str) -> str:
    return value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")


def _number(value: float) -> str:
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    return str(int(value)) if value == int(value) and abs(value) < 1e15 else repr(value)


def _nearest_rank(ordered: list[float], part: float) -> float:
    if not ordered:
        return math.nan
    return ordered[min(len(ordered) - 1, max(0, math.ceil(part * len(ordered)) - 1))]
