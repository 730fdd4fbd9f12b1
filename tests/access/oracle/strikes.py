"""Strikes, lockouts, and what a restart makes of them: docs/access-policy.md, "Strikes and lockouts"."""

from __future__ import annotations

import math
import sys
from typing import Any, TypeGuard

from device.access.policy import Now, Rules

DEFECTIVE_RECORD_S = 900.0
RECORD = ("schema", "strikes", "boot_id", "monotonic_s", "wall_s", "clock_trusted", "locked_s")


def trusted(now: Now) -> bool:
    """Whether the wall clock is."""
    return bool(now.clock_trusted) and 1704067200 <= now.wall_s < 4102444800


def whole(record: object) -> TypeGuard[dict[str, Any]]:
    """Whether a record of the strikes is complete."""

    def number(value: object) -> bool:
        if not isinstance(value, int | float) or isinstance(value, bool):
            return False
        return -sys.float_info.max <= value <= sys.float_info.max

    return (
        isinstance(record, dict)
        and record.get("schema") == 1
        and isinstance(record.get("strikes"), int)
        and not isinstance(record.get("strikes"), bool)
        and record["strikes"] >= 0
        and isinstance(record.get("boot_id"), str)
        and isinstance(record.get("clock_trusted"), bool)
        and all(number(record.get(key)) for key in ("monotonic_s", "wall_s", "locked_s"))
    )


def moment(now: Now, m: float, count: int, locked_s: float) -> dict[str, Any]:
    """What `strikes` holds."""
    return {
        "schema": 1,
        "strikes": count,
        "boot_id": now.boot_id,
        "monotonic_s": m,
        "wall_s": now.wall_s if math.isfinite(now.wall_s) else 0,
        "clock_trusted": trusted(now),
        "locked_s": locked_s,
    }


class Strikes:
    """How many there are, and the last one's moment: `held` is the record."""

    def __init__(self, record: object, now: Now) -> None:
        """`State.restore(record, now)`."""
        if record is None or (isinstance(record, dict) and len(record) == 0):
            self.held = {"strikes": 0, "monotonic_s": 0.0, "locked_s": -math.inf}
            return
        if not whole(record):
            self.held = moment(now, now.monotonic_s, 0, DEFECTIVE_RECORD_S)
            return
        if record["boot_id"] == now.boot_id and now.monotonic_s >= record["monotonic_s"]:
            self.held = {key: record[key] for key in RECORD}
            return
        elapsed = 0.0
        if record["boot_id"] != now.boot_id and record["clock_trusted"] and trusted(now):
            elapsed = max(0.0, now.wall_s - record["wall_s"])
        self.held = moment(now, now.monotonic_s, record["strikes"], record["locked_s"] - elapsed)

    def persistent(self) -> dict[str, Any]:
        """What outlives the process."""
        return {} if self.held["strikes"] == 0 and self.held["locked_s"] <= 0 else dict(self.held)

    def calm(self) -> float:
        """The end of the last lockout."""
        return self.held["monotonic_s"] + self.held["locked_s"]

    def add(self, now: Now, m: float, rules: Rules) -> None:
        """One more failed attempt that came near somebody, at m."""
        count = 1 if m - self.calm() >= rules.forgive_s else self.held["strikes"] + 1
        locked_s = 0.0
        if count >= rules.lockout_after:
            locked_s = min(rules.lockout_max_s, rules.lockout_base_s * 2.0 ** min(60, count - rules.lockout_after))
        self.held = moment(now, m, count, locked_s)
