"""Run folders: what a training run was told, what it said, and what came of it."""

from __future__ import annotations

import dataclasses
import json
import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
import yaml
from click.core import ParameterSource

from device.errors import ConfigError, InputError
from export import ROOT
from training.environment import environment
from training.filing import replacing
from training.progress import BarAwareHandler

RUNS = ROOT / "runs"
FOLDERS = ("out", "resume")
"""Flags that say where a run is, and are no part of what it is."""
BEGINNINGS = frozenset({"config.yaml", "environment.json", "log.txt", "inputs.json", "dataset.json", "start.json"})
"""What a run writes before its first step: with nothing else in its folder, nothing was learnt."""


class Run:
    """A folder under `runs/`: config.yaml, inputs.json, log.txt, environment.json, checkpoints and the report.

    Attributes:
        path: the folder.
        config: what the run was told, of YAML's plain types; for one that is resumed, as it was begun.
        log: writes to log.txt and to the terminal.
    """

    def __init__(self, path: Path, config: Mapping[str, Any], *, resume: bool) -> None:
        """Make the folder, or go on with one.

        Args:
            config: settings: numbers, texts, paths, lists, dataclasses and mappings of them. For a resumed run only
                those that must be as they were: keys that are not named here are taken from the run's own.
        Raises:
            ConfigError: it is there already and `resume` is not asked for, it is not there and it is, or it was begun
                with another value of a setting.
            InputError: the folder cannot be written.
        """
        self.path = path
        self._resumed = resume
        self._found: frozenset[str] | None = None
        known = path / "config.yaml"
        if known.exists() and not resume:
            raise ConfigError(f"{path} holds a run already: go on with it by --resume, or name another folder by --out")
        if resume:
            self.config = read_config(path)
            _refuse_changes(path, self.config, plain(config))
        else:
            self.config = plain(config)
            self._found = _names_in(path) if path.is_dir() else None
            _make(path)
            self.write_bytes("config.yaml", _yaml(self.config))
        self.log = self._logger()
        self._write_environment()

    def write_json(self, name: str, content: Any) -> Path:
        """Write a file of the run, whole or not at all. Paths, dataclasses and numpy's numbers become plain ones."""
        return self.write_bytes(name, f"{json.dumps(plain(content), indent=1, ensure_ascii=False)}\n".encode())

    def write_bytes(self, name: str, content: bytes) -> Path:
        """Write a file of the run, whole or not at all."""
        with self.writing(name) as scratch:
            scratch.write_bytes(content)
        return self.path / name

    @contextmanager
    def writing(self, name: str) -> Iterator[Path]:
        """For what writes files itself: save to the path that is given, and it becomes `name` when the block ends.

        Args:
            name: of the file in the run's folder; folders before it are made. The scratch file has the same suffix.
        Raises:
            InputError: the disk is full, or the folder cannot be written; what was there before stays.
        """
        with replacing(self.path / name) as scratch:
            yield scratch

    @contextmanager
    def refusable(self) -> Iterator[None]:
        """A fresh run that is refused in this block before its first step leaves nothing behind.

        So the same command, with the same --out, can be given again once what was wrong has been put right. A run that
        was interrupted stays, and so does one that is gone on with.
        """
        try:
            yield
        except (ConfigError, InputError):
            if not self._resumed:
                self._take_back()
            raise

    def _take_back(self) -> None:
        """Remove what the run has written, if that is nothing but its beginnings."""
        written = _names_in(self.path) - (self._found or frozenset())
        if not written <= BEGINNINGS:
            return
        for handler in list(self.log.handlers):
            handler.close()
            self.log.removeHandler(handler)
        for name in written:
            (self.path / name).unlink()
        if self._found is None:
            self.path.rmdir()

    def same(self, name: str, value: Any) -> None:
        """Note what the run works on, such as a dataset's fingerprint, in inputs.json; refuse another when resumed.

        Raises:
            ConfigError: it was something else when the run was begun.
        """
        file = self.path / "inputs.json"
        known = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
        if name in known and known[name] != plain(value):
            raise ConfigError(
                f"{self.path} was begun with {name} {_say(known[name])}, and it is {_say(plain(value))} now: "
                "put back what it was, or begin a new run by --out"
            )
        if name not in known:
            self.write_json("inputs.json", {**known, name: value})

    @property
    def again(self) -> str:
        """The command that goes on with the run."""
        return _again(self.config.get("family", "COMMAND"), self.path)

    def _write_environment(self) -> None:
        file = self.path / "environment.json"
        earlier = json.loads(file.read_text(encoding="utf-8")) if file.exists() else None
        facts = environment(self.config.get("seed"))
        if earlier is not None:
            facts["earlier"] = [*earlier.pop("earlier", []), earlier]
        self.write_json("environment.json", facts)

    def _logger(self) -> logging.Logger:
        log = logging.Logger(f"training.{self.path.name}", logging.INFO)
        try:
            file = _LogFile(self.path / "log.txt", encoding="utf-8")
        except OSError as error:
            raise InputError(f"cannot write {self.path / 'log.txt'}: {error.strerror}") from error
        file.setFormatter(logging.Formatter("%(asctime)s %(message)s", "%Y-%m-%d %H:%M:%S"))
        terminal = BarAwareHandler()
        terminal.setFormatter(logging.Formatter("%(asctime)s %(message)s", "%H:%M:%S"))
        log.addHandler(file)
        log.addHandler(terminal)
        return log


