"""Files put aside by a list that a person has read, and brought back."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from device.errors import InputError
from training.data.findings import Findings

HEADER = """\
# What could be put aside from {root}, and why. Nothing has been moved.
# Read it, remove the lines of what shall stay, and then:
#     python -m training data check {root} --fix quarantine --list {file}
# moves exactly these files into {quarantine}, keeping the tree;
#     python -m training data check {root} --fix restore
# brings them back. Lines that begin with # are passed over: take the # away to choose between two copies.
"""


def quarantine_folder(root: Path) -> Path:
    """Beside the dataset, so that no training looks into it."""
    root = root.resolve()
    return root.with_name(f"{root.name}-quarantine")


def list_file(root: Path) -> Path:
    """Where the list is written."""
    root = root.resolve()
    return root.with_name(f"{root.name}-quarantine.txt")


def write_list(findings: Findings, file: Path) -> int:
    """Write what could be put aside, a path and a reason a line, with a tab between.

    Returns:
        How many files would be moved.
    Raises:
        InputError: there is a list already, which a person may have edited, or it cannot be written.
    """
    root = findings.root.resolve()
    lines = [HEADER.format(root=findings.root, file=file, quarantine=quarantine_folder(root)).rstrip("\n")]
    sure = 0
    for removal in findings.removals:
        path = removal.path.resolve()
        if not path.is_relative_to(root):
            continue
        line = f"{path.relative_to(root).as_posix()}\t{removal.reason}"
        lines.append(line if removal.sure else f"# {line}")
        sure += removal.sure
    try:
        with file.open("x", encoding="utf-8") as stream:
            stream.write("\n".join(lines) + "\n")
    except FileExistsError:
        raise InputError(
            f"{file} is there already, and may have been edited: use it by --list {file}, or remove it first"
        ) from None
    except OSError as error:
        raise InputError(f"the list {file} cannot be written: {error.strerror}") from None
    return sure


def read_list(file: Path, root: Path) -> list[Path]:
    """The paths in a list, relative to the root.

    Raises:
        InputError: it cannot be read, or a path in it leads out of the dataset or to nothing.
    """
    try:
        lines = file.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"the list {file} cannot be read: {error}") from None
    aside, paths = quarantine_folder(root), []
    for number, line in enumerate(lines, 1):
        name = line.split("\t")[0].strip()
        if not name or name.startswith("#"):
            continue
        path = Path(name)
        if path.is_absolute() or ".." in path.parts:
            raise InputError(f"{file}, line {number}: {name} leads out of {root}; nothing has been moved")
        if not _there(root / path) and not _there(aside / path):
            raise InputError(f"{file}, line {number}: there is no {name} in {root}; nothing has been moved")
        if _there(root / path):
            if _there(aside / path):
                raise InputError(f"{file}, line {number}: {aside} holds another {name} already; nothing has been moved")
            paths.append(path)
    return paths


def _there(path: Path) -> bool:
    return path.is_file() or path.is_symlink()


def put_aside(root: Path, paths: Sequence[Path]) -> Path:
    """Move files into the quarantine folder, keeping the tree. Raises InputError."""
    _move(root.resolve(), quarantine_folder(root), paths)
    return quarantine_folder(root)


def restore(root: Path) -> int:
    """Bring back all that was put aside, and say how many files that was.

    Raises:
        InputError: nothing was put aside, or something stands where a file was; then nothing is moved.
    """
    aside = quarantine_folder(root)
    if not aside.is_dir():
        raise InputError(f"nothing was put aside from {root}: there is no {aside}")
    paths = sorted(path.relative_to(aside) for path in aside.rglob("*") if _there(path))
    taken = next((path for path in paths if _there(root / path)), None)
    if taken:
        raise InputError(f"{root} has another {taken} by now; move one of them away, nothing has been moved")
    _move(aside, root.resolve(), paths)
    for folder in sorted((path for path in aside.rglob("*") if path.is_dir()), reverse=True):
        folder.rmdir()
    aside.rmdir()
    return len(paths)


def _move(source: Path, target: Path, paths: Sequence[Path]) -> None:
    for path in paths:
        try:
            (target / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.move(source / path, target / path)
        except OSError as error:
            raise InputError(
                f"{source / path} cannot be moved to {target}: {os.strerror(error.errno) if error.errno else error}"
            ) from None
