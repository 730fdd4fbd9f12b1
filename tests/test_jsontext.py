"""JSON of others."""

from __future__ import annotations

import json

import pytest

from device.jsontext import MOST_LEVELS, parsed


@pytest.mark.parametrize("value", [None, 1.5, "text", [], {}, {"a": [1, {"b": None}]}])
def test_ok__whatever_json_holds(value: object) -> None:
    assert parsed(json.dumps(value)) == value
    assert parsed(json.dumps(value).encode()) == value


@pytest.mark.parametrize(("before", "after"), [("[", "]"), ('{"a":', "}")])
def test_ok__as_deep_as_may_be(before: str, after: str) -> None:
    deepest = before * MOST_LEVELS + "1" + after * MOST_LEVELS
    assert json.dumps(parsed(deepest), separators=(",", ":")) == deepest
    with pytest.raises(ValueError, match="lists in lists"):
        parsed(before + deepest + after)


@pytest.mark.parametrize("text", ["", "{", "[" * 200_000, '{"a":' * 200_000, b"\xff\xfe", "9" * 10_000])
def test_fail__no_json(text: str | bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        parsed(text)
