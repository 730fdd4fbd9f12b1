"""A look over pictures with YOLO labels, for a detector."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from device.capture.pictures import SUFFIXES
from export.datasets.boxes import BoxFile, read_boxes
from export.datasets.inspection import inspect_files
from export.datasets.yolo import Detection, label_path, open_detection
from training.data.findings import Finding, Findings, Removal, counted, share
from training.data.pictures import duplicates, named, tiny, unreadable

UNBALANCED = 5.0
"""Ratio of boxes of the commonest to the rarest class in train from which it is told: boxes vary more than photos."""

_KINDS = (
    ("class out of range", "has class"),
    ("box outside the picture", "outside the picture"),
    ("box without area", "without area"),
    ("box in pixels", "in pixels"),
    ("malformed line", ""),
)
"""What a line's fault is called, by the first of these parts that it has."""


@dataclass(frozen=True)
class _Labelled:
    """A picture's labels as they were read."""

    image: Path
    label: Path
    split: str
    boxes: BoxFile
    there: bool


def check_boxes(root: Path, *, names: Sequence[str] = (), seed: int = 0, allow_duplicates: bool = False) -> Findings:
    """Look over a detector's data. Raises InputError where there is nothing to look at, or data.yaml is wrong."""
    data = open_detection(root, names=names, seed=seed)
    labelled = [
        _Labelled(image, label, split, read_boxes(label, len(data.names)), label.is_file())
        for split, pairs in data.splits.items()
        for image, label in pairs
    ]
    given = {item.image: "train" if item.split in data.made else item.split for item in labelled}
    pictures = [
        named(look, data.root, given.get(look.path, ""), "") for look in inspect_files([*given, *data.left_out])
    ]
    found = [
        *_wrong_lines(data, labelled),
        *unreadable(pictures),
        *tiny(pictures),
        *duplicates(pictures, allow_across=allow_duplicates),
        *_missing(data, labelled),
        *_without_picture(data, labelled),
        *_one_label_two_pictures(data, labelled),
        *_repeated(data, labelled),
        *_balance(data),
    ]
    labels = {item.image: item.label for item in labelled} | {image: label_path(image) for image in data.left_out}
    found = [_with_labels(finding, labels) for finding in found]
    return Findings(data.root, "detect", tuple(found), *_counts(data), _facts(data, labelled, seed))


def _with_labels(finding: Finding, labels: Mapping[Path, Path]) -> Finding:
    """Where a picture would be put aside, so would its label file."""
    removals = list(finding.removals)
    for removal in finding.removals:
        label = labels.get(removal.path)
        if label is not None and label.is_file():
            removals.append(Removal(label, removal.reason, removal.sure))
    return replace(finding, removals=tuple(removals))


def _counts(data: Detection) -> tuple[tuple[str, ...], tuple[tuple[str, ...], ...]]:
    counts = data.counts()
    rows = [(name, *(f"{counts[split][index]:,}" for split in data.splits)) for index, name in enumerate(data.names)]
    rows.append(("all boxes", *(f"{sum(counts[split]):,}" for split in data.splits)))
    rows.append(("pictures", *(f"{len(pairs):,}" for pairs in data.splits.values())))
    return ("class", *data.splits), tuple(rows)


def _facts(data: Detection, labelled: Sequence[_Labelled], seed: int) -> Mapping[str, str]:
    facts = {"splits": f"{', '.join(data.made)} made by seed {seed}" if data.made else "as given"}
    if not data.named:
        facts["classes"] = "numbers, since neither data.yaml nor classes.txt names them"
    outlines = sum(item.boxes.polygons for item in labelled)
    if outlines:
        facts["outlines"] = f"{outlines:,}, of which the enclosing boxes are taken"
    return facts


def _wrong_lines(data: Detection, labelled: Sequence[_Labelled]) -> Iterator[Finding]:
    """A finding for each kind of fault, with all its lines."""
    kinds: dict[str, list[tuple[_Labelled, str]]] = {}
    for item in labelled:
        for number, fault in item.boxes.faults:
            kind = next(kind for kind, part in _KINDS if part in fault)
            kinds.setdefault(kind, []).append((item, f"{_short(item.label, data.root)}, line {number}, {fault}"))
    for kind, lines in kinds.items():
        files = {item.label: item for item, _ in reversed(lines)}
        others = f" ({len(lines):,} such lines in {len(files):,} files)" if len(lines) > 1 else ""
        yield Finding(
            kind,
            len(lines),
            f"{lines[0][1]}{others}: correct the labels, or put their pictures aside",
            tuple(text for _, text in lines),
            error=True,
            removals=tuple(
                Removal(path, f"wrong labels: {kind}") for item in files.values() for path in (item.image, item.label)
            ),
        )


