"""docs/access-policy.md and the code say the same."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

from device.access.policy import REASONS, Rules
from device.access.policy.decision import FINAL, SUMMED, VERSION, Decision

PAGE = (Path(__file__).parents[3] / "docs" / "access-policy.md").read_text(encoding="utf-8")


def table(heading: str) -> list[list[str]]:
    """The cells of the first table after a line that begins with `heading`, without its head."""
    after = PAGE[PAGE.index(f"\n{heading}") :]
    rows = re.search(r"(?:^\|.*\n)+", after, re.MULTILINE)
    assert rows
    return [[cell.strip() for cell in row.strip("|").split(" | ")] for row in rows[0].splitlines()[2:]]


def test_ok__each_reason_has_its_row() -> None:
    rows = table("## Reasons")
    assert tuple(row[0].strip("|` ") for row in rows) == REASONS
    for name, _when, strike, final, summed, english, spanish in rows:
        reason = name.strip("|` ")
        assert (final == "yes") == (reason in FINAL)
        assert (summed == "yes") == (reason in SUMMED)
        assert (strike in ("yes", "see above")) == (reason in ("near_miss", "liveness"))
        assert english
        assert spanish.strip("|")


def test_ok__each_rule_has_its_default() -> None:
    rows = {row[0].strip("|` ").split("`")[0]: row[1] for row in table("`rules` (")}
    rules = {field.name: field for field in fields(Rules)}
    assert rows.keys() == rules.keys()
    for name, text in rows.items():
        default = rules[name].default
        if isinstance(default, bool):
            assert text == str(default).lower()
        elif isinstance(default, int | float):
            assert float(text) == default
        elif isinstance(default, str):
            assert text == f"`{default}`"
        else:
            assert (name, text) == ("thresholds", "none")


def test_ok__each_number_of_a_decision_is_told() -> None:
    told = {name for row in table("## A decision's numbers") for name in re.findall(r"`(\w+)`", row[0])}
    assert told | {"reason", "ended", "summed"} == {field.name for field in fields(Decision)}


def test_ok__the_version() -> None:
    assert f"specification, version {VERSION} " in PAGE
