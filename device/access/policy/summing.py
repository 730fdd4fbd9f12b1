"""Like denials of passers-by become one record. docs/access-policy.md, step 7."""

from __future__ import annotations

from collections.abc import Iterator

from device.access.policy.decision import REASONS, SUMMED, Reason
from device.access.policy.rules import Rules
from device.access.policy.state import Sum


def count(sums: dict[Reason, Sum], reason: Reason, monotonic_s: float, rules: Rules) -> int:
    """Count a denial in `sums`, and return how many attempts its record stands for; 0: make none."""
    if reason not in SUMMED:
        return 1
    period = sums.get(reason)
    if period is not None and monotonic_s - period.since_s < rules.summary_s:
        sums[reason] = Sum(period.since_s, period.pending + 1)
        return 0
    sums[reason] = Sum(monotonic_s, 0)
    return 1 if period is None else period.pending + 1


def flush(sums: dict[Reason, Sum], monotonic_s: float, rules: Rules) -> Iterator[tuple[Reason, int]]:
    """End the periods of `sums` that are over, and yield what waited for a record."""
    for reason in REASONS:
        period = sums.get(reason)
        if period is None or monotonic_s - period.since_s < rules.summary_s:
            continue
        if period.pending:
            sums[reason] = Sum(monotonic_s, 0)
            yield reason, period.pending
        else:
            del sums[reason]


def flush_all(sums: dict[Reason, Sum]) -> Iterator[tuple[Reason, int]]:
    """Empty `sums`, and yield what waited for a record."""
    for reason in REASONS:
        period = sums.pop(reason, None)
        if period is not None and period.pending:
            yield reason, period.pending
