"""What a look over a dataset finds: told as a table, as one sentence, and as a list of what could be put aside."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from device.errors import InputError

WORST = 5
"""Examples in the table."""


class Removal(NamedTuple):
    """A file that could be put aside. `sure`: nobody need choose, as between the same photo under two labels."""

    path: Path
    reason: str
    sure: bool = True


@dataclass(frozen=True)
class Finding:
    """One kind of fault."""

    what: str
    """A few words, as "unreadable photos"."""
    count: int
    sentence: str
    """What is wrong, where, and what would be right; ends without a full stop."""
    examples: tuple[str, ...] = ()
    """The worst first."""
    error: bool = False
    """Whether training must not begin."""
    removals: tuple[Removal, ...] = ()


@dataclass(frozen=True)
class Findings:
    """All of them."""

    root: Path
    task: str
    found: tuple[Finding, ...]
    header: tuple[str, ...]
    """Of the table of what there is."""
    rows: tuple[tuple[str, ...], ...]
    facts: Mapping[str, str] = field(default_factory=dict)

    @property
    def errors(self) -> tuple[Finding, ...]:
        """What must be mended before training."""
        return tuple(finding for finding in self.found if finding.error)

    @property
    def warnings(self) -> tuple[Finding, ...]:
        """What a person should know."""
        return tuple(finding for finding in self.found if not finding.error)

    @property
    def removals(self) -> tuple[Removal, ...]:
        """What could be put aside, by path, each once."""
        first: dict[Path, Removal] = {}
        for finding in self.found:
            for removal in finding.removals:
                first.setdefault(removal.path, removal)
        return tuple(first[path] for path in sorted(first))

    def sentence(self) -> str:
        """The first error, and how many more there are."""
        first, *more = self.errors
        others = f"; and {len(more)} more, see `python -m training data check {self.root}`" if more else ""
        return f"{first.sentence}{others}"

    def stop_on_errors(self) -> None:
        """Raise InputError with one sentence where there is an error."""
        if self.errors:
            raise InputError(self.sentence())

    def table(self) -> str:
        """Text for a terminal: what there is, then what is wrong with it."""
        parts = [aligned(self.header, self.rows)]
        if self.facts:
            parts.append("\n".join(f"{name}: {value}" for name, value in self.facts.items()))
        if not self.found:
            return "\n\n".join([*parts, "nothing to complain of"])
        for finding in (*self.errors, *self.warnings):
            lines = [
                f"{'ERROR' if finding.error else 'warning'}  {finding.count:>6,}  {finding.what}: {finding.sentence}"
            ]
            if finding.count > 1:
                lines += [f"                 {example}" for example in finding.examples[:WORST]]
            if finding.count > WORST and len(finding.examples) > WORST:
                lines.append(f"                 … and {len(finding.examples) - WORST:,} more")
            parts.append("\n".join(lines))
        return "\n\n".join(parts)

    def report_rows(self) -> list[tuple[str, str, str, str]]:
        """Rows for a report: severity, count, what, and the worst examples."""
        return [
            (
                "error" if finding.error else "warning",
                f"{finding.count:,}",
                finding.sentence,
                ", ".join(finding.examples[:3]),
            )
            for finding in (*self.errors, *self.warnings)
        ]


def aligned(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Columns of text: the first to the left, numbers to the right."""
    table = [tuple(header), *map(tuple, rows)]
    widths = [max(len(row[index]) for row in table) for index in range(len(header))]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if index else cell.ljust(width)
            for index, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in table
    ).rstrip()


def counted(count: int, one: str, several: str) -> str:
    """`1 photo is` or `3 photos are`: both with the number before."""
    return f"{count:,} {one if count == 1 else several}"


def share(count: int, whole: int) -> str:
    """`3 of 200 (1.5 %)`."""
    return f"{count:,} of {whole:,} ({100 * count / max(whole, 1):.1f} %)"
