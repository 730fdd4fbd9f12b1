"""`compare-faces`: the page, the table and the pictures of face models side by side."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from training.facemodels.comparison import ASIDE_DRAWS, Compared, Wanted, compare
from training.facemodels.models import BundleModel, open_models
from training.facemodels.people import Photos, gather
from training.faces.plots import det_picture
from training.reporting.page import Report
from training.reporting.plots import bars, confusion
from training.runs import Run


def compare_faces(
    named: Sequence[str], known: Path, unknown: Path, aside: Path | None, wanted: Wanted, out: Path
) -> list[Compared]:
    """Measure the models, and write report.html and report.json into `out`.

    Args:
        named: what `open_models` takes.
        known: photos of people who are enrolled, a folder each.
        unknown: photos of strangers.
        aside: people of neither, from whom thresholds come.
        wanted: the trial.
        out: a run folder that is not there yet.
    Raises:
        ConfigError, InputError: see `open_models` and `gather`.
    """
    models = open_models(named)
    trained = [model.trained for model in models if isinstance(model, BundleModel)]
    photos = gather(known, unknown, aside, wanted.enrol, wanted.seed, trained)
    settings = {"models": list(named), "known": known, "unknown": unknown, "aside": aside, **wanted.__dict__}
    run = Run(out, {"family": "compare-faces", **settings}, resume=False)
    found = compare(models, photos, wanted, lambda line: run.log.info("%s", line))
    report = _report(found, photos, wanted)
    report.run_facts(run, photos.counts())
    report.write(run, {"models": [_plain(one) for one in found]})
    return found


def _report(found: Sequence[Compared], photos: Photos, wanted: Wanted) -> Report:
    people = len({photo.person for photo in photos.known})
    report = Report(
        "Face models compared",
        f"{people} people are enrolled with {wanted.enrol} photos each; their other photos and strangers' come to the "
        f"door. Faces found and aligned as the device does it.",
    )
    best = min(found, key=lambda one: (-one.confusion.known, one.confusion.strangers_named))
    report.headline({"most people known": best.name, "named rightly": _percent(best.confusion.known)})
    _add_confusion(report, found, photos, wanted)
    _add_curves(report, found)
    _add_costs(report, found, wanted)
    return report


CONFUSION = ("model", "known: named rightly", "by another's name", "not named", "strangers: named", "not named")


def _add_confusion(report: Report, found: Sequence[Compared], photos: Photos, wanted: Wanted) -> None:
    note = (
        f"Photos, at each model's own threshold: the one that should give {100 * wanted.fpir:g} % of strangers' photos "
        "a name. In parentheses 95 % intervals by bootstrap over people."
    )
    report.table("Known and unknown", CONFUSION, [_confusion_row(one) for one in found], note)
    rows = [
        [one.name, f"{one.threshold.value:.4g}", "extrapolated" if one.threshold.extrapolated else "measured",
         f"{one.threshold.fmr:.1e}", one.threshold.comparisons]
        for one in found
    ]  # fmt: skip
    note = (
        f"Thresholds come from {len({photo.person for photo in photos.aside})} people who are neither known nor "
        f"strangers here, enrolled {ASIDE_DRAWS} times with other photos and compared with each other; each "
        "comparison is allowed an FMR of 1 - (1 - FPIR)^(1/people). Each model has a measure of its own."
    )
    report.table("Thresholds", ["model", "threshold", "", "FMR each", "comparisons"], rows, note)
    for one in found:
        counts = one.confusion
        matrix = [[counts.right + counts.wrong, counts.denied], [counts.named, counts.refused]]
        picture = confusion(np.array(matrix), ["known", "unknown"], title=one.name)
        caption = f"{one.name}: {counts.wrong} of the known that were named got another's name."
        report.picture(f"confusion-{one.name}", picture, caption, "Confusion matrices")


def _confusion_row(one: Compared) -> list[str]:
    counts = one.confusion
    return [
        one.name,
        f"{_percent(counts.known)} ({_span(counts.known_interval)}), {counts.right}",
        str(counts.wrong),
        str(counts.denied),
        f"{_percent(counts.strangers_named)} ({_span(counts.named_interval)}), {counts.named}",
        str(counts.refused),
    ]


def _add_curves(report: Report, found: Sequence[Compared]) -> None:
    title = "Detection error tradeoff"
    picture = det_picture({one.name: one.pairs for one in found}, worst=1.0)
    if picture is None:
        report.text(title, "There is no error to draw a curve of: each threshold parts all photos rightly.")
    else:
        caption = "Photos against templates: each with one's own, and with everybody else's. Below and left is better."
        report.picture("det", picture, caption, title)
    rows = [
        [one.name, _percent(one.rank1), f"{100 * one.pairs.eer():.2f} %", *(_fnmr(one, fmr) for fmr in (1e-2, 1e-3))]
        for one in found
    ]
    pairs = found[0].pairs
    note = f"{len(pairs.same):,} comparisons with one's own template, {len(pairs.different):,} with another's."
    report.table(title, ["model", "nearest is right", "EER", "FNMR at FMR 1e-2", "at 1e-3"], rows, note)


def _fnmr(one: Compared, fmr: float) -> str:
    enough = fmr * len(one.pairs.different) >= 1
    return f"{100 * one.pairs.fnmr(one.pairs.threshold(fmr)):.2f} %" if enough else "–"


def _add_costs(report: Report, found: Sequence[Compared], wanted: Wanted) -> None:
    rows = [[one.name, one.about, f"{one.bytes / 1e6:.2f}", one.numbers, f"{one.milliseconds:.2f}"] for one in found]
    note = (
        f"Processor time from an aligned face to its vector, one thread, median of {wanted.rounds} rounds with the "
        "models in turns; a file that takes two faces at once is charged for both. Size of the file; of a classic, of "
        "what it learnt."
    )
    report.table("What they cost", ["model", "", "MB", "numbers", "ms"], rows, note)
    report.picture("time", bars({one.name: one.milliseconds for one in found}, xlabel="ms a face"), "One thread.")


def _percent(share: float) -> str:
    return f"{100 * share:.2f} %"


def _span(interval: tuple[float, float]) -> str:
    return f"{100 * interval[0]:.1f}–{100 * interval[1]:.1f}"


def _plain(one: Compared) -> dict[str, object]:
    return {
        "name": one.name,
        "about": one.about,
        "threshold": one.threshold,
        "confusion": one.confusion,
        "rank1": one.rank1,
        "eer": one.pairs.eer(),
        "comparisons": [len(one.pairs.same), len(one.pairs.different)],
        "bytes": one.bytes,
        "numbers": one.numbers,
        "milliseconds": one.milliseconds,
    }


def as_text(found: Sequence[Compared]) -> str:
    """The table of the terminal."""
    wide = max(len(one.name) for one in found)
    head = f"{'model':{wide}}  known named rightly  strangers named      EER      MB      ms"
    return "\n".join(
        [head]
        + [
            f"{one.name:{wide}}  {_percent(one.confusion.known):>19}  {_percent(one.confusion.strangers_named):>15}"
            f"  {100 * one.pairs.eer():>5.2f} %  {one.bytes / 1e6:>6.2f}  {one.milliseconds:>6.2f}"
            for one in found
        ]
    )
