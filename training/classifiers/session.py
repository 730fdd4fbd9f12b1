"""One run of a classifier, from its photos to its report."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import keras

from device.errors import InputError
from device.inference.interpreter import choose_file
from export.classification import Answers, figures
from export.datasets import Dataset, open_dataset
from training.classifiers.backbones import BACKBONES, build_classifier
from training.classifiers.fitting import Plan, Stages, Validation
from training.classifiers.networks import NETWORKS, build_network
from training.classifiers.options import read_techniques
from training.classifiers.pipeline import AugmentedPhotos, Frame, Photos, Sampling, load_photos, one_hot
from training.classifiers.report import Outcome, write_report
from training.classifiers.scoring import ask_bundle, ask_network
from training.classifiers.transfer import Method, train_transfer
from training.data.checks import check_dataset
from training.interruption import Interruption
from training.runs import Run

MODEL, HISTORY = "model.keras", "history.json"


def train(run: Run) -> None:
    """Train, export and report, or go on with whatever of these is not done.

    Raises:
        InputError, ConfigError, Stopped: in one sentence, with nothing lost that was done.
    """
    root = Path(run.config["data"])
    findings = check_dataset(
        root, seed=run.config["split_seed"], allow_duplicates=run.config.get("allow_duplicates", False)
    )
    dataset = _open(run)
    frame = Frame(run.config["size"], run.config["resize"])
    val = load_photos(dataset, "val", frame, exact=True)
    if not (run.path / MODEL).exists():
        training = load_photos(dataset, "train", frame, exact=False)
        with Interruption(run) as interruption:
            stages = Stages(run, interruption)
            model = _learn(run, dataset, training, val, stages)
        state = stages.state
        run.write_json(HISTORY, {"stages": state.history, "starts": state.starts, "seconds": state.seconds})
        with run.writing(MODEL) as scratch:
            model.save(scratch)
    model = keras.models.load_model(run.path / MODEL, compile=False)
    answers = ask_network(model, val)
    run.log.info("val, float network: %s", told(answers))
    test, facts = _export(run, dataset) if run.config["bundle"] else (None, {})
    learnt = json.loads((run.path / HISTORY).read_text(encoding="utf-8"))
    network = BACKBONES[run.config["backbone"]].about if "backbone" in run.config else NETWORKS[run.config["network"]]
    outcome = Outcome(
        network, dataset, findings, learnt["stages"], learnt.get("starts", {}), learnt["seconds"], answers, test, facts
    )
    write_report(run, outcome)
    run.log.info("report: %s", run.path / "report.html")


def _export(run: Run, dataset: Dataset) -> tuple[Answers, dict[str, Any]]:
    """The bundle, what its file says of the test part, and facts of the file."""
    from export.classifier import export_run, made_before

    parent = run.path / "bundle"
    bundle = made_before(run.path, dataset, parent)
    if bundle is None:
        bundle = export_run(run.path, dataset, parent=parent, say=lambda line: run.log.info("%s", line))
    else:
        run.log.info("%s: is there already, whole and of this network", bundle.name)
    file = choose_file(bundle, "auto")
    answers = ask_bundle(bundle, dataset, "test")
    run.log.info("test, int8 file: %s", told(answers))
    facts = {"name": bundle.name, "bytes": file.bytes, "sha256": file.sha256, "metrics": bundle.manifest.metrics}
    return answers, facts


def told(answers: Answers) -> str:
    """Figures as a line of the log."""
    found = figures(answers)
    return (
        f"top-1 {found['top-1']:.2f} %, top-3 {found['top-3']:.2f} %, macro F1 {found['F1'] / 100:.4f} "
        f"of {len(answers):,} pictures"
    )


def _open(run: Run) -> Dataset:
    """The dataset; a run that goes on must find the one that it was begun with."""
    dataset = open_dataset(Path(run.config["data"]), seed=run.config["split_seed"])
    counts = dataset.counts()
    known = run.path / "dataset.json"
    facts = {"fingerprint": dataset.fingerprint, "labels": dataset.labels, "counts": counts}
    if known.exists():
        if json.loads(known.read_text(encoding="utf-8"))["fingerprint"] != facts["fingerprint"]:
            raise InputError(f"the photos in {dataset.root} have changed since {run.path} was begun: begin a new run")
    else:
        run.write_json("dataset.json", facts)
    for path, reason in dataset.left_out.items():
        run.log.info("left out: %s", reason or path)
    run.log.info(
        "%s: %d classes, %s photos",
        dataset.root,
        len(dataset.labels),
        ", ".join(f"{sum(numbers)} {split}" for split, numbers in counts.items()),
    )
    return dataset


def _learn(run: Run, dataset: Dataset, training: Photos, val: Photos, stages: Stages) -> keras.Model:
    config = run.config
    classes = len(dataset.labels)
    regularised = {key: config[key] for key in ("dropout", "l1", "l2")}
    sampling = Sampling(config["batch"], config["seed"], config["oversample"], config["class_weights"])
    techniques = read_techniques(config["augment"])
    plan = plan_of(config)
    if "backbone" in config:
        model = build_classifier(config["backbone"], config["size"], classes, **regularised)
        method = Method(
            plan,
            fine_tuning_plan(config),
            config["fine_tune_layers"],
            config["variants"],
            config["cache_mb"] * 1_000_000,
            techniques,
            sampling,
            config["fine_tune_batch"],
            config.get("fine_tune_norms", False),
        )
        train_transfer(model, training, val, method, stages)
        return model
    model = build_network(config["network"], config["size"], classes, **regularised)
    source = AugmentedPhotos(training, one_hot(training.labels, classes), techniques, sampling)
    stages.fit("training", model, plan, source, Validation(val.fitted_batches, val.labels))
    return model


def plan_of(config: dict[str, Any]) -> Plan:
    """The first stage's (cnn: the only one's) plan."""
    return Plan(
        epochs=config["epochs"],
        optimizer=config["optimizer"],
        rate=config["rate"],
        schedule=config["schedule"],
        warmup=config["warmup"],
        weight_decay=config["weight_decay"],
        label_smoothing=config["label_smoothing"],
        early_stopping=config["early_stopping"],
        reduce_on_plateau=config["reduce_on_plateau"],
        monitor=config["monitor"],
        average=config["average"],
    )


def fine_tuning_plan(config: dict[str, Any]) -> Plan:
    """The same techniques at the fine-tuning's own length and rate."""
    return Plan(
        **{
            **plan_of(config).__dict__,
            "epochs": config["fine_tune_epochs"],
            "rate": config["fine_tune_rate"],
            "schedule": config["fine_tune_schedule"],
            "warmup": config["fine_tune_warmup"],
        }
    )
