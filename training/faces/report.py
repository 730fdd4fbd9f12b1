"""The end of a run: its bundle, its figures before and after, and the page that tells them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from device.inference.manifest import Bundle
from export.face_crops import Aligner, Crops, aligned_crops
from export.lfw import read_folds
from export.mobilefacenet import MobileFaceNet
from training.faces.evaluation import (
    Column,
    add_comparison,
    add_hardest,
    add_thresholds,
    as_figures,
    bundle_vectors,
    bundles_of_run,
    column,
    network_vectors,
)
from training.faces.pipeline import Material, base_network, read_json
from training.reporting.page import Report
from training.reporting.plots import curves
from training.runs import Run

DEMONSTRATION = (
    "A demonstration: a network that begins with nothing needs millions of faces of a hundred thousand people. On a "
    "few hundred it learns these people, and little that holds for others: fine-tune the pretrained weights instead."
)


def finish(run: Run, material: Material, network: MobileFaceNet) -> Path:
    """Export, measure, and write report.html; returns its path."""
    bundles = bundles_of_run(run) if run.config["bundle"] else {}
    report = Report(f"Face embedder: {run.path.name}", _summary(run, material))
    if run.config["from_scratch"]:
        report.text("What this is", DEMONSTRATION)
    looked_at: dict[str, list[Column]] = {}
    before = base_network(run.config)
    if material.aside is not None:
        looked_at["people set aside"] = _columns(run, material.aside, before, network, bundles)
    test = None
    if material.faces.test:
        test = aligned_crops(material.faces.test, Aligner())
        folds = read_folds(material.faces.pairs) if material.faces.pairs else []
        looked_at["test"] = _columns(run, test, before, network, bundles, folds)
    looked_at = {name: columns for name, columns in looked_at.items() if columns}
    told = list(looked_at.values())
    if told:
        report.headline({name: f"{value:.2f} %" for name, value in told[-1][-1].plain.rows().items()})
    for number, (name, columns) in enumerate(looked_at.items()):
        add_comparison(report, f"Verification: {name}", columns, f"det-{number + 1}")
    bundle = bundles.get("after, int8 file")
    if bundle is not None and told:
        add_thresholds(report, bundle, told[-1][-1].plain, list(looked_at)[-1])
    _learning(report, run)
    last = test or material.aside
    if told and last is not None:
        add_hardest(report, told[-1][-1].vectors, last)
    report.run_facts(run, _dataset(material))
    figures = {name: as_figures(columns) for name, columns in looked_at.items()}
    if bundle is not None:
        figures["thresholds"] = dict(bundle.manifest.thresholds)
    return report.write(run, {"family": "arcface", "figures": figures, "dataset": _dataset(material)})


def _columns(
    run: Run,
    crops: Crops,
    before: MobileFaceNet | None,
    after: MobileFaceNet,
    bundles: Mapping[str, Bundle],
    folds: Sequence = (),  # type: ignore[type-arg]
) -> list[Column]:
    """Before, after, and the int8 file; nothing of what has no pairs to compare."""
    if len(np.unique(crops.labels)) < 2 or len(crops.labels) == len(crops.names):
        run.log.info("too few photos to measure: two people, and two photos of one, are needed")
        return []
    run.log.info("measuring %d faces", len(crops.faces))
    found = []
    if before is not None:
        found.append(column("before, float", network_vectors(before, crops), crops, folds))
    if not bundles:
        found.append(column("after, float", network_vectors(after, crops), crops, folds))
    for name, bundle in bundles.items():
        found.append(column(name, bundle_vectors(bundle, crops), crops, folds))
    for each in found:
        told = ", ".join(f"{name} {cell}" for name, cell in each.plain.cells().items())
        run.log.info("%s: %s", each.name, told)
    return found


def _summary(run: Run, material: Material) -> str:
    config = run.config
    how = {"arcface": "ArcFace's angular margin", "triplet": "triplets, mined semi-hard"}[config["loss"]]
    begun = "from nothing" if config["from_scratch"] else "from pretrained weights"
    return f"MobileFaceNet {begun}, {how}, {len(material.train.faces):,} faces of {len(material.train.names)} people."


def _learning(report: Report, run: Run) -> None:
    curve = read_json(run.path / "curve.json") or []
    if not curve:
        return
    loss = run.config["loss"]
    history = {f"{loss} loss": {"each step": [row[loss] for row in curve]}}
    if run.config["anchor"] and not run.config["from_scratch"]:
        history["1 - cosine to the base network"] = {"each step": [row["anchor"] for row in curve]}
    report.picture("learning", curves(history, xlabel="step"), "On faces as augmented.", "Learning")
    watched = read_json(run.path / "aside.json") or []
    if watched:
        note = "People set aside, after each epoch, by the network as it then was."
        rows = [[row["epoch"], f"{100 * row['eer']:.2f} %", f"{100 * row['tar']:.2f} %"] for row in watched]
        report.table("Learning", ["epoch", "EER", "TAR at FMR 1e-3"], rows, note)


def _dataset(material: Material) -> dict[str, object]:
    faces, train, aside = material.faces, material.train, material.aside
    return {
        "fingerprint": train.fingerprint,
        "trained on": f"{len(train.faces):,} photos of {len(train.names):,} people",
        "set aside": f"{len(aside.faces):,} photos of {len(aside.names):,} people" if aside else "nobody",
        "test": f"{len(faces.test):,} photos of {len({photo.person for photo in faces.test}):,} people",
        "no face found in": ", ".join([*train.missed, *(aside.missed if aside else ())]) or "none",
    }
