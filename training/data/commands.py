"""`data check` and `data convert`."""

from __future__ import annotations

from pathlib import Path

import click

from device.errors import ConfigError, InputError
from training.data.checks import TASKS, guess_task, look_over
from training.data.conversion.annotated import Annotated
from training.data.conversion.coco import read_coco
from training.data.conversion.voc import read_voc
from training.data.conversion.writing import write_yolo
from training.data.conversion.yolo import read_yolo
from training.data.findings import aligned
from training.data.quarantine import list_file, put_aside, quarantine_folder, read_list, restore, write_list


@click.group()
def data() -> None:
    """Check a dataset before training, or convert annotations."""


@data.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--task", type=click.Choice(TASKS), help="What it is for; guessed where not said.")
@click.option("--names", default="", help="A detector's classes, with commas between, where no data.yaml says them.")
@click.option("--seed", default=0, show_default=True, help="Of the splits that are made where none are given.")
@click.option("--allow-duplicates", is_flag=True, help="Let the same photo in train and test pass as a warning.")
@click.option(
    "--fix",
    type=click.Choice(["quarantine", "restore"]),
    help="quarantine: write a list of what could be put aside; with --list move exactly that. restore: bring it back.",
)
@click.option("--list", "listed", type=click.Path(path_type=Path), help="The list, as read and edited by you.")
def check(
    folder: Path, task: str | None, names: str, seed: int, allow_duplicates: bool, fix: str | None, listed: Path | None
) -> None:
    """Look photos over before a minute is spent on training: exit 1 where an error would spoil it.

    \b
    Unreadable, cut short, tiny or repeated photos, the same photo in train and test, empty or single classes,
    imbalance; for a detector also wrong labels: classes out of range, boxes outside the picture, missing files.

    Nothing is moved without a list: `--fix quarantine` writes one, `--fix quarantine --list FILE` moves what is on it
    into FOLDER-quarantine, and `--fix restore` brings that back.
    """
    folder = folder.parent if folder.is_file() and fix else folder
    if listed is not None and fix != "quarantine":
        raise ConfigError("--list says what to move: it goes with --fix quarantine")
    if fix == "restore":
        click.echo(f"{restore(folder):,} files are back in {folder}")
        return
    if listed is not None:
        paths = read_list(listed, folder)
        put_aside(folder, paths)
        click.echo(f"{len(paths):,} files moved to {quarantine_folder(folder)}; `--fix restore` brings them back")
        return
    task = task or guess_task(folder)
    findings = look_over(folder, task, seed=seed, allow_duplicates=allow_duplicates, names=_listed(names))
    click.echo(f"{folder}, to {task}\n\n{findings.table()}")
    if fix == "quarantine" and findings.removals:
        file = list_file(findings.root)
        click.echo(f"\n{write_list(findings, file):,} files to put aside are listed in {file}; nothing has been moved.")
        click.echo(f"Read it, then: python -m training data check {findings.root} --fix quarantine --list {file}")
    if findings.errors:
        raise SystemExit(1)


@data.command()
@click.argument("source", type=click.Path(path_type=Path))
@click.argument("out", type=click.Path(path_type=Path))
@click.option(
    "--from", "form", type=click.Choice(["voc", "coco", "yolo"]), required=True, help="What wrote the annotations."
)
@click.option("--seed", default=0, show_default=True, help="Of the splits, where none are given.")
@click.option("--link", is_flag=True, help="Link to the photos instead of copying them.")
@click.option("--drop-difficult", is_flag=True, help="Leave out boxes that VOC marks as difficult.")
@click.option("--names", default="", help="YOLO's classes, with commas between, where no data.yaml says them.")
def convert(source: Path, out: Path, form: str, seed: int, link: bool, drop_difficult: bool, names: str) -> None:
    """Convert annotations to YOLO's labels: OUT gets images/, labels/ and data.yaml.

    \b
    voc   XML files of LabelImg and others
    coco  JSON of Label Studio, Roboflow, CVAT, COCO: a folder or one file
    yolo  YOLO's labels in another layout

    Splits are kept; where there are none, they are made by the seed. Nothing is overwritten. What could not be taken
    over as it was is told.
    """
    if not source.exists():
        raise InputError(f"there is no {source}")
    annotated: Annotated
    if form == "voc":
        annotated = read_voc(source, drop_difficult=drop_difficult)
    else:
        annotated = read_coco(source) if form == "coco" else read_yolo(source, _listed(names))
    done = write_yolo(annotated, out, seed=seed, link=link)
    rows = [(name, *(f"{done.boxes[s][i]:,}" for s in done.boxes)) for i, name in enumerate(done.names)]
    rows += [("photos", *(f"{count:,}" for count in done.photos.values()))]
    click.echo(aligned(("boxes", *done.boxes), rows))
    for line in annotated.remarks.lines():
        click.echo(line)
    click.echo(f"written to {out}; look it over by `python -m training data check {out}`")


def _listed(names: str) -> list[str]:
    return [name.strip() for name in names.split(",") if name.strip()]
