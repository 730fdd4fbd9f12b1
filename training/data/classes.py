"""A look over photos in class folders, for a classifier."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from device.capture.pictures import SUFFIXES
from export.datasets import Dataset, open_dataset
from export.datasets.folders import find_layout, split_folders, subfolders
from export.datasets.inspection import inspect_files
from export.datasets.samples import SPLITS
from training.data.findings import Finding, Findings, counted
from training.data.pictures import Picture, duplicates, named, tiny, unreadable
from training.data.tiles import repeated_tiles

UNBALANCED = 2.0
"""From this ratio of the largest to the smallest class in train on, class weights or oversampling are worth a try."""

FEW = 20
"""Photos of a class in train, below which what is learnt is mostly chance."""

_SYSTEM = {"Thumbs.db", "desktop.ini", "ehthumbs.db"}


def check_classes(root: Path, *, seed: int = 0, allow_duplicates: bool = False) -> Findings:
    """Look over a classifier's photos. Raises InputError where there is nothing to look at."""
    layout = find_layout(root)
    dataset = open_dataset(root, seed=seed)
    found = list(_classes(dataset))
    if any(sample.tile is not None for sample in dataset.splits["train"]):
        found += repeated_tiles(dataset, allow_across=allow_duplicates)
        pictures: list[Picture] = []
    else:
        given = {sample.path: (split, sample) for split, samples in layout.samples.items() for sample in samples}
        pictures = [
            named(look, root, given[look.path][0], dataset.labels[given[look.path][1].label])
            for look in inspect_files(sorted(given))
        ]
        found += [
            *unreadable(pictures),
            *tiny(pictures),
            *duplicates(pictures, allow_across=allow_duplicates),
            *passed_over(root),
        ]
    counts = dataset.counts()
    rows = [
        (
            label,
            *(f"{counts[split][index]:,}" for split in SPLITS),
            f"{sum(counts[split][index] for split in SPLITS):,}",
        )
        for index, label in enumerate(dataset.labels)
    ]
    rows.append(("all", *(f"{sum(counts[split]):,}" for split in SPLITS), f"{sum(map(sum, counts.values())):,}"))
    facts = {"splits": f"{', '.join(dataset.made)} made by seed {seed}" if dataset.made else "as given"}
    return Findings(root, "classify", tuple(found), ("class", *SPLITS, "all"), tuple(rows), facts | _sizes(pictures))


def _sizes(pictures: Sequence[Picture]) -> dict[str, str]:
    sizes = sorted((p.look.width * p.look.height, p.look.width, p.look.height) for p in pictures if not p.look.fault)
    if not sizes:
        return {}
    least, middle, most = (f"{width} x {height}" for _, width, height in (sizes[0], sizes[len(sizes) // 2], sizes[-1]))
    return {"sizes": f"{least} to {most} pixels, half of them up to {middle}"}


def _classes(dataset: Dataset) -> Iterator[Finding]:
    """What is wrong with the classes: too few of them, or too few photos in one."""
    counts, labels = dataset.counts(), dataset.labels
    whole = [sum(counts[split][index] for split in SPLITS) for index in range(len(labels))]
    if len(labels) < 2:
        yield Finding(
            "single class",
            len(labels),
            f"{dataset.root} has only the class {labels[0]}: a classifier needs two at least, each in "
            "a folder of its own",
            error=True,
        )
    for index, label in enumerate(labels):
        train = counts["train"][index]
        if not whole[index]:
            sentence = (
                f"the class {label} in {dataset.root} has no photo that can be read: add some, or remove the folder"
            )
        elif whole[index] == 1:
            sentence = f"the class {label} in {dataset.root} has a single photo, and none to measure by: add some"
        elif not train:
            sentence = f"the class {label} in {dataset.root} has no photo in train, but some in {_where(counts, index)}"
        else:
            missing = [split for split in ("val", "test") if not counts[split][index]]
            if missing:
                yield Finding(
                    "class not measured",
                    1,
                    f"the class {label} has no photo in {' and '.join(missing)}: nothing will be known about it there",
                )
            continue
        yield Finding("empty class" if whole[index] != 1 else "class with one photo", 1, sentence, (label,), error=True)
    yield from _balance(labels, counts["train"])


def _where(counts: dict[str, list[int]], index: int) -> str:
    return " and ".join(split for split in ("val", "test") if counts[split][index])


def _balance(labels: Sequence[str], train: Sequence[int]) -> Iterator[Finding]:
    order = sorted((count, label) for count, label in zip(train, labels, strict=True) if count)
    if not order:
        return
    few = [f"{label} has {count}" for count, label in order if count < FEW]
    if few:
        yield Finding(
            "few photos",
            len(few),
            f"{few[0]} photos in train: with fewer than {FEW} the result is mostly chance",
            tuple(few),
        )
    (least, rarest), (most, commonest) = order[0], order[-1]
    if most >= UNBALANCED * least:
        yield Finding(
            "imbalance",
            len(order),
            f"{commonest} has {most / least:.1f} times as many photos in train as {rarest} ({most} and {least}): "
            "class weights or oversampling may help, and accuracy alone misleads",
            tuple(f"{label} has {count}" for count, label in order),
        )


def passed_over(root: Path) -> Iterator[Finding]:
    """Files that a person may think are in the dataset, and are not."""
    others, deep = [], []
    tops = list(split_folders(root).values()) or [root]
    for top in tops:
        for folder in subfolders(top):
            for path in sorted(folder.rglob("*")):
                if path.is_dir() or path.name.startswith(".") or path.name in _SYSTEM:
                    continue
                name = path.relative_to(root).as_posix()
                if path.parent != folder:
                    deep.append(name)
                elif path.suffix.lower() not in SUFFIXES:
                    others.append(name)
        others += [
            path.relative_to(root).as_posix()
            for path in sorted(top.iterdir())
            if path.suffix.lower() in SUFFIXES and path.is_file()
        ]
    if others:
        yield Finding(
            "passed over",
            len(others),
            f"{counted(len(others), 'file is', 'files are')} "
            f"passed over, as {others[0]}: photos end in {', '.join(SUFFIXES)}, and are in "
            "the folder of a class; convert the others to JPEG or PNG",
            tuple(others),
        )
    if deep:
        yield Finding(
            "passed over",
            len(deep),
            f"{counted(len(deep), 'file is', 'files are')} "
            f"in a folder inside a class and passed over, as {deep[0]}: put it into the "
            "class's folder itself",
            tuple(deep),
        )
