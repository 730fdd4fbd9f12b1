"""`identify`: a bundle measured on photos of people, and the page that tells it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from device.access.policy.rules import Thresholds
from device.access.recognizer import Recognizer
from device.errors import InputError
from device.inference.interpreter import open_interpreter
from device.inference.manifest import Bundle, find_bundle, load_bundle
from export.face_crops import Aligner, Crops, aligned_crops, find_photos
from export.face_verification import FaceFigures, embed_all, figures, rate_name
from export.lfw import read_folds
from training.facemodels.identification import FPIRS, SET_FOR, Identification, identify
from training.facemodels.trials import People
from training.reporting.page import Report
from training.reporting.plots import lines
from training.runs import Run

PAIRS = "pairs.txt"


def open_embedder(named: str) -> Bundle:
    """A bundle's folder or name. Raises InputError where it is none, or of another task than `embed`."""
    bundle = load_bundle(find_bundle(named))
    if bundle.manifest.task != "embed":
        raise InputError(f"{bundle.path} is a bundle of task {bundle.manifest.task!r}; faces need one of task 'embed'")
    return bundle


def threshold_points(bundle: Bundle) -> Thresholds:
    """(FMR, similarity) of the bundle's manifest, the highest FMR first, as the door's policy takes them.

    Raises:
        InputError: the bundle has fewer than two thresholds.
    """
    known = [
        (float(key.removeprefix("fmr_")), float(value))
        for key, value in bundle.manifest.thresholds.items()
        if key.startswith("fmr_")
    ]
    if len(known) < 2:
        raise InputError(f"{bundle.path} has no thresholds by FMR; use a bundle whose export measured them")
    return tuple(sorted(known, reverse=True))


def lowest_measured(bundle: Bundle) -> float:
    """The lowest FMR of which the export had enough pairs to measure the threshold, and did not extrapolate it."""
    extrapolated = bundle.manifest.provenance.get("thresholds", {}).get("extrapolated", ())
    known = [key for key in bundle.manifest.thresholds if key.startswith("fmr_") and key not in extrapolated]
    return min((float(key.removeprefix("fmr_")) for key in known), default=1.0)


def measure(
    subject: str, data: Path, out: Path, sizes: Sequence[int], enrol: int, galleries: int, seed: int = 0
) -> list[Identification]:
    """Measure a bundle through the device's own code and write report.html into `out`.

    Args:
        subject: a bundle's folder or name.
        data: a folder for each person; LFW's pairs.txt beside or in it adds the protocol by folds.
        out: a run folder that is not there yet.
        sizes: of galleries; those larger than the people there are, and all of them, become one.
        enrol: photos of each person in the gallery.
        galleries: drawn of each size.
        seed: of the draws.
    Raises:
        InputError: no such bundle, or too few people.
    """
    bundle = open_embedder(subject)
    points = threshold_points(bundle)
    crops = aligned_crops(find_photos(data), Aligner())
    people = People.apart(crops.people, enrol)
    everybody = len(people.enrollable)
    settings = {"model": subject, "data": data, "sizes": sizes, "enrol": enrol, "galleries": galleries, "seed": seed}
    run = Run(out, {"family": "identify", **settings}, resume=False)
    vectors = embed_all(Recognizer(bundle, open_interpreter(bundle)), crops, bundle)
    pairs = next((path for path in (data / PAIRS, data.parent / PAIRS) if path.is_file()), None)
    told = figures(vectors, crops, read_folds(pairs) if pairs else [])
    found = [
        identify(vectors, people, size, points, enrol=enrol, galleries=galleries, seed=seed)
        for size in sorted({min(size, everybody) for size in (*sizes, everybody)})
    ]
    report = Report(f"Identification by {bundle.name}", _summary(bundle, crops, people, enrol))
    _add_identification(report, found)
    _add_corrected(report, found, bundle)
    _add_verification(report, told, crops)
    report.run_facts(run, {"fingerprint": crops.fingerprint, "photos": len(crops.keys), "people": len(crops.names)})
    report.write(run, {"identification": [_plain(one) for one in found], "verification": _verified(told)})
    return found


def _summary(bundle: Bundle, crops: Crops, people: People, enrol: int) -> str:
    strangers = len(set(people.number[people.strangers].tolist()))
    return (
        f"{len(people.enrollable)} people with more than {enrol} photos may be enrolled with {enrol} each; "
        f"{len(people.strangers):,} photos of {strangers:,} others are strangers. Photo to embedding by the device's "
        f"own code ({bundle.manifest.files[0].precision} file); a template is the mean of {enrol} embeddings. "
        f"No face was found in {len(crops.missed)} photos."
    )


HEADER = ("people enrolled", "galleries", "probes each", *(f"FNIR at FPIR {100 * fpir:g} %" for fpir in FPIRS))


