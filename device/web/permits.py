"""When a person may enter, as a form has it: moments by the device's clock, and a line for each weekly window."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from device.errors import ConfigError
from device.web.doorsources import PersonView
from device.web.language import Language, moment

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
"""As schedules name them; the form has the language's own, and understands these, too."""
MOST = 4000
"""Characters of a field."""


@dataclass(frozen=True, slots=True)
class Permit:
    """Seconds since 1970, None for no limit; `schedule` is `always`, `never` or the weekly windows as JSON has them."""

    valid_from: float | None
    valid_until: float | None
    schedule: Any


def as_form(person: PersonView, language: Language) -> dict[str, str]:
    """The fields of the form as they are before somebody changes them."""
    weekly: Mapping[str, Any] = person.schedule if isinstance(person.schedule, Mapping) else {}
    names = dict(zip(DAYS, language.text("permit.days").split(), strict=True))
    windows = [
        f"{' '.join(names[day] for day in window['days'])} {window['from']}-{window['to']}"
        for window in weekly.get("windows", ())
    ]
    return {
        "from": _text(person.valid_from),
        "until": _text(person.valid_until),
        "may": "weekly" if weekly else str(person.schedule),
        "windows": "\n".join(windows),
        "holidays": " ".join(weekly.get("holidays", ())),
        "timezone": weekly.get("timezone", ""),
    }


def from_form(form: Mapping[str, str], person: PersonView, language: Language) -> Permit:
    """What the fields say. Whether the schedule is one is for the gallery to tell.

    Raises:
        ConfigError: a moment is none, a field is missing or too long.
    """
    fields = {name: form.get(name, "") for name in as_form(person, language)}
    if any(len(text) > MOST for text in fields.values()):
        raise ConfigError(f"a field has more than {MOST} characters")
    schedule: Any = fields["may"]
    if schedule == "weekly":
        schedule = {
            "timezone": fields["timezone"].strip(),
            "windows": [_window(line, language) for line in fields["windows"].splitlines() if line.strip()],
            "holidays": fields["holidays"].replace(",", " ").split(),
        }
    return Permit(
        _moment("from", fields["from"], person.valid_from),
        _moment("until", fields["until"], person.valid_until),
        schedule,
    )


def _window(line: str, language: Language) -> dict[str, Any]:
    """`mon tue 08:00-18:30`."""
    *days, span = line.replace(",", " ").split() or [""]
    start, _, end = span.partition("-")
    known = dict(zip(language.text("permit.days").split(), DAYS, strict=True))
    return {"days": [known.get(day.casefold(), day.casefold()) for day in days], "from": start, "to": end}


def _text(seconds: float | None) -> str:
    return "" if seconds is None else moment(seconds).strftime("%Y-%m-%dT%H:%M")


def _moment(name: str, text: str, before: float | None) -> float | None:
    """Seconds since 1970. What was not touched keeps its seconds."""
    if text == _text(before):
        return before
    try:
        return datetime.fromisoformat(text).timestamp() if text else None
    except (ValueError, OverflowError):
        raise ConfigError(f"{name}: {text[:40]!r} is no moment such as 2026-12-24T08:00") from None
