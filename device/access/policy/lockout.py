"""Strikes, and the lockouts that they bring; what survives a restart."""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeGuard

from device.access.policy.observation import Now
from device.access.policy.rules import Rules

SCHEMA = 1
DISTRUST_S = 900.0
"""How long the door is locked out where the record of the last run can't be read."""

EARLIEST_WALL_S = 1_704_067_200.0
"""2024-01-01: a wall clock before it is wrong, whoever vouches for it."""
LATEST_WALL_S = 4_102_444_800.0
"""2100-01-01."""


def is_trusted(now: Now) -> bool:
    """Whether the wall clock can be believed."""
    return now.clock_trusted and EARLIEST_WALL_S <= now.wall_s < LATEST_WALL_S


@dataclass(frozen=True, slots=True)
class Strikes:
    """How many strikes there are, and when the last one came: `locked_s` is from then until the end of its lockout
    (0: it brought none; after a restart it may be negative, since the calm has begun before)."""

    count: int
    boot_id: str
    monotonic_s: float
    wall_s: float
    clock_trusted: bool
    locked_s: float

    @property
    def calm_s(self) -> float:
        """The monotonic time from which on the door is not locked out."""
        return self.monotonic_s + self.locked_s

    def add(self, now: Now, monotonic_s: float, rules: Rules) -> Strikes:
        """One more strike, at `monotonic_s`."""
        count = 1 if monotonic_s - self.calm_s >= rules.forgive_s else self.count + 1
        return _moment(now, count, monotonic_s, lockout_s(count, rules))

    def record(self) -> dict[str, Any]:
        """Of JSON's types; changes only when a strike is added."""
        return {
            "schema": SCHEMA,
            "strikes": self.count,
            "boot_id": self.boot_id,
            "monotonic_s": self.monotonic_s,
            "wall_s": self.wall_s,
            "clock_trusted": self.clock_trusted,
            "locked_s": self.locked_s,
        }


def _moment(now: Now, count: int, monotonic_s: float, locked_s: float) -> Strikes:
    wall_s = now.wall_s if math.isfinite(now.wall_s) else 0.0
    return Strikes(count, now.boot_id, monotonic_s, wall_s, is_trusted(now), locked_s)


NO_STRIKES = Strikes(0, "", 0.0, 0.0, False, -math.inf)


def lockout_s(strikes: int, rules: Rules) -> float:
    """How long the lockout is that this many strikes bring, in seconds."""
    if strikes < rules.lockout_after:
        return 0.0
    # Beyond 2**60 every lockout is at its longest, and larger powers of two overflow.
    return float(min(rules.lockout_max_s, rules.lockout_base_s * 2.0 ** min(60, strikes - rules.lockout_after)))


def restore(record: object, now: Now) -> Strikes:
    """The strikes of the last run, carried into this one; never a shorter lockout than was left.

    Args:
        record: what `Strikes.record` gave, None or an empty mapping where there was none. Anything else that a file
            may hold (a list, a text, a number) counts as damaged.
        now: the clocks at start.
    Raises:
        ValueError: its monotonic time is no finite number, so that no lockout could be timed.
    """
    if not math.isfinite(now.monotonic_s):
        raise ValueError(f"monotonic_s: {now.monotonic_s!r} is no moment at which a process could start")
    if record is None or (isinstance(record, Mapping) and not record):
        return NO_STRIKES
    if not _is_whole(record):
        return _moment(now, 0, now.monotonic_s, DISTRUST_S)
    old = Strikes(**{("count" if key == "strikes" else key): record[key] for key in _KINDS})
    same_boot = old.boot_id == now.boot_id
    if same_boot and now.monotonic_s >= old.monotonic_s:
        return old
    known = not same_boot and old.clock_trusted and is_trusted(now)
    elapsed = max(0.0, now.wall_s - old.wall_s) if known else 0.0
    return _moment(now, old.count, now.monotonic_s, old.locked_s - elapsed)


_KINDS: dict[str, type | tuple[type, ...]] = {
    "strikes": int,
    "boot_id": str,
    "monotonic_s": (int, float),
    "wall_s": (int, float),
    "clock_trusted": bool,
    "locked_s": (int, float),
}


def _is_whole(record: object) -> TypeGuard[Mapping[str, Any]]:
    if not isinstance(record, Mapping) or record.get("schema") != SCHEMA:
        return False
    for key, kind in _KINDS.items():
        value = record.get(key)
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
            return False
        if key != "strikes" and isinstance(value, int | float) and not abs(value) <= sys.float_info.max:
            return False
    return bool(record["strikes"] >= 0)
