"""docs/access-policy.md and the code say the same."""

from __future__ import annotations

import re
import sys
from dataclasses import FrozenInstanceError, fields, is_dataclass
from pathlib import Path

import pytest

from device.access.policy import REASONS, DoorFacts, FaceView, FrameFacts, GalleryFacts, Observation, Rules
from device.access.policy.decision import FINAL, SUMMED, VERSION, Decision
from tests.access.policy.scene import LIVE

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


MODULES = [module for name, module in sys.modules.items() if name.startswith("device.access.policy.")]
KINDS = {kind for module in MODULES for kind in vars(module).values() if isinstance(kind, type) and is_dataclass(kind)}


@pytest.mark.parametrize("kind", sorted(KINDS, key=lambda kind: kind.__name__))
def test_fail__what_the_policy_is_told_or_remembers_cannot_be_changed(kind: type) -> None:
    """A pure function leaves its arguments as they are."""
    with pytest.raises(FrozenInstanceError):
        setattr(object.__new__(kind), fields(kind)[0].name, 0)


def test_ok__what_an_observation_leaves_out_is_none() -> None:
    face = FaceView(1, True, 1.0, (), None, LIVE)
    look = Observation(FrameFacts(0, 0.0, ""), (face,), GalleryFacts(1))
    assert (face.person, look.door, look.gallery.fault, look.fault) == (None, DoorFacts("absent", False), "", "")