def _missing(data: Detection, labelled: Sequence[_Labelled]) -> Iterator[Finding]:
    """Pictures without a label file: in YOLO's way of writing nothing is in them, but often it was forgotten."""
    missing = [_short(item.image, data.root) for item in labelled if not item.there]
    if not missing:
        return
    if len(missing) == len(labelled):
        wanted = _short(labelled[0].label, data.root)
        sentence = f"none of the {len(labelled):,} pictures has a label file; that of {missing[0]} should be {wanted}"
        yield Finding("missing label files", len(missing), sentence, error=True)
        return
    yield Finding(
        "missing label files",
        len(missing),
        f"{share(len(missing), len(labelled))} pictures have no label file, as {missing[0]}: they train as pictures of "
        "nothing; an empty file says that this is meant",
        tuple(missing),
    )


def _without_picture(data: Detection, labelled: Sequence[_Labelled]) -> Iterator[Finding]:
    """Label files for which there is no picture."""
    known = {item.label for item in labelled} | {label_path(image) for image in data.left_out}
    folders = {path.parent for path in known if "labels" in path.parts}
    lost = sorted(
        path
        for folder in folders
        if folder.is_dir()
        for path in folder.glob("*.txt")
        if path not in known and path.name != "classes.txt"
    )
    if lost:
        names = [_short(path, data.root) for path in lost]
        yield Finding(
            "labels without a picture",
            len(lost),
            f"{counted(len(lost), 'label file has', 'label files have')} "
            f"no picture, as {names[0]}: pictures end in {', '.join(SUFFIXES)}",
            tuple(names),
            removals=tuple(Removal(path, "a label file without a picture") for path in lost),
        )


def _one_label_two_pictures(data: Detection, labelled: Sequence[_Labelled]) -> Iterator[Finding]:
    users = Counter(item.label for item in labelled)
    shared = [_short(label, data.root) for label, count in users.items() if count > 1]
    if shared:
        yield Finding(
            "one label file, two pictures",
            len(shared),
            f"{shared[0]} belongs to two pictures whose names differ in the ending only: rename one, with its labels",
            tuple(shared),
        )


def _repeated(data: Detection, labelled: Sequence[_Labelled]) -> Iterator[Finding]:
    """The same box twice in one file."""
    twice = [
        _short(item.label, data.root)
        for item in labelled
        if len(np.unique(item.boxes.table, axis=0)) < len(item.boxes.table)
    ]
    if twice:
        yield Finding(
            "repeated boxes",
            len(twice),
            f"{counted(len(twice), 'label file has', 'label files have')} "
            f"the same box twice, as {twice[0]}: it counts once",
            tuple(twice),
        )


def _balance(data: Detection) -> Iterator[Finding]:
    counts = data.counts()
    train = counts["train"]
    if not sum(train):
        yield Finding("no boxes", 1, f"{data.root} has no sound box in train: label the pictures first", error=True)
        return
    never = [name for name, count in zip(data.names, train, strict=True) if not count]
    if never:
        yield Finding(
            "empty classes",
            len(never),
            f"{share(len(never), len(data.names))} classes have no box in train, as {never[0]}: they will "
            "never be found",
            tuple(never),
        )
    unseen = [
        name
        for index, name in enumerate(data.names)
        if train[index] and not sum(counts[split][index] for split in data.splits if split != "train")
    ]
    if unseen:
        yield Finding(
            "classes not measured",
            len(unseen),
            f"{share(len(unseen), len(data.names))} classes are in train alone, as {unseen[0]}: nothing "
            "will be known of them",
            tuple(unseen),
        )
    order = sorted((count, name) for count, name in zip(train, data.names, strict=True) if count)
    (least, rarest), (most, commonest) = order[0], order[-1]
    if most >= UNBALANCED * least:
        yield Finding(
            "imbalance",
            len(order),
            f"{commonest} has {most / least:.0f} times as many boxes in train as {rarest} ({most:,} and {least:,})",
            tuple(f"{name} has {count:,}" for count, name in order),
        )


def _short(path: Path, root: Path) -> str:
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else str(path)
