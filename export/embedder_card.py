"""MODEL_CARD.md of a face embedder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from export.bundle import Draft
from export.face_verification import FaceFigures, Measured, Thresholds, rate_name


@dataclass(frozen=True)
class Told:
    """What only the maker knows: what the model is, the data it saw, the command that makes it."""

    what: str
    data: Sequence[str]
    command: str


def write_card(draft: Draft, told: Told, reference: FaceFigures, measured: Measured, split: str, dataset: str) -> str:
    """The card's text.

    Args:
        reference: the float file's figures.
        measured: this file's.
        split: what the photos are called: `test` or `set aside`.
        dataset: the folder's name.
    """
    [file] = draft.files
    data = "\n".join(f"- {line}" for line in told.data) or "- as its maker knows; the photos are not in the bundle"
    figures = measured.plain
    return f"""# {draft.name}

{told.what}

Takes one face, aligned to 112x112 by five landmarks as the device does it, and gives {draft.output["size"]} numbers.
Only their direction means anything: compare two by the cosine of their angle.{_both_ways(draft)}

- `{file.path}` ({file.runtime}, {file.precision}, {len(file.content):,} bytes)

Licence: {draft.licence}.

## Intended use

Telling enrolled people apart at a door or in one's own photos, of people who have agreed to it. Not for finding
strangers, watching crowds, or guessing age, origin, mood or anything else about a person. Similarity is no proof of
identity: pair it with liveness, several frames, and a person who can be called.

## How it was made

    {told.command or "see provenance in manifest.json"}

Commit `{draft.provenance.get("git_commit", "unknown")}`. Data:

{data}

## What it scores

On `{dataset}`, {split}: {figures.photos:,} photos of {figures.people:,} people ({figures.missed} without a face that
was found; their pairs count as not matching), {len(figures.pairs.same):,} pairs of one person and
{len(figures.pairs.different):,} of two. Photo to embedding by the device's own code. Per cent; 95 % intervals in
parentheses by bootstrap over people; accuracy by LFW's folds with its standard error.

{_table(reference, figures)}

{_corrected(measured)}Cosine of this file's embeddings to the float file's: {measured.close.mean:.4f} in the mean,
{measured.close.least:.4f} at the least.

## Thresholds

{_thresholds(measured.thresholds)}

## What it is not

Light, turned heads, covered mouths, age, twins and poor cameras make errors of both kinds. Web photos of public figures
are not a fair sample of people: error rates differ between groups (NIST IR 8280), and were not measured by group here.
It cannot tell a face from a picture of a face. Measure it on your own camera before a lock hangs on it.
"""


def _both_ways(draft: Draft) -> str:
    if not draft.output.get("both_ways"):
        return ""
    return (
        " The file looks at the\nface and at its mirror image and gives the sum of both: twice the time, fewer errors "
        "of both kinds."
    )


def _table(reference: FaceFigures, figures: FaceFigures) -> str:
    rows = zip(reference.cells().items(), figures.cells().values(), strict=True)
    lines = [f"| {name} | {one} | {other} |" for (name, one), other in rows]
    return "\n".join(["| | float | this file |", "|---|---|---|", *lines])


def _corrected(measured: Measured) -> str:
    if measured.plain.rows() == measured.corrected.rows():
        return ""
    cells: Mapping[str, str] = measured.corrected.cells()
    told = ", ".join(f"{name} {cell}" for name, cell in cells.items())
    return f"With the people put right whom LFW lists twice: {told}.\n\n"


def _thresholds(thresholds: Thresholds) -> str:
    if not thresholds.values:
        return "None: too few people were set aside."
    rows = "\n".join(
        f"| {rate_name(fmr)} | {value:.4f} | {'extrapolated' if fmr in thresholds.extrapolated else 'measured'} |"
        for fmr, value in thresholds.values.items()
    )
    return f"""\
Cosine similarity at which so many pairs of two people would match, by this file: from {thresholds.pairs:,} pairs, in
each of which at least one is of {thresholds.people} people who were never trained on. What fewer than ten pairs decide
is read off the straight line that the curve is on normal-deviate axes.

| FMR | similarity | |
|---|---|---|
{rows}"""
