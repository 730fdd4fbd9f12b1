"""Run folders: what a training run was told, what it said, and what came of it."""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from device.errors import ConfigError
from export import ROOT

RUNS = ROOT / "runs"


class Run:
    """A folder under `runs/`: config.json, log.txt, checkpoint.pt, report.json and what else the training writes."""

    def __init__(self, path: Path, config: dict[str, Any], *, resume: bool) -> None:
        """Make the folder, or go on with one.

        Raises:
            ConfigError: it is there already and `resume` is not asked for, or it was made with other settings.
        """
        self.path = path
        known = path / "config.json"
        if known.exists() and not resume:
            raise ConfigError(f"{path} holds a run already: go on with it by --resume, or name another folder by --out")
        if known.exists() and json.loads(known.read_text()) != json.loads(json.dumps(config)):
            raise ConfigError(
                f"{path} was begun with other settings (see {known}); give the same ones, or another --out"
            )
        path.mkdir(parents=True, exist_ok=True)
        if not known.exists():
            self.write_json("config.json", config)
        self.log = self._logger()

    def write_json(self, name: str, content: Any) -> Path:
        """Write a file of the run, whole or not at all."""
        scratch = self.path / f".{name}.part"
        scratch.write_text(f"{json.dumps(content, indent=1)}\n", encoding="utf-8")
        return scratch.replace(self.path / name)

    def _logger(self) -> logging.Logger:
        log = logging.getLogger(f"training.{self.path.name}")
        log.setLevel(logging.INFO)
        log.propagate = False
        log.handlers.clear()
        for handler in (logging.FileHandler(self.path / "log.txt"), logging.StreamHandler(sys.stderr)):
            handler.setFormatter(logging.Formatter("%(asctime)s %(message)s", "%H:%M:%S"))
            log.addHandler(handler)
        return log


def fresh_folder(name: str) -> Path:
    """`runs/NAME-20260101-120000`, in UTC."""
    return RUNS / f"{name}-{datetime.now(UTC):%Y%m%d-%H%M%S}"