class _LogFile(logging.FileHandler):
    """A log that cannot be written is not worth a traceback for each line, nor the loss of the training."""

    def handleError(self, record: logging.LogRecord) -> None:
        """Once a line was lost, log to the terminal only: a full disk is told of by the next checkpoint."""
        del record
        self.setLevel(logging.CRITICAL + 1)


def fresh_folder(family: str) -> Path:
    """`runs/FAMILY-20260101-120000`, in UTC; with -2, -3 … where that is taken."""
    stem = f"{family}-{datetime.now(UTC):%Y%m%d-%H%M%S}"
    path, number = RUNS / stem, 2
    while path.exists():
        path, number = RUNS / f"{stem}-{number}", number + 1
    return path


def asked(context: click.Context) -> dict[str, Any]:
    """What a command's flags say of a run: all of them for a new one; for `--resume`, those that were typed.

    Pass it to `Run` and read the settings from `Run.config`: so `--resume RUN` alone goes on as it was begun, and a
    flag that contradicts is refused. Paths become absolute; `--out` and `--resume` are left out; `family` is the
    command's name.
    """
    resumed = context.params.get("resume") is not None
    given = {
        name: value.absolute() if isinstance(value, Path) else value
        for name, value in context.params.items()
        if name not in FOLDERS and (not resumed or context.get_parameter_source(name) is ParameterSource.COMMANDLINE)
    }
    return {"family": context.command.name, **given}


def effective(context: click.Context) -> dict[str, Any]:
    """The settings that `open_run` will have, without touching the disk: so the data can be looked at before.

    Raises:
        ConfigError: a flag contradicts the run that is to be resumed, or there is none.
    """
    resume, config = context.params.get("resume"), plain(asked(context))
    if resume is None:
        return dict(config)
    known = read_config(Path(resume))
    _refuse_changes(Path(resume), known, config)
    return known


def open_run(context: click.Context) -> Run:
    """The run that a command with `--out` and `--resume` asks for, with the settings of its other flags."""
    resume, out = context.params.get("resume"), context.params.get("out")
    if resume is not None and out is not None and Path(out).absolute() != Path(resume).absolute():
        raise ConfigError(f"--resume {resume} goes on in its own folder: leave --out {out} out")
    config = effective(context)
    folder = resume or out or fresh_folder(str(config["family"]))
    return Run(Path(folder), config, resume=resume is not None)


def read_config(path: Path) -> dict[str, Any]:
    """The settings of the run in folder `path`.

    Raises:
        ConfigError: there is no run in it.
        InputError: its config.yaml is not what a run wrote.
    """
    file = path / "config.yaml"
    if not file.is_file():
        raise ConfigError(f"{path} holds no run: there is no config.yaml in it")
    try:
        config = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise InputError(f"cannot read {file}: {' '.join(str(error).split())}") from error
    if not isinstance(config, dict):
        raise InputError(f"{file} is no mapping of settings")
    return config


def plain(value: Any) -> Any:
    """`value` of the types that YAML and JSON know: dicts with text keys, lists, texts, numbers, None."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        value = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(key): plain(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [plain(entry) for entry in (sorted(value) if isinstance(value, (set, frozenset)) else value)]
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if hasattr(value, "tolist"):  # numpy's scalars and arrays, without importing it.
        return value.tolist()
    return value


def _refuse_changes(path: Path, was: dict[str, Any], given: dict[str, Any], above: str = "") -> None:
    for key, value in given.items():
        name = f"{above}{key}"
        if key not in was:
            raise ConfigError(
                f"{path} was begun without {name}, and {_say(value)} was given: "
                "leave it out to go on, or begin a new run by --out"
            )
        if isinstance(value, dict) and isinstance(was[key], dict):
            _refuse_changes(path, was[key], value, f"{name}.")
        elif name == "family" and value != was[key]:
            raise ConfigError(f"{path} is a run of `{was[key]}`: go on with it by `{_again(was[key], path)}`")
        elif value != was[key]:
            raise ConfigError(
                f"{path} was begun with {name} {_say(was[key])}, and {_say(value)} was given: "
                "leave it out to go on, or begin a new run by --out"
            )


def _again(family: str, path: Path) -> str:
    return f"python -m training {family} --resume {path}"


def _say(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False) if isinstance(value, (dict, list, bool, type(None))) else str(value)


def _names_in(folder: Path) -> frozenset[str]:
    return frozenset(path.name for path in folder.iterdir())


def _make(path: Path) -> None:
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"cannot make the run's folder {path}: {error.strerror}") from error


def _yaml(config: dict[str, Any]) -> bytes:
    return yaml.safe_dump(config, sort_keys=False, allow_unicode=True, width=120).encode()
