"""One figure of the benchmark."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Row:
    """One figure. `ok` None: it could not be measured here, `detail` says why."""

    name: str
    value: float | None
    unit: str
    budget: str
    ok: bool | None
    detail: str


def row(name: str, value: float, unit: str, budget: str, detail: str = "") -> Row:
    """A measured figure beside its budget, such as `<= 1.25` or `>= 500`."""
    sign, limit = budget.split()
    ok = value <= float(limit) if sign == "<=" else value >= float(limit)
    return Row(name, round(value, 4), unit, budget, ok, detail)


def absent(name: str, unit: str, budget: str, why: str) -> Row:
    """A figure that could not be measured here."""
    return Row(name, None, unit, budget, None, why)
