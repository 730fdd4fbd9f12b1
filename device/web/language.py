"""English and Spanish: the catalogues in `locale/`, and which of them a request gets."""

from __future__ import annotations

import json
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

from flask import Request

LANGUAGES = {"en": "English", "es": "Español"}
COOKIE = "sereno-language"
FOLDER = Path(__file__).parent / "locale"


class Language:
    """The texts of one language."""

    def __init__(self, code: str) -> None:
        """Raises KeyError for a language that is not in `LANGUAGES`."""
        self.code = code
        self.name = LANGUAGES[code]
        catalogue: dict[str, Any] = json.loads((FOLDER / f"{code}.json").read_text("utf-8"))
        self.texts: dict[str, str] = catalogue["texts"]
        self.labels: dict[str, str] = catalogue["labels"]

    def text(self, key: str, **values: object) -> str:
        """The text of a key with its `{values}` filled in. Raises KeyError where there is none."""
        return self.texts[key].format(**values)

    def label(self, label: str) -> str:
        """The name of a detector's label; what a door's boxes say; the label itself where the language has none."""
        return self.labels.get(label) or self.texts.get(f"label.{label}", label)


@cache
def language(code: str) -> Language:
    """The catalogue of a language, read once."""
    return Language(code)


def language_of(request: Request) -> Language:
    """By `?lang=`, else by the cookie that remembers it, else by `Accept-Language`, else English."""
    for code in (request.args.get("lang"), request.cookies.get(COOKIE)):
        if code in LANGUAGES:
            return language(code)
    return language(request.accept_languages.best_match(list(LANGUAGES)) or "en")


def moment(seconds: float) -> datetime:
    """A time by the device's clock and zone; one that no calendar has, as 1970."""
    try:
        return datetime.fromtimestamp(seconds).astimezone()
    except (OverflowError, ValueError, OSError):
        return datetime.fromtimestamp(0).astimezone()
