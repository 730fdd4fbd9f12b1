"""When a person may enter: weekly windows in a time zone, without holidays. No clock of its own."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Literal
from zoneinfo import ZoneInfo

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
DAY_MINUTES = 24 * 60

_TIME = re.compile(r"([01]\d|2[0-3]):([0-5]\d)|24:00")
_KEYS = frozenset({"timezone", "windows", "holidays"})
_WINDOW_KEYS = frozenset({"days", "from", "to"})


@dataclass(frozen=True, slots=True)
class Window:
    """From `start` up to, not including, `end` (minutes of the local day) on each of `days` (0: Monday).

    An `end` that is not after `start` is on the next day; the window belongs to the day on which it starts.
    """

    days: frozenset[int]
    start: int
    end: int

    def __post_init__(self) -> None:
        """Raises ValueError where a number is out of range."""
        if not self.days or not all(day in range(len(DAYS)) for day in self.days):
            raise ValueError(f"days: {sorted(self.days)} are not one or more of 0 (Monday) to 6")
        if not (0 <= self.start < DAY_MINUTES and 0 <= self.end <= DAY_MINUTES):
            raise ValueError(f"from {self.start} to {self.end} are not minutes of a day")

    def covers(self, minute: int, today: date, holidays: frozenset[date]) -> bool:
        """Whether the window is open in that minute of the local day `today`."""
        yesterday = today - timedelta(days=1)
        if self.start < self.end:
            return self.start <= minute < self.end and self._begins(today, holidays)
        late = self.start <= minute and self._begins(today, holidays)
        return late or (minute < self.end and self._begins(yesterday, holidays))

    def _begins(self, day: date, holidays: frozenset[date]) -> bool:
        return day.weekday() in self.days and day not in holidays


@dataclass(frozen=True, slots=True)
class Schedule:
    """`always`, `never`, or `weekly`: open in any of `windows`, read on a clock in `zone`. A window does not start on
    a day of `holidays`."""

    kind: Literal["always", "never", "weekly"]
    windows: tuple[Window, ...] = ()
    holidays: frozenset[date] = frozenset()
    zone: ZoneInfo | None = None

    def __post_init__(self) -> None:
        """Raises ValueError where a weekly schedule has no zone."""
        if self.kind == "weekly" and self.zone is None:
            raise ValueError("timezone: a schedule with windows needs one, such as Europe/Madrid")

    def is_open(self, wall_s: float) -> bool:
        """Whether a person of this schedule may enter at that moment (seconds since 1970)."""
        if self.kind != "weekly":
            return self.kind == "always"
        local = datetime.fromtimestamp(math.floor(wall_s), self.zone)
        minute, today = local.hour * 60 + local.minute, local.date()
        return any(window.covers(minute, today, self.holidays) for window in self.windows)

    def as_data(self) -> str | dict[str, Any]:
        """What `parse` reads, of JSON's types."""
        if self.zone is None or self.kind != "weekly":
            return self.kind
        return {
            "timezone": self.zone.key,
            "windows": [
                {"days": [DAYS[day] for day in sorted(w.days)], "from": _clock(w.start), "to": _clock(w.end)}
                for w in self.windows
            ],
            "holidays": [day.isoformat() for day in sorted(self.holidays)],
        }

    @classmethod
    def parse(cls, data: object) -> Schedule:
        """A schedule from what JSON or YAML gives: see "Schedules" in docs/access-policy.md.

        Raises:
            ValueError: it is no schedule; the text says what was wrong and what would be right.
        """
        if data == "always":
            return ALWAYS
        if data == "never":
            return NEVER
        if not isinstance(data, Mapping):
            raise ValueError(f"a schedule is always, never, or windows with a timezone; not {data!r}")
        _refuse_unknown(data, _KEYS)
        return cls(
            "weekly",
            tuple(_parse_window(window) for window in _list(data, "windows")),
            frozenset(_parse_date(day) for day in _list(data, "holidays")),
            _parse_zone(data.get("timezone")),
        )


ALWAYS = Schedule("always")
NEVER = Schedule("never")


def _clock(minute: int) -> str:
    return f"{minute // 60:02}:{minute % 60:02}"


def _refuse_unknown(data: Mapping[Any, Any], known: frozenset[str]) -> None:
    unknown = sorted(str(key) for key in data if key not in known)
    if unknown:
        raise ValueError(f"{unknown[0]}: a schedule has no such key; it knows {', '.join(sorted(known))}")


def _list(data: Mapping[Any, Any], key: str) -> Sequence[Any]:
    value = data.get(key, [])
    if not isinstance(value, Sequence) or isinstance(value, str):
        raise ValueError(f"{key}: {value!r} is not a list")
    return value


def _parse_window(data: object) -> Window:
    if not isinstance(data, Mapping):
        raise ValueError(f"windows: {data!r} is not a window with days, from and to")
    _refuse_unknown(data, _WINDOW_KEYS)
    names = _list(data, "days")
    for name in names:
        if name not in DAYS:
            raise ValueError(f"days: {name!r} is not one of {', '.join(DAYS)}")
    start, end = (_parse_minute(data.get(key), key) for key in ("from", "to"))
    if start == DAY_MINUTES:
        raise ValueError("from: 24:00 is the end of a day; write 00:00 of the next")
    return Window(frozenset(DAYS.index(name) for name in names), start, end)


def _parse_minute(text: object, key: str) -> int:
    if not isinstance(text, str) or not _TIME.fullmatch(text):
        raise ValueError(f'{key}: {text!r} is not a time in quotes such as "08:00"')
    return int(text[:2]) * 60 + int(text[3:])


def _parse_date(day: object) -> date:
    if isinstance(day, date) and not isinstance(day, datetime):
        return day
    try:
        if isinstance(day, str) and date.fromisoformat(day).isoformat() == day:
            return date.fromisoformat(day)
    except ValueError:
        pass
    raise ValueError(f"holidays: {day!r} is not a date such as 2026-12-25")


def _parse_zone(name: object) -> ZoneInfo:
    try:
        return ZoneInfo(str(name))
    except (ValueError, OSError, KeyError):  # A KeyError is ZoneInfo's "not found", an OSError its folder.
        raise ValueError(f"timezone: {name!r} is not a time zone of this machine, such as Europe/Madrid") from None
