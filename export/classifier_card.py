"""MODEL_CARD.md of a classifier: what it is for, what it saw, what it scores, and where it ends."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from export.bundle import Draft
from export.classification import Closeness
from export.datasets import Dataset

LIMITS = (
    "It names one of its classes whatever it is shown: a picture of none of them gets a name, too, often with high "
    "confidence. It was measured on photos of the same collection that it learnt from; other cameras, light and "
    "backgrounds were not tested. Measure it on your own photos before anything hangs on its word."
)


@dataclass(frozen=True)
class Story:
    """What only the maker knows; what is left empty, the run and the data say."""

    what: str = ""
    intended: str = "To name what a photo shows, as one of the classes below."
    data: Sequence[str] = ()
    command: str = ""
    limits: str = LIMITS


def write_card(
    draft: Draft, story: Story, dataset: Dataset, split: str, results: str, close: Mapping[str, Closeness]
) -> str:
    """The card's text.

    Args:
        split: that was measured.
        results: the table of figures, Markdown.
        close: each file's closeness to the float network, by its path.
    """
    name = dataset.root.resolve().name
    photos = {part: len(samples) for part, samples in dataset.splits.items()}
    settings = draft.provenance["training"]["settings"]
    base = draft.provenance["base"]
    began = f"began with {base['file']} ({base['licence']})" if isinstance(base, Mapping) else "began with no weights"
    network = settings.get("backbone") or settings.get("network") or settings.get("family", "network")
    what = story.what or f"A classifier ({network}) trained on `{name}`; it {began}."
    data = story.data or [f"{photos['train']} training photos of `{name}`, {photos['val']} others to choose by"]
    files = "\n".join(f"- `{f.path}` ({f.runtime}, {f.precision}, {len(f.content):,} bytes)" for f in draft.files)
    told = "\n".join(
        f"- `{path}`: {one.worse} photos are right only in float, {one.better} only here; the same class in "
        f"{100 * one.agreement:.1f} %; KL divergence of the probabilities {one.kl:.4f} nats"
        for path, one in close.items()
    )
    precision = "int8" if draft.precision == "int8" else "float"
    return f"""# {draft.name}

{what}

Names {len(draft.labels)} classes ({", ".join(draft.labels)}), in pictures of {draft.size}x{draft.size}
({draft.input["resize"]}), in {precision}:

{files}

## Intended use

{story.intended}

Licence: {draft.licence}.

## How it was made

    {story.command or draft.provenance["command"]}

Commit `{draft.provenance["git_commit"]}`. Base weights: {began.removeprefix("began with ")}. Data:

{chr(10).join(f"- {line}" for line in data)}
- {photos[split]} photos of the {split} part for the figures below: neither weights nor settings were chosen by them
- the int8 ranges come from training photos alone

## What it scores

In points, with 95 % intervals (bootstrap over the photos), on {photos[split]} photos, by the device's own classifier;
precision, recall and F1 are means over the classes, ECE is the calibration error in 15 bins.

{results}

Closeness to the float file on the same photos:

{told}

## Limits

{story.limits}
"""
