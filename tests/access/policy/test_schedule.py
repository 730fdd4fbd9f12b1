"""Weekly windows, holidays, time zones and the hours that clocks leave out or read twice."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from device.access.policy.schedule import ALWAYS, DAYS, NEVER, Schedule, Window

MADRID = "Europe/Madrid"


def weekly(start: str, end: str, *days: str, zone: str = "UTC", holidays: tuple[str, ...] = ()) -> Schedule:
    window = {"days": list(days or DAYS), "from": start, "to": end}
    return Schedule.parse({"timezone": zone, "windows": [window], "holidays": list(holidays)})


def at(text: str, zone: str = "UTC", fold: int = 0) -> float:
    """Seconds since 1970 of a local time."""
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone), fold=fold).timestamp()


def test_ok__always_and_never() -> None:
    for moment in (0.0, 1.8e9):
        assert ALWAYS.is_open(moment)
        assert not NEVER.is_open(moment)


# 2026-11-18 is a Wednesday.
@pytest.mark.parametrize(
    ("text", "is_open"),
    [
        ("2026-11-18 07:59:59", False),
        ("2026-11-18 08:00:00", True),
        ("2026-11-18 18:29:59.999999", True),
        ("2026-11-18 18:30:00", False),
        ("2026-11-19 08:00:00", False),
        ("2026-11-17 08:00:00", False),
        ("2026-11-20 12:00:00", True),
    ],
)
def test_ok__working_hours(text: str, is_open: bool) -> None:
    assert weekly("08:00", "18:30", "wed", "fri").is_open(at(text)) == is_open


@pytest.mark.parametrize(
    ("text", "is_open"),
    [
        ("2026-11-20 21:59:59", False),
        ("2026-11-20 22:00:00", True),
        ("2026-11-20 23:59:59", True),
        ("2026-11-21 00:00:00", True),
        ("2026-11-21 05:59:59", True),
        ("2026-11-21 06:00:00", False),
        ("2026-11-21 22:30:00", False),
        ("2026-11-20 03:00:00", False),
    ],
)
def test_ok__over_midnight(text: str, is_open: bool) -> None:
    assert weekly("22:00", "06:00", "fri").is_open(at(text)) == is_open


def test_ok__from_sunday_into_monday() -> None:
    night = weekly("22:00", "06:00", "sun")
    assert night.is_open(at("2026-11-23 05:00"))
    assert not night.is_open(at("2026-11-22 05:00"))


def test_ok__a_whole_day() -> None:
    day = weekly("00:00", "24:00", "wed")
    assert [
        day.is_open(at(f"2026-11-{d} {t}")) for d, t in ((17, "23:59"), (18, "00:00"), (18, "23:59"), (19, "00:00"))
    ] == [
        False,
        True,
        True,
        False,
    ]


def test_ok__equal_times_are_a_full_day() -> None:
    shift = weekly("08:00", "08:00", "wed")
    assert [
        shift.is_open(at(f"2026-11-{d} {t}")) for d, t in ((18, "07:59"), (18, "08:00"), (19, "07:59"), (19, "08:00"))
    ] == [
        False,
        True,
        True,
        False,
    ]


def test_ok__one_of_several_windows() -> None:
    data = {
        "timezone": "UTC",
        "windows": [
            {"days": ["wed"], "from": "08:00", "to": "12:00"},
            {"days": ["wed"], "from": "14:00", "to": "18:00"},
        ],
    }
    schedule = Schedule.parse(data)
    assert [schedule.is_open(at(f"2026-11-18 {t}")) for t in ("09:00", "13:00", "15:00")] == [True, False, True]


def test_ok__no_windows_is_never_open() -> None:
    assert not Schedule.parse({"timezone": "UTC"}).is_open(at("2026-11-18 12:00"))


@pytest.mark.parametrize(
    ("text", "is_open"),
    [
        ("2026-12-24 23:00", True),
        ("2026-12-25 01:00", True),
        ("2026-12-25 23:00", False),
        ("2026-12-26 01:00", False),
        ("2026-12-26 23:00", True),
    ],
)
def test_ok__no_window_starts_on_a_holiday(text: str, is_open: bool) -> None:
    assert weekly("22:00", "06:00", holidays=("2026-12-25",)).is_open(at(text)) == is_open
    assert not weekly("08:00", "18:00", holidays=("2026-12-25",)).is_open(at("2026-12-25 12:00"))


def test_ok__the_time_zone_says_which_day_it_is() -> None:
    schedule = weekly("00:00", "06:00", "thu", zone="Asia/Tokyo")
    assert schedule.is_open(at("2026-11-18 16:00"))  # Thursday, 01:00 in Tokyo.
    assert not schedule.is_open(at("2026-11-19 01:00"))


def test_ok__summer_and_winter_time() -> None:
    schedule = weekly("08:00", "09:00", zone=MADRID)
    assert schedule.is_open(at("2026-07-01 06:30"))
    assert not schedule.is_open(at("2026-07-01 07:30"))
    assert schedule.is_open(at("2026-12-01 07:30"))


# On 2026-03-29 Madrid's clocks go from 01:59:59 to 03:00:00 (at 01:00 UTC).
def test_ok__the_hour_left_out_is_never_read() -> None:
    inside = weekly("02:15", "02:45", zone=MADRID)
    midnight = at("2026-03-29 00:00", MADRID)
    assert not any(inside.is_open(midnight + 60 * minute) for minute in range(23 * 60))
    late = weekly("02:30", "06:00", zone=MADRID)
    assert not late.is_open(at("2026-03-29 00:59:59"))
    assert late.is_open(at("2026-03-29 01:00:00"))


# On 2026-10-25 they go from 02:59:59 back to 02:00:00 (at 01:00 UTC).
def test_ok__the_hour_read_twice_counts_twice() -> None:
    schedule = weekly("02:15", "02:45", zone=MADRID)
    for fold in (0, 1):
        assert not schedule.is_open(at("2026-10-25 02:14:59", MADRID, fold))
        assert schedule.is_open(at("2026-10-25 02:15", MADRID, fold))
        assert not schedule.is_open(at("2026-10-25 02:45", MADRID, fold))
    assert at("2026-10-25 02:15", MADRID, 1) - at("2026-10-25 02:15", MADRID, 0) == 3600


def test_ok__each_minute_of_a_year_by_counting() -> None:
    """Against the plain definition: list the windows as local (date, minute) pairs, then read the clock."""
    schedule = weekly("22:30", "05:15", "fri", "sun", zone=MADRID, holidays=("2026-03-27", "2026-10-25"))
    open_readings = set()
    day = date(2025, 12, 25)
    while day < date(2027, 1, 2):
        if day.weekday() in (4, 6) and day.isoformat() not in ("2026-03-27", "2026-10-25"):
            open_readings |= {(day, minute) for minute in range(22 * 60 + 30, 1440)}
            open_readings |= {(day + timedelta(days=1), minute) for minute in range(5 * 60 + 15)}
        day += timedelta(days=1)
    for minutes in range(0, 365 * 1440, 15):
        moment = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(minutes=minutes)
        local = moment.astimezone(ZoneInfo(MADRID))
        expected = (local.date(), local.hour * 60 + local.minute) in open_readings
        assert schedule.is_open(moment.timestamp()) == expected, moment


@pytest.mark.parametrize(
    "schedule",
    [ALWAYS, NEVER, weekly("22:00", "06:05", "fri", "mon", zone=MADRID, holidays=("2026-12-25", "2026-01-06"))],
)
def test_ok__data_and_back(schedule: Schedule) -> None:
    assert Schedule.parse(schedule.as_data()) == schedule


def test_ok__as_data() -> None:
    schedule = weekly("09:05", "24:00", "fri", "mon", zone=MADRID, holidays=("2026-12-25", "2026-01-06"))
    assert schedule.as_data() == {
        "timezone": "Europe/Madrid",
        "windows": [{"days": ["mon", "fri"], "from": "09:05", "to": "24:00"}],
        "holidays": ["2026-01-06", "2026-12-25"],
    }
    assert (ALWAYS.as_data(), NEVER.as_data()) == ("always", "never")
    assert Schedule("never", zone=ZoneInfo(MADRID)).as_data() == "never"


def test_ok__dates_as_yaml_reads_them() -> None:
    data: dict[str, Any] = {"timezone": "UTC", "holidays": [date(2026, 12, 25)]}
    assert Schedule.parse(data).holidays == {date(2026, 12, 25)}


def window(**other: Any) -> dict[str, Any]:
    return {"timezone": "UTC", "windows": [{"days": ["mon"], "from": "08:00", "to": "09:00", **other}]}


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        ("sometimes", "a schedule is always, never, or windows with a timezone; not 'sometimes'"),
        (None, "a schedule is always"),
        ([], "a schedule is always"),
        ({"timezone": "UTC", "window": []}, "window: a schedule has no such key; it knows holidays, timezone, windows"),
        ({"windows": []}, "timezone: None is not a time zone"),
        ({"timezone": "Europe/Atlantis"}, "timezone: 'Europe/Atlantis' is not a time zone"),
        ({"timezone": "../../etc/passwd"}, "timezone: "),
        ({"timezone": ""}, "timezone: "),
        ({"timezone": "Europe"}, "timezone: 'Europe' is not a time zone"),
        ({"timezone": "UTC", "windows": "mon"}, "windows: 'mon' is not a list"),
        ({"timezone": "UTC", "windows": 5}, "windows: 5 is not a list"),
        ({"timezone": "UTC", "windows": ["mon"]}, "windows: 'mon' is not a window with days, from and to"),
        (window(till="10:00"), "till: a schedule has no such key; it knows days, from, to"),
        (window(days=[]), r"days: \[\] are not one or more of 0 \(Monday\) to 6"),
        (window(days=["monday"]), "days: 'monday' is not one of mon, tue, wed, thu, fri, sat, sun"),
        (window(days="mon"), "days: 'mon' is not a list"),
        (window(days=[["mon"]]), r"days: \['mon'\] is not one of"),
        (window(**{"from": "8:00"}), "from: '8:00' is not a time in quotes such as \"08:00\""),
        (window(**{"from": "24:00"}), "from: 24:00 is the end of a day; write 00:00 of the next"),
        (window(**{"from": 480}), "from: 480 is not a time"),
        (window(to="24:01"), "to: '24:01' is not a time"),
        (window(to="09:60"), "to: '09:60' is not a time"),
        (window(to="09:00 "), "to: '09:00 ' is not a time"),
        (window(to=None), "to: None is not a time"),
        ({"timezone": "UTC", "holidays": ["25.12.2026"]}, "holidays: '25.12.2026' is not a date such as 2026-12-25"),
        ({"timezone": "UTC", "holidays": [20261225.5]}, "holidays: 20261225.5 is not a date"),
        ({"timezone": "UTC", "holidays": ["20261225"]}, "holidays: '20261225' is not a date"),
        ({"timezone": "UTC", "holidays": [None]}, "holidays: None is not a date"),
        ({"timezone": "UTC", "holidays": [datetime(2026, 12, 25)]}, "holidays: "),
        ({"timezone": "UTC", "holidays": "2026-12-25"}, "holidays: '2026-12-25' is not a list"),
    ],
)
def test_fail__no_schedule(data: object, sentence: str) -> None:
    with pytest.raises(ValueError, match=f"^{sentence}"):
        Schedule.parse(data)


@pytest.mark.parametrize(
    ("days", "start", "end"),
    [({7}, 0, 1), ({-1}, 0, 1), (set(), 0, 1), ({0}, -1, 1), ({0}, 1440, 1), ({0}, 0, 1441), ({0}, 0, -1)],
)
def test_fail__a_window_out_of_range(days: set[int], start: int, end: int) -> None:
    with pytest.raises(ValueError, match=r"(are not one or more|are not minutes of a day)"):
        Window(frozenset(days), start, end)


def test_ok__the_bounds_of_a_window() -> None:
    assert Window(frozenset({0, 6}), 0, 1440).end == 1440
    assert Window(frozenset({0}), 1439, 0).start == 1439


def test_fail__windows_without_a_zone() -> None:
    with pytest.raises(ValueError, match=r"^timezone: a schedule with windows needs one, such as Europe/Madrid$"):
        Schedule("weekly")
