"""How far a long piece of work is, and when it will be done."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar

from tqdm import tqdm

Item = TypeVar("Item")
EVERY_S = 15.0
"""Seconds between lines where there is no terminal."""


class Progress(Iterable[Item]):
    """A bar with the time that is left on a terminal; elsewhere (a log, a pipe) a line now and then.

    Iterate over it, or, made of a number, call `advance`.
    """

    def __init__(
        self,
        work: Iterable[Item] | int,
        description: str,
        *,
        unit: str = "it",
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._items: Iterable[Any] = range(work) if isinstance(work, int) else work
        self.total = work if isinstance(work, int) else _length(work)
        self.description = description
        self._clock = clock
        self._begun = self._told = clock()
        self.done = 0
        self._notes = ""
        self._bar = tqdm(
            total=self.total, desc=description, unit=unit, leave=False, dynamic_ncols=True, disable=not _terminal()
        )

    def __iter__(self) -> Iterator[Item]:
        try:
            for item in self._items:
                yield item
                self.advance()
        finally:
            self.close()

    def __len__(self) -> int:
        return self.total or 0

    def __enter__(self) -> Progress[Item]:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def advance(self, steps: int = 1) -> None:
        """`steps` more are done."""
        self.done += steps
        self._bar.update(steps)
        now = self._clock()
        if self._bar.disable and now - self._told >= EVERY_S:
            self._told = now
            print(self.line(now), file=sys.stderr, flush=True)

    def note(self, **values: float | str) -> None:
        """Show values beside the bar: `note(loss=0.31)`."""
        self._notes = ", ".join(
            f"{name} {value:.4g}" if isinstance(value, float) else f"{name} {value}" for name, value in values.items()
        )
        self._bar.set_postfix_str(self._notes, refresh=False)

    def line(self, now: float) -> str:
        """`epoch 3: 120 of 400 (30 %), 2:10 left, loss 0.31`."""
        parts = [f"{self.description}: {self.done}"]
        if self.total:
            parts[0] += f" of {self.total} ({100 * self.done // self.total} %)"
            if 0 < self.done < self.total:
                left_s = (now - self._begun) / self.done * (self.total - self.done)
                parts.append(f"{tqdm.format_interval(left_s)} left")
        if self._notes:
            parts.append(self._notes)
        return ", ".join(parts)

    def close(self) -> None:
        """Take the bar away."""
        self._bar.close()


def progress(work: Iterable[Item] | int, description: str, *, unit: str = "it") -> Progress[Item]:
    """A bar over `work`, or over that many steps."""
    return Progress(work, description, unit=unit)


class BarAwareHandler(logging.Handler):
    """Logs to stderr, above a bar where there is one."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write one line."""
        tqdm.write(self.format(record), file=sys.stderr)


def _length(work: Any) -> int | None:
    try:
        return len(work)
    except TypeError:
        return None


def _terminal() -> bool:
    return sys.stderr is not None and sys.stderr.isatty()
