"""JSON that somebody else wrote: files, messages, rows that another program may have changed."""

from __future__ import annotations

import json
from typing import Any

MOST_LEVELS = 100
"""Nothing that Sereno writes is nested deeper than a few levels."""


def parsed(text: str | bytes) -> Any:
    """The value that `text` holds.

    Raises:
        ValueError: it is no JSON, or lists and objects are nested in it beyond `MOST_LEVELS`: Python would end in a
            RecursionError here, or in whatever walks through the value later.
    """
    try:
        value = json.loads(text)
    except RecursionError:
        raise _too_deep() from None
    level = [value]
    for _ in range(MOST_LEVELS + 1):
        level = [item for each in level if isinstance(each, dict | list) for item in _items(each)]
        if not level:
            return value
    raise _too_deep()


def _items(value: dict[str, Any] | list[Any]) -> list[Any]:
    return list(value.values()) if isinstance(value, dict) else value


def _too_deep() -> ValueError:
    return ValueError("lists in lists in lists, without end")
