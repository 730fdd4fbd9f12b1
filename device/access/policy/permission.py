"""Whether a person who was recognised may enter now. docs/access-policy.md, "Personal rules"."""

from __future__ import annotations

from device.access.policy.decision import Reason
from device.access.policy.lockout import is_trusted
from device.access.policy.observation import Now, PersonRules
from device.access.policy.rules import Rules


def refusal(person: PersonRules | None, now: Now, rules: Rules) -> Reason | None:
    """Why the person may not enter now, None where they may."""
    if person is None:
        return "fault"
    if person.schedule.kind == "never":
        return "schedule"
    if not _depends_on_time(person):
        return None
    if not is_trusted(now):
        return "clock" if rules.without_clock == "deny" else None
    if person.valid_from is not None and not now.wall_s >= person.valid_from:
        return "not_yet_valid"
    if person.valid_until is not None and not now.wall_s < person.valid_until:
        return "expired"
    return None if person.schedule.is_open(now.wall_s) else "schedule"


def _depends_on_time(person: PersonRules) -> bool:
    bounded = person.valid_from is not None or person.valid_until is not None
    return bounded or person.schedule.kind == "weekly"
