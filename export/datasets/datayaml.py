"""data.yaml, as ultralytics and annotation tools write it: where the splits are, and what the classes are called."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml as pyyaml

from device.errors import InputError

FILES = ("data.yaml", "data.yml", "dataset.yaml")


@dataclass(frozen=True)
class DataYaml:
    """What a data.yaml says, with absolute paths; a place is a folder of pictures or a text file that lists them."""

    path: Path
    names: tuple[str, ...]
    splits: Mapping[str, tuple[Path, ...]]


def find_yaml(root: Path) -> DataYaml | None:
    """Read `root` itself, where it is a YAML file, else the data.yaml in it, if there is one."""
    if root.is_file():
        return read_yaml(root)
    return next((read_yaml(root / name) for name in FILES if (root / name).is_file()), None)


def read_yaml(path: Path) -> DataYaml:
    """Read a data.yaml.

    Paths are resolved as in `ultralytics.data.utils.check_det_dataset`: relative to `path:`, which is relative to the
    working directory, and, as people mean it, to the file; without it, relative to the file. `../train/images`, as
    Roboflow writes it, also means `train/images` where the former is not there.

    Raises:
        InputError: it is no YAML mapping, or a key is wrong.
    """
    try:
        content = pyyaml.safe_load(path.read_text(encoding="utf-8-sig"))
    except (OSError, UnicodeDecodeError, pyyaml.YAMLError) as error:
        raise InputError(f"{path} is no YAML that can be read: {' '.join(str(error).split())[:200]}") from None
    if not isinstance(content, dict):
        raise InputError(f"{path} holds no keys; it should say names:, train: and val:")
    base = _base(path, content.get("path"))
    splits = {}
    for split, keys in {"train": ("train",), "val": ("val", "validation"), "test": ("test",)}.items():
        given = next((content[key] for key in keys if content.get(key)), None)
        if given is not None:
            splits[split] = tuple(
                _place(base, entry, path) for entry in (given if isinstance(given, list) else [given])
            )
    if splits and "train" not in splits:
        raise InputError(f"{path} names {' and '.join(splits)}, but no train:")
    return DataYaml(path, _names(path, content), splits)


def _base(path: Path, given: Any) -> Path:
    folder = path.resolve().parent
    if not given:
        return folder
    if not isinstance(given, str):
        raise InputError(f"{path}: path: {given!r} is no folder's name")
    candidates = [folder / given, Path(given).resolve(), folder]
    return next(candidate for candidate in candidates if candidate.is_dir())


def _place(base: Path, entry: Any, path: Path) -> Path:
    if not isinstance(entry, str):
        raise InputError(f"{path}: {entry!r} is no folder's name")
    place = (base / entry).resolve()
    if not place.exists() and entry.startswith("../"):
        place = (base / entry[3:]).resolve()
    if not place.exists():
        raise InputError(f"{path} names {entry}, but there is no {place}; give a folder of pictures relative to {base}")
    return place


def _names(path: Path, content: Mapping[str, Any]) -> tuple[str, ...]:
    given, count = content.get("names"), content.get("nc")
    if isinstance(given, dict):
        if sorted(given, key=str) != sorted(range(len(given)), key=str):
            raise InputError(f"{path}: the numbers of names: must go from 0 to {len(given) - 1}, one by one")
        given = [given[index] for index in range(len(given))]
    if given is None:
        return tuple(f"class_{index}" for index in range(count)) if isinstance(count, int) else ()
    if not isinstance(given, list) or not given:
        raise InputError(f"{path}: names: must be a list of the classes' names, as [sano, monilia]")
    wrong = next((name for name in given if not isinstance(name, str | int | float)), None)
    if wrong is not None:
        raise InputError(f"{path}: names: must be a list of texts, and has a {type(wrong).__name__} in it")
    names = tuple(str(name) for name in given)
    if isinstance(count, int) and count != len(names):
        raise InputError(f"{path}: nc: says {count} classes, but names: lists {len(names)}")
    if len(set(names)) < len(names):
        raise InputError(f"{path}: names: has {next(name for name in names if names.count(name) > 1)!r} twice")
    return names
