"""`/reconocer` does not look at the gallery's photos again: measured against the textbook's way, which does."""

from __future__ import annotations

from pathlib import Path

from tests.bench.recognising import compare
from tests.web.doorhouse import Models

PEOPLE, PHOTOS = 20, 5


def test_ok__a_fiftieth_of_the_textbooks_time(models: Models, lfw: Path) -> None:
    """A fifth of the gallery of the budget (100 people x 5 photos, 1/50), so a tenth is asked for; the same names."""
    seen = compare(models, lfw, PEOPLE, PHOTOS)
    assert seen.ratio <= 1 / 50 * (100 / PEOPLE)
    assert seen.probes == PEOPLE
    assert seen.same == seen.probes
    assert seen.right >= PEOPLE - 1
