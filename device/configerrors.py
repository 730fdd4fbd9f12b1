"""What pydantic found wrong, as sentences: the line, the key, what was given and what is allowed."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

from pydantic import ValidationError

from device.configtypes import Schema, closest, did_you_mean, find, homes, is_secret, schema, wanted
from device.yamltree import Problem, Tree, Where

MASK = "********"
_SECRET_PARAMETER = re.compile(r"(?i)([?&](?:[a-z_-]*(?:pass(?:word|wd)?|pwd|token|secret|key|auth))=)[^&#]*")


def mask_url(text: str) -> str:
    """Hide the password and any token of a URL; other text stays as it is."""
    if "://" not in text:
        return text
    try:
        place = urlsplit(text).netloc
    except ValueError:
        return MASK
    if ":" in place.rpartition("@")[0]:
        user = place.partition(":")[0]
        text = text.replace(place, f"{user}:{MASK}@{place.rpartition('@')[2]}", 1)
    return _SECRET_PARAMETER.sub(rf"\g<1>{MASK}", text)


def problems(error: ValidationError, tree: Tree, overrides: Mapping[str, object]) -> list[Problem]:
    """A problem for each thing that is wrong, each place told once.

    Args:
        error: what `Config.model_validate(tree.data)` raised.
        tree: the file, with its lines.
        overrides: keys that came from the command line, as `cameras.0.source`.
    """
    return list(_Explainer(tree, overrides).explain(error))


def wrong_type(tree: Tree, where: Where) -> Problem:
    """The problem of a truth value where a number belongs."""
    return Problem(tree.line(where), where, f"wanted {_Explainer(tree, {}).wanted(where)}, got a truth value")


def key_text(where: Where) -> str:
    """`cameras[0].fps`."""
    text = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in where)
    return text.removeprefix(".")


class _Explainer:
    def __init__(self, tree: Tree, overrides: Mapping[str, object]) -> None:
        self._tree = tree
        self._overrides = overrides
        self._schema: Schema = schema()

    def explain(self, error: ValidationError) -> Iterator[Problem]:
        told: set[Where] = set()
        for item in error.errors(include_url=False, include_context=True):
            where, text = self._sentence(item)
            if where in told or any(where[: len(broken)] == broken for broken in self._tree.broken):
                continue
            told.add(where)
            if ".".join(map(str, where)) in self._overrides:
                yield Problem(0, where, f"{text} on the command line")
            elif item["type"] == "extra_forbidden":
                yield Problem(self._tree.key_lines.get(where) or self._tree.line(where), where, text)
            else:
                yield Problem(self._tree.line(where), where, text)

    def _sentence(self, item: Any) -> tuple[Where, str]:
        kind: str = item["type"]
        where: Where = tuple(item["loc"])
        if where and where[-1] == "[key]":
            return where[:-1], f"wanted {self._bad_name(where[:-2])}, got `{where[-2]}`"
        if kind == "extra_forbidden":
            return where, self._unknown(where)
        if kind == "missing":
            return where, f"is missing; wanted {self.wanted(where)}"
        if kind in ("value_error", "assertion_error"):
            return where, str(item["ctx"]["error"])
        point = self._point(where)
        if point is not None:
            return point
        if kind in ("too_short", "too_long"):
            length = item["ctx"]["actual_length"]
            return where, f"wanted {self.wanted(where)}, got {length}"
        return where, f"wanted {self.wanted(where)}, got {self._given(where, item['input'])}{self._hint(where, item)}"

    def wanted(self, where: Where) -> str:
        """What the setting at `where` may be."""
        part = find(self._schema, where)
        return wanted(self._schema, part) if part is not None else "something else"

    def _bad_name(self, where: Where) -> str:
        names = "a zone's name" if where and where[-1] == "zones" else "a label"
        return f"{names} of lower-case letters, digits, `-` and `_`" if "zone" in names else names

    def _given(self, where: Where, value: object) -> str:
        """What the file says there, for a person; secrets and what came from elsewhere are not shown."""
        if where in self._tree.substituted:
            return f"what {self._tree.substituted[where]} holds"
        if isinstance(value, dict):
            return "a mapping"
        if isinstance(value, list):
            return "a list"
        if value is None:
            return "nothing"
        if is_secret(find(self._schema, where)):
            return "a number or a truth value: put it in quotes"
        if isinstance(value, bool):
            return f"`{str(value).lower()}`"
        text = mask_url(str(value))
        text = text if len(text) <= 60 else text[:57] + "…"
        return repr(text) if isinstance(value, str) else text

    def _hint(self, where: Where, item: Any) -> str:
        value = item["input"]
        if item["type"] == "literal_error" and isinstance(value, str) and where not in self._tree.substituted:
            part = find(self._schema, where) or {}
            return did_you_mean(value, [str(word) for word in part.get("enum", [part.get("const")])])
        if (
            item["type"] == "string_type"
            and isinstance(value, int | float)
            and not is_secret(find(self._schema, where))
        ):
            return ": put it in quotes"
        return ""

    def _point(self, where: Where) -> tuple[Where, str] | None:
        """A corner of a polygon that lies outside the picture."""
        if len(where) < 3 or not isinstance(where[-1], int) or not isinstance(where[-2], int):
            return None
        parent = where[:-1]
        point = _at(self._tree.data, parent)
        if not isinstance(point, list) or len(point) != 2 or not all(_is_number(value) for value in point):
            return None
        shown = f"[{', '.join(f'{value:g}' for value in point)}]"
        hint = "; divide pixels by the picture's width and height" if max(point) >= 2 else ""
        return parent, f"point {shown} lies outside the picture: both numbers go from 0 to 1{hint}"

    def _unknown(self, where: Where) -> str:
        key = str(where[-1])
        known = (find(self._schema, where[:-1]) or {}).get("properties", {})
        near = closest(key, known)
        if near is None and (places := homes(self._schema, key)):
            return f"unknown key; it belongs under `{places[0].removesuffix('[]')}`"
        if near is None:
            return f"unknown key; known are {', '.join(known)}" if len(known) <= 30 else "unknown key"
        return f"unknown key{did_you_mean(key, known)}"


def _at(data: Any, where: Where) -> Any:
    for step in where:
        try:
            data = data[step]
        except (KeyError, IndexError, TypeError):
            return None
    return data


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
