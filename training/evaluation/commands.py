"""`python -m training evaluate` and `compare`."""

from __future__ import annotations

from pathlib import Path

import click

from device.errors import ConfigError
from training.runs import fresh_folder


@click.command()
@click.argument("subject", metavar="RUN|BUNDLE")
@click.option("--data", type=click.Path(path_type=Path), help="Folder of labelled photos [default: the run's own].")
@click.option(
    "--split",
    type=click.Choice(["train", "val", "test", "all"]),
    help="Which part of them; `all` for photos that are all new to the model [default: test, val where there is none].",
)
@click.option("--out", type=click.Path(path_type=Path), help="Folder of the report [default: a new one in runs/].")
def evaluate(subject: str, data: Path | None, split: str | None, out: Path | None) -> None:
    """Measure a run or a bundle on photos that it never saw, through the device's own code.

    Classifiers: figures with intervals, confusion, calibration, embeddings, the most confused pairs, photos right and
    wrong, int8 beside float. Detectors and face embedders: as their families do it. Ends with report.html.
    """
    if data is not None and not data.is_dir():
        raise ConfigError(f"--data: there is no folder {data}")
    from training.evaluation.subjects import data_of, find_subject

    found = find_subject(subject)
    folder = out or fresh_folder("evaluate")
    if found.task == "classify":
        from training.evaluation.classifiers import evaluate_classifier

        evaluate_classifier(found, data_of(found, data), folder, split)
    elif found.task == "detect":
        from training.detectors.evaluation import evaluate as evaluate_detector

        if split in ("train", "all"):
            raise ConfigError("--split of a detector is val or test")
        evaluate_detector(Path(subject) if Path(subject).exists() else found.bundle.path, data, folder, split)
    elif found.task == "embed":
        from training.faces.evaluation import evaluate as evaluate_faces

        if split is not None:
            raise ConfigError("--split is for classifiers and detectors: faces are measured on all people in --data")
        evaluate_faces(found.bundle.path, data_of(found, data), folder)
    else:
        raise ConfigError(
            f"{found.name} is a bundle of task {found.task!r}; classify, detect and embed can be measured"
        )
    click.echo(folder / "report.html")


@click.command()
@click.argument("subjects", nargs=-1, required=True, metavar="RUN|BUNDLE...")
@click.option("--out", type=click.Path(path_type=Path), help="Folder of the report [default: a new one in runs/].")
@click.option(
    "--rounds",
    type=click.IntRange(5, 10_000),
    default=400,
    show_default=True,
    help="Measurements of each file's time; the fastest quarter of them counts.",
)
def compare(subjects: tuple[str, ...], out: Path | None, rounds: int) -> None:
    """One table and picture of several models of one kind: classifiers, detectors or face embedders.

    Accuracy is what each export measured on its held-out photos; size, time and multiply-adds are those of the LiteRT
    files. Times are taken here, in turns, on one thread: the mean of each one's fastest quarter, since what else the
    machine does only ever makes a file slower.
    """
    from training.evaluation.comparison import compare_models
    from training.evaluation.subjects import find_subject

    folder = out or fresh_folder("compare")
    click.echo(compare_models([find_subject(subject) for subject in subjects], folder, rounds))
    click.echo(folder / "report.html")