def _add_identification(report: Report, found: Sequence[Identification]) -> None:
    last = found[-1]
    report.headline({f"FNIR, {last.size} people, FPIR {100 * f:g} %": last.fnir[f].cell() + " %" for f in FPIRS})
    rows = [
        [one.size, one.galleries, f"{one.probes:.0f}", *(_with_range(one.fnir[fpir]) for fpir in FPIRS)]
        for one in found
    ]
    note = (
        "FNIR: the share of enrolled people's photos that are not named rightly. FPIR: the share of strangers' photos "
        f"that get a name; {found[0].strangers:,} photos, so 0.1 % are {found[0].strangers // 1000}. Per cent; in "
        "parentheses 95 % intervals by bootstrap over people; in brackets the best and the worst gallery."
    )
    report.table("Identification with strangers", HEADER, rows, note)
    sizes = [one.size for one in found]
    series = {f"FPIR {100 * f:g} %": (sizes, [one.fnir[f].value for one in found]) for f in FPIRS}
    bands = {
        f"FPIR {100 * f:g} %": tuple([one.fnir[f].interval[end] for one in found] for end in (0, 1)) for f in FPIRS
    }
    picture = lines(
        series, xlabel="people in the gallery", ylabel="FNIR", scales=("log", "linear"),
        bands={name: (low, high) for name, (low, high) in bands.items()},
    )  # fmt: skip
    report.picture("gallery-size", picture, "FNIR (0 to 1) by size of the gallery, with 95 % intervals.")
    curves = {f"{one.size} people": one.curve for one in found}
    shown = lines(curves, xlabel="FPIR", ylabel="FNIR", scales=("log", "linear"))
    report.picture("fnir-fpir", shown, "Below and left is better; mean over the galleries of a size.")


def _with_range(rate: Any) -> str:
    low, high = rate.galleries
    return f"{rate.cell()} [{100 * low:.2f}–{100 * high:.2f}]"


def _add_corrected(report: Report, found: Sequence[Identification], bundle: Bundle) -> None:
    lowest = lowest_measured(bundle)
    rows = []
    for fpir in SET_FOR:
        for one in found:
            set_for = one.corrected[fpir]
            below = " (extrapolated)" if set_for.fmr < lowest * (1 - 1e-9) else ""
            rows.append([
                f"{100 * fpir:g} %", one.size, f"{set_for.fmr:.1e}{below}", f"{set_for.threshold:.4f}",
                set_for.measured.cell(), f"{set_for.measured.value / fpir:.2f}", set_for.fnir.cell(),
            ])  # fmt: skip
    header = ["FPIR wanted", "people", "FMR of each comparison", "similarity", "FPIR measured, %", "ratio", "FNIR, %"]
    note = (
        "FMR of each comparison = 1 - (1 - FPIR)^(1/people), and the similarity for it as the door's policy "
        "finds it from the bundle's thresholds, which come from other people. Extrapolated: an FMR below the lowest, "
        f"{lowest:.0e}, that the bundle's export had enough pairs to measure."
    )
    report.table("Thresholds corrected for the gallery's size", header, rows, note)


def _add_verification(report: Report, told: FaceFigures, crops: Crops) -> None:
    rows: list[list[str]] = []
    if told.folds is not None:
        accuracy, error = 100 * told.folds.mean, 100 * told.folds.standard_error
        rows.append([f"accuracy by {len(told.folds.folds)} folds", f"{accuracy:.2f} ± {error:.2f} %"])
    for fmr, tar in told.tar.items():
        low, high = told.tar_interval[fmr]
        count = round((1 - tar) * len(told.pairs.same))
        rows.append([
            f"FNMR at FMR {rate_name(fmr)}",
            f"{100 * (1 - tar):.2f} % ({100 * (1 - high):.1f}–{100 * (1 - low):.1f}), {count} pairs",
        ])  # fmt: skip
    note = (
        f"{told.photos:,} photos of {told.people:,} people: {len(told.pairs.same):,} pairs of one person, "
        f"{len(told.pairs.different):,} of two. {len(crops.missed)} photos without a face that was found."
    )
    report.table("Verification", ["", "measured"], rows, note)


def _verified(told: FaceFigures) -> dict[str, Any]:
    return {
        "pairs_same": len(told.pairs.same),
        "pairs_different": len(told.pairs.different),
        "missed": told.missed,
        "accuracy": told.folds.mean if told.folds else None,
        "fnmr": {rate_name(fmr): 1 - tar for fmr, tar in told.tar.items()},
    }


def _plain(one: Identification) -> dict[str, Any]:
    return {
        "people": one.size,
        "galleries": one.galleries,
        "probes": one.probes,
        "strangers": one.strangers,
        "fnir": {str(fpir): rate for fpir, rate in one.fnir.items()},
        "corrected": {str(fpir): found for fpir, found in one.corrected.items()},
    }


def as_text(found: Sequence[Identification]) -> str:
    """A line for each size."""
    return "\n".join(
        f"{one.size} people: "
        + ", ".join(f"FNIR {one.fnir[fpir].cell()} % at FPIR {100 * fpir:g} %" for fpir in FPIRS)
        + f"; set for 1 %: FPIR {one.corrected[0.01].measured.cell()} %"
        for one in found
    )
