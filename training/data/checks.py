"""One look over a dataset before a minute is spent on training."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from device.errors import ConfigError, InputError
from export.datasets.datayaml import FILES
from export.datasets.folders import photos, split_folders, subfolders
from training.data.boxes import check_boxes
from training.data.classes import check_classes
from training.data.faces import check_faces
from training.data.findings import Findings

TASKS = ("classify", "detect", "faces")


def check_dataset(
    root: Path | str,
    task: str = "classify",
    *,
    seed: int = 0,
    allow_duplicates: bool = False,
    names: Sequence[str] = (),
) -> Findings:
    """Look a dataset over, and refuse it where training would be wasted: what each family calls first.

    Args:
        root: the folder; for detect also a data.yaml.
        task: classify, detect or faces.
        seed: that of the splits that will be made.
        allow_duplicates: let the same photo in more than one split pass, as a warning.
        names: of a detector's classes, where no data.yaml says them.
    Returns:
        What was found; only warnings.
    Raises:
        InputError: one sentence, for the first error.
    """
    findings = look_over(root, task, seed=seed, allow_duplicates=allow_duplicates, names=names)
    findings.stop_on_errors()
    return findings


def look_over(
    root: Path | str, task: str, *, seed: int = 0, allow_duplicates: bool = False, names: Sequence[str] = ()
) -> Findings:
    """`check_dataset` that tells of errors like of anything else. Raises InputError where there is nothing to check."""
    root = Path(root)
    if task == "classify":
        return check_classes(root, seed=seed, allow_duplicates=allow_duplicates)
    if task == "detect":
        return check_boxes(root, names=names, seed=seed, allow_duplicates=allow_duplicates)
    if task == "faces":
        return check_faces(root, allow_duplicates=allow_duplicates)
    raise ConfigError(f"there is no task {task}; there are {', '.join(TASKS)}")


def guess_task(root: Path) -> str:
    """What a folder is for: boxes have data.yaml or a folder images, faces many classes with few photos each."""
    if root.is_file() or any((root / name).is_file() for name in FILES) or (root / "images").is_dir():
        return "detect"
    if not root.is_dir():
        raise InputError(f"there is no folder {root}")
    tops = list(split_folders(root).values()) or [root]
    if any((top / "images").is_dir() and (top / "labels").is_dir() for top in tops):
        return "detect"
    counts = sorted(len(photos(folder)) for top in tops for folder in subfolders(top))
    return "faces" if len(counts) >= 50 and counts[len(counts) // 2] <= 12 else "classify"
