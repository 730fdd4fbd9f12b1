"""What embedders are worth, side by side on the same photos: before and after training, float and int8."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch.nn.functional as F

from device.access.recognizer import Recognizer
from device.errors import InputError
from device.inference.interpreter import open_interpreter
from device.inference.manifest import Bundle, find_bundle, load_bundle
from export.embedder_recipes import export_face_run
from export.face_crops import Aligner, Crops, aligned_crops, find_photos
from export.face_identities import open_faces
from export.face_scores import KNOWN_ERRORS, Array
from export.face_verification import FaceFigures, embed_all, figures, kept_vectors, rate_name
from export.lfw import Fold, read_folds
from export.mobilefacenet import MobileFaceNet
from training.faces.fitting import embeddings
from training.faces.plots import det_picture
from training.reporting.page import Report
from training.reporting.sheet import sheet
from training.runs import Run

HARDEST = 12


@dataclass(frozen=True)
class Column:
    """One embedder on one set of photos."""

    name: str
    vectors: Array
    plain: FaceFigures
    corrected: FaceFigures


def network_vectors(network: MobileFaceNet, crops: Crops) -> Array:
    """[N, 128] unit embeddings, float, by PyTorch; of each face and its mirror image, as the files have it."""
    weights = hashlib.sha256()
    for value in network.state_dict().values():
        weights.update(value.numpy().tobytes())
    return kept_vectors(
        f"torch both ways {weights.hexdigest()} {crops.fingerprint}",
        lambda: _both(network.eval(), crops.faces),
    )


def _both(network: MobileFaceNet, faces: npt.NDArray[np.uint8]) -> Array:
    found = embeddings(network, faces) + embeddings(network, faces[:, :, ::-1])
    return F.normalize(found).numpy().astype(np.float64)


def bundle_vectors(bundle: Bundle, crops: Crops) -> Array:
    """[N, D] unit embeddings by the device's recognizer."""
    return embed_all(Recognizer(bundle, open_interpreter(bundle)), crops, bundle)


def column(name: str, vectors: Array, crops: Crops, folds: Sequence[Fold] = (), draws: int = 200) -> Column:
    """Measure unit embeddings of the photos."""
    return Column(
        name,
        vectors,
        figures(vectors, crops, folds, draws=draws),
        figures(vectors, crops, folds, correct=True, draws=draws),
    )


def add_comparison(report: Report, title: str, columns: Sequence[Column], name: str) -> None:
    """A table of all columns, as published and with LFW's errors put right, and their DET curves in one picture."""
    first = columns[0].plain
    note = (
        f"{first.photos:,} photos of {first.people:,} people, {len(first.pairs.same):,} pairs of one person and "
        f"{len(first.pairs.different):,} of two; {first.missed} photos without a face that was found, whose pairs "
        "count as not matching. Per cent; in parentheses 95 % intervals by bootstrap over people."
        + (" Accuracy by LFW's folds ± its standard error." if columns[0].plain.folds else "")
    )
    names = [column.name for column in columns]
    report.table(title, ["", *names], _rows([column.plain for column in columns]), note)
    if any(column.plain.rows() != column.corrected.rows() for column in columns):
        twice = ", ".join(f"{one} = {other}" for other, one in KNOWN_ERRORS.items()).replace("_", " ")
        note = f"The same with names that are one person's counted as one: {twice}."
        report.table(title, ["", *names], _rows([column.corrected for column in columns]), note)
    caption = "Detection error tradeoff: below and left is better; each step is one pair."
    picture = det_picture({column.name: column.plain.pairs for column in columns})
    if picture is None:
        report.text(title, "There is no error to draw a curve of: each threshold parts all pairs rightly.")
    else:
        report.picture(name, picture, caption)


def _rows(columns: Sequence[FaceFigures]) -> list[list[str]]:
    cells = [found.cells() for found in columns]
    return [[name, *(each[name] for each in cells)] for name in cells[0]]


def hardest(vectors: Array, crops: Crops) -> tuple[bytes, bytes] | None:
    """Two sheets: the least alike pairs of one person, and the most alike of two. None without pairs of one."""
    similarities = vectors @ vectors.T
    upper = np.triu(np.ones(similarities.shape, bool), 1)
    same = crops.labels[:, None] == crops.labels[None]
    own = np.where(upper & same, similarities, np.inf)
    others = np.where(upper & ~same, similarities, -np.inf)
    if not np.isfinite(own).any():
        return None
    return _sheet(crops, own, own.ravel(), similarities), _sheet(crops, others, -others.ravel(), similarities)


def _sheet(crops: Crops, chosen: Array, keys: Array, similarities: Array) -> bytes:
    count = min(HARDEST, int(np.isfinite(chosen).sum()))
    best = np.argpartition(keys, count - 1)[:count]
    rows, columns = np.unravel_index(best[np.argsort(keys[best], kind="stable")], chosen.shape)
    pictures = [np.hstack([crops.faces[a], crops.faces[b]]) for a, b in zip(rows, columns, strict=True)]
    captions = [
        f"{similarities[a, b]:.2f} {crops.people[a]}"
        + (f" / {crops.people[b]}" if crops.people[a] != crops.people[b] else "")
        for a, b in zip(rows, columns, strict=True)
    ]
    return sheet(pictures, captions, columns=4)


