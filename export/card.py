"""MODEL_CARD.md: what a bundle is, where it comes from, what it scores."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from export.bundle import Draft
from export.parity import Parity

LIMITS = """\
It misses and mistakes things, small and dark ones most. It was never tested for telling people apart, and must not
decide anything about them. COCO is a collection of web photos: measure on your own camera's pictures before you
rely on it."""
"""Of a detector of COCO's classes."""

INTENDED = """\
Saying what is in a camera's picture, and where, so that a program can tell of it: at home, in a workshop, in class.
Where much hangs on an event, a person looks at the picture first."""
"""Of the same."""


@dataclass(frozen=True)
class Story:
    """What only the maker knows: one paragraph on what the model is, the lines on the data it saw, what float network
    it is compared with, what it is not good for, and what it is for."""

    what: str
    data: Sequence[str]
    command: str
    compared: str = "the official network in PyTorch"
    limits: str = LIMITS
    intended: str = INTENDED


def write_card(
    draft: Draft, story: Story, results: str, closeness: dict[str, Parity], counts: str, counted: str
) -> str:
    """The card's text.

    Args:
        results: the table of mAP, Markdown.
        closeness: parity by the file's name.
        counts: which pictures were measured, in words.
        counted: which classes of a box count, in words.
    """
    kind = "int8" if draft.precision == "int8" else "float"
    files = "\n".join(
        f"- `{file.path}` ({file.runtime}, {file.precision}, {len(file.content):,} bytes)" for file in draft.files
    )
    close = "\n".join(f"- `{name}`: {parity.class_kl:.4f}" for name, parity in closeness.items())
    data = "\n".join(f"- {line}" for line in story.data)
    return f"""# {draft.name}

{story.what}

Finds {len(draft.labels)} classes ({", ".join(draft.labels[:6])}{", …" if len(draft.labels) > 6 else ""})
in pictures letterboxed to {draft.size}x{draft.size}, in {kind}:

{files}

The graphs end in six raw heads, class logits and box distributions of three strides; the device does the rest in NumPy.

Licence: {draft.licence}.

## Intended use

{story.intended}

## How it was made

    {story.command}

Commit `{draft.provenance.get("git_commit", "unknown")}`. Data:

{data}

## What it scores

mAP50-95 / mAP50 in points, by COCO's rules, confidence from 0.001, {counted}, on {counts}.
All columns are the device's own detector; "float" is {story.compared}.

{results}

mAP50-95 with 95 % intervals, pictures drawn with replacement:

{intervals(draft.metrics)}

So few pictures make a noisy figure. Closeness to the float network says more (Bernoulli KL divergence of the class
scores on the same pictures, relative to the summed confidence; 0 is the same):

{close}

## What it is not

{story.limits}
"""


def intervals(metrics: Sequence[Mapping[str, Any]]) -> str:
    """A row for each file: mAP50-95 as it is, and the difference to float in the mean of the views, as Markdown."""
    rows = ["| file | as it is | less the float network's, mean of four views |", "|---|---|---|"]
    for plain in metrics:
        if (plain["metric"], plain.get("view")) != ("mAP50-95", "as it is"):
            continue
        [mean] = [
            entry
            for entry in metrics
            if (entry["file"], entry["metric"], entry.get("view")) == (plain["file"], "mAP50-95", "mean of four")
        ]
        low, high = plain["quantized_95"]
        lost, (least, most) = mean["quantized"] - mean["float"], mean["difference_95"]
        shown = f"{plain['quantized']:.2f} ({low:.1f} to {high:.1f})"
        rows.append(f"| `{plain['file']}` | {shown} | {lost:+.2f} ({least:+.2f} to {most:+.2f}) |")
    return "\n".join(rows)
