"""Weekly schedules, by "Schedules" in docs/access-policy.md."""

from __future__ import annotations

import math
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


@lru_cache(maxsize=64)
def minutes(text: str) -> int:
    """ "HH:MM" since midnight."""
    hours, rest = text.split(":")
    return 60 * int(hours) + int(rest)


def open_at(data: dict[str, Any], wall_s: float) -> bool:
    """Whether a window is open at that moment (seconds since 1970).

    Args:
        data: `timezone`, `windows`, and `holidays` where there are some.
        wall_s: seconds since 1970.
    """
    clock = datetime.fromtimestamp(math.floor(wall_s), ZoneInfo(data["timezone"]))
    reading = 60 * clock.hour + clock.minute
    today, yesterday = clock.date(), clock.date() - timedelta(days=1)
    holidays = data.get("holidays", [])

    for window in data["windows"]:
        starts_today = DAYS[today.weekday()] in window["days"] and today.isoformat() not in holidays
        started_yesterday = DAYS[yesterday.weekday()] in window["days"] and yesterday.isoformat() not in holidays
        begin, end = minutes(window["from"]), minutes(window["to"])
        if begin < end:
            if starts_today and begin <= reading < end:
                return True
        elif (starts_today and reading >= begin) or (started_yesterday and reading < end):
            return True
    return False
