"""Where the photos of each class and split are, in the layouts that people have."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from device.capture.pictures import SUFFIXES
from device.errors import InputError
from export.datasets.samples import Sample
from export.datasets.sheets import tiles_in

SPLIT_NAMES = {"train": ("train", "training"), "val": ("val", "valid", "validation"), "test": ("test", "testing")}


@dataclass(frozen=True)
class Layout:
    """The classes, and the samples of each split that has a folder; without such folders all are in train."""

    labels: tuple[str, ...]
    samples: Mapping[str, tuple[Sample, ...]]


def find_layout(root: Path) -> Layout:
    """Look where a dataset's photos are.

    Raises:
        InputError: there is no such folder, no photo in it, or it is laid out in no way that is known.
    """
    if not root.is_dir():
        raise InputError(f"there is no folder {root}; a dataset has a folder of photos for each class")
    splits = split_folders(root)
    if not splits:
        _refuse_detection(root)
        layout = _classes({"train": root})
    elif not any(subfolders(folder) for folder in splits.values()) and photos(splits["train"]):
        layout = _sheets(splits)
    else:
        layout = _classes(splits)
    if not any(layout.samples.values()):
        raise InputError(_nothing(root))
    return layout


def split_folders(root: Path) -> dict[str, Path]:
    """The folders of train, val and test that are there; none without train, or where that is a class of the name."""
    found = {}
    for split, names in SPLIT_NAMES.items():
        folder = next((root / name for name in names if (root / name).is_dir()), None)
        if folder:
            found[split] = folder
    if "train" not in found or _is_a_class(root, found):
        return {}
    return found


def _is_a_class(root: Path, found: Mapping[str, Path]) -> bool:
    """Whether `train` is a vehicle: it holds photos and no folders, beside other folders that hold photos."""
    if subfolders(found["train"]) or not photos(found["train"]):
        return False
    return any(photos(folder) for folder in subfolders(root) if folder not in found.values())


def subfolders(folder: Path) -> list[Path]:
    """Folders in a folder, by name; hidden ones and what archives of macOS add are none."""
    return sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith((".", "__")))


def photos(folder: Path) -> list[Path]:
    """Pictures in a folder by their names' endings, sorted."""
    return sorted(
        path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES and not path.name.startswith(".")
    )


def _classes(splits: Mapping[str, Path]) -> Layout:
    labels = sorted({path.name for folder in splits.values() for path in subfolders(folder)})
    samples = {
        split: tuple(
            Sample(path, label)
            for label, name in enumerate(labels)
            if (folder / name).is_dir()
            for path in photos(folder / name)
        )
        for split, folder in splits.items()
    }
    return Layout(tuple(labels), samples)


def _sheets(splits: Mapping[str, Path]) -> Layout:
    labels = sorted({path.stem for folder in splits.values() for path in photos(folder)})
    samples = {
        split: tuple(
            Sample(path, labels.index(path.stem), tile) for path in photos(folder) for tile in range(tiles_in(path))
        )
        for split, folder in splits.items()
    }
    return Layout(tuple(labels), samples)


def _refuse_detection(root: Path) -> None:
    if (root / "images").is_dir() and ((root / "labels").is_dir() or (root / "data.yaml").is_file()):
        raise InputError(f"{root} is a dataset of boxes for a detector; a classifier wants a folder of photos a class")


def _nothing(root: Path) -> str:
    if photos(root):
        return (
            f"the photos in {root} have no class: put them into a folder for each class, as {root}/cats and {root}/dogs"
        )
    return (
        f"{root} holds no photos: put some into a folder for each class, as {root}/cats and {root}/dogs; "
        f"photos end in {', '.join(SUFFIXES)}"
    )
