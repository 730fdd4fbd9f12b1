"""What is to be measured: a run or a bundle, and the float sibling that it is compared with."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from device.errors import ConfigError, InputError
from device.inference.manifest import Bundle, find_bundle, load_bundle
from training.runs import read_config

FLOAT = "-fp32"


@dataclass(frozen=True)
class Subject:
    """A bundle; `sibling` is the float one of the same network, `config` the settings of its run, where known."""

    bundle: Bundle
    sibling: Bundle | None
    config: dict[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The bundle's."""
        return self.bundle.name

    @property
    def task(self) -> str:
        """What it does: classify, detect, embed …"""
        return self.bundle.manifest.task

    @property
    def data(self) -> Path | None:
        """The photos of its run."""
        return Path(self.config["data"]) if self.config.get("data") else None

    @property
    def split_seed(self) -> int:
        """Of the splits that its run made: the same photos are held out again."""
        told = self.bundle.manifest.provenance.get("training")
        found = told.get("split_seed", 0) if isinstance(told, dict) else 0
        return int(self.config.get("split_seed", found))

    @property
    def bundles(self) -> list[Bundle]:
        """Both, the quantized one first."""
        return [self.bundle, *([self.sibling] if self.sibling else [])]


def find_subject(named: str) -> Subject:
    """A run's folder, a bundle's folder, or the bare name of a bundle.

    Raises:
        InputError: there is none of these, or the run has no bundle.
    """
    path = Path(named)
    if (path / "config.yaml").is_file():
        return _of_run(path)
    if (path / "manifest.json").is_file() or not path.is_dir():
        return _of_bundle(find_bundle(named), {})
    raise InputError(f"{path} is a folder that holds neither a run (config.yaml) nor a bundle (manifest.json)")


def _of_run(path: Path) -> Subject:
    made = sorted(manifest.parent for manifest in (path / "bundle").glob("[!.]*/manifest.json"))
    quantized = [folder for folder in made if not folder.name.endswith(FLOAT)]
    if not quantized:
        raise InputError(f"{path} holds no bundle yet: finish the run by --resume, or `make export MODEL={path}`")
    return _of_bundle(quantized[0], read_config(path))


def _of_bundle(path: Path, config: dict[str, Any]) -> Subject:
    bundle = load_bundle(path)
    if bundle.name.endswith(FLOAT):
        return Subject(bundle, None, config)
    beside = path.parent / f"{path.name}{FLOAT}"
    if (beside / "manifest.json").is_file():
        return Subject(bundle, load_bundle(beside), config)
    try:
        return Subject(bundle, load_bundle(find_bundle(f"{bundle.name}{FLOAT}")), config)
    except InputError:
        return Subject(bundle, None, config)


def data_of(subject: Subject, data: Path | None) -> Path:
    """The folder named, else the run's own. Raises ConfigError where neither is known."""
    found = data or subject.data
    if found is None:
        raise ConfigError(f"--data names the folder of photos to measure {subject.name} on; a bundle does not know one")
    return found