def add_thresholds(report: Report, bundle: Bundle, figures_on: FaceFigures, where: str) -> None:
    """The bundle's thresholds, and what they do to photos that they were not taken from."""
    told = bundle.manifest.provenance.get("thresholds", {})
    rows = []
    for key, value in bundle.manifest.thresholds.items():
        fmr, fnmr = figures_on.pairs.fmr(value), figures_on.pairs.fnmr(value)
        how = "extrapolated" if key in told.get("extrapolated", ()) else "measured"
        rows.append([key.removeprefix("fmr_"), f"{value:.4f}", how, f"{fmr:.1e}", f"{100 * fnmr:.2f} %"])
    if rows:
        note = f"Taken from people who were set aside ({told.get('pairs_of_two_people', 0):,} pairs of two people)."
        header = ["wanted FMR", "similarity", "", f"FMR on {where}", f"FNMR on {where}"]
        report.table("Thresholds", header, rows, note)


def as_figures(columns: Sequence[Column]) -> dict[str, Any]:
    """For report.json."""
    return {
        column.name: {
            "photos": column.plain.photos,
            "people": column.plain.people,
            "pairs_same": len(column.plain.pairs.same),
            "pairs_different": len(column.plain.pairs.different),
            "missed": column.plain.missed,
            **column.plain.rows(),
            "corrected": column.corrected.rows(),
            "tar_intervals": {rate_name(fmr): span for fmr, span in column.plain.tar_interval.items()},
            "eer_interval": column.plain.eer_interval,
            "folds": column.plain.folds.folds if column.plain.folds else None,
        }
        for column in columns
    }


def evaluate(subject: Path, data: Path, out: Path) -> Path:
    """Measure a bundle (or a run's) on photos of people, through the whole of the device's path.

    Args:
        subject: a run of `arcface`, a bundle's folder, or the name of one.
        data: a folder for each person, or with test/ (and pairs.txt) as Labeled Faces in the Wild.
        out: a run folder that is not there yet.
    Returns:
        The report.
    Raises:
        InputError: there is no such bundle, or nothing to measure in `data`.
    """
    bundle = _bundle_of(subject)
    run = Run(out, {"family": "evaluate", "subject": subject, "data": data}, resume=False)
    crops, where, folds = _photos(bundle, data)
    columns = [column(each.name, bundle_vectors(each, crops), crops, folds) for each in _with_float(bundle)]
    told = columns[-1].plain
    report = Report(f"{bundle.name} on {data.name}", f"{where.capitalize()}; by the device's own code.")
    report.headline({name: f"{value:.2f} %" for name, value in told.rows().items()})
    add_comparison(report, "Verification", columns, "det")
    add_thresholds(report, bundle, told, data.name)
    add_hardest(report, columns[-1].vectors, crops)
    report.run_facts(run, {"fingerprint": crops.fingerprint, "photos": len(crops.faces), "people": len(crops.names)})
    return report.write(run, {"family": "arcface", "figures": as_figures(columns), "photos": where})


def _photos(bundle: Bundle, data: Path) -> tuple[Crops, str, list[Fold]]:
    """What to measure on, in words too: test/, or all; of photos that the bundle was trained on, those set aside."""
    test, pairs = data / "test", data / "pairs.txt"
    if test.is_dir():
        folds = read_folds(pairs) if pairs.is_file() else []
        return aligned_crops(find_photos(test), Aligner()), "people of test", folds
    training = bundle.manifest.provenance.get("training")
    if isinstance(training, dict):
        faces = open_faces(data, int(training["set_aside"]), int(training["seed"]))
        trained_on = aligned_crops(faces.train, Aligner())
        if trained_on.fingerprint == bundle.manifest.provenance.get("dataset") and faces.aside:
            return aligned_crops(faces.aside, Aligner()), "people set aside in training", []
    return aligned_crops(find_photos(data), Aligner()), "all people", []


def _with_float(bundle: Bundle) -> list[Bundle]:
    """The float bundle of the same network before it, where there is one beside it or under the name."""
    beside = bundle.path.with_name(f"{bundle.path.name}-fp32")
    try:
        floating = load_bundle(beside if beside.is_dir() else find_bundle(f"{bundle.name}-fp32"))
    except InputError:
        return [bundle]
    same = floating.manifest.provenance.get("checkpoint") == bundle.manifest.provenance.get("checkpoint")
    return [floating, bundle] if same else [bundle]


def add_hardest(report: Report, vectors: Array, crops: Crops) -> None:
    """Pictures of what the embedder is worst at: real people, for the eyes of who has the photos anyway."""
    sheets = hardest(vectors, crops)
    if sheets:
        title = "Hardest pairs"
        report.text(title, "Photos of real people: this report stays where the photos are, and is not passed on.")
        report.picture("hardest-same", sheets[0], "One person each, least alike by the embeddings.", title)
        report.picture("hardest-different", sheets[1], "Two people each, most alike.", title)


def _bundle_of(subject: Path) -> Bundle:
    inside = sorted((subject / "bundle").glob("*/manifest.json"))
    bundle = load_bundle(inside[0].parent if inside else find_bundle(str(subject)))
    if bundle.manifest.task != "embed":
        raise InputError(f"{bundle.path} is a bundle of task {bundle.manifest.task!r}; faces need one of task 'embed'")
    return bundle


def bundles_of_run(run: Run) -> dict[str, Bundle]:
    """The run's bundles, made now: float and int8, by what the report calls them."""
    made = export_face_run(run.path, run.path / "bundle", lambda line: run.log.info("%s", line))
    return {"after, float": load_bundle(made.path.with_name(f"{made.name}-fp32")), "after, int8 file": made}
