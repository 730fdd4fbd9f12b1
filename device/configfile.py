"""A configuration file to a Config, and a Config to text for people."""

from __future__ import annotations

import copy
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import yaml
from pydantic import BaseModel, SecretStr, ValidationError

from device.config import Config
from device.configtypes import closest, did_you_mean, schema
from device.errors import ConfigError
from device.yamltree import Problem, Tree, Where, YamlReader

__all__ = [
    "closest",
    "did_you_mean",
    "load",
    "resolve_path",
    "resolve_source",
    "schema",
    "show",
    "storage_of",
    "storage_path",
]

MAX_BYTES = 1_048_576
SERVICE_STATE = Path("/var/lib/sereno")


def load(
    path: Path,
    overrides: Mapping[str, object] | None = None,
    *,
    environment: Mapping[str, str] | None = None,
    secrets: bool = True,
) -> Config:
    """Read a configuration file.

    Args:
        path: the YAML file.
        overrides: values that stand above the file's, by dotted key: `{"cameras.0.source": "rtsp://…"}`;
            those that are None are ignored.
        environment: what `${NAME}` is read from; the process's own by default.
        secrets: False for commands that need none: `!file` and `!credential` are then not read.
    Raises:
        ConfigError: all that is wrong with the file, one problem a line, each with file, line and key.
    """
    given = {key: value for key, value in (overrides or {}).items() if value is not None}
    text = _text(path)
    tree = YamlReader(path.parent, os.environ if environment is None else environment, secrets).read(text)
    if not tree.problems and not isinstance(tree.data, dict):
        found = "is empty" if tree.data is None else "is not a mapping of keys"
        raise ConfigError(f"{path}: the configuration {found}; the least it needs is `device: {{role: camera}}`")
    if isinstance(tree.data, dict):
        for key, value in given.items():
            _put(tree.data, key, value)
    config, invalid = _validate(tree, given)
    if config is None or tree.problems or invalid:
        raise ConfigError(_report(path, [*tree.problems, *invalid]))
    return config


def _text(path: Path) -> str:
    """The file's text. Raises ConfigError with the reason where it has none."""
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise ConfigError(f"{path}: there is no such configuration file") from None
    except IsADirectoryError:
        raise ConfigError(f"{path}: is a folder; wanted a YAML file, such as {path}/camera.yaml") from None
    except (OSError, ValueError) as error:
        reason = os.strerror(error.errno or 0) if isinstance(error, OSError) else "not a path"
        raise ConfigError(f"{path}: cannot read the configuration: {reason}") from None
    if len(content) > MAX_BYTES:
        raise ConfigError(f"{path}: is larger than 1 MB; that is no configuration")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise ConfigError(f"{path}:{line}: is not UTF-8 text; wanted a YAML file") from None
    if "\0" in text:
        raise ConfigError(f"{path}: is binary; wanted a YAML file")
    return text


def _put(data: dict[str, Any], key: str, value: object) -> None:
    """Set `cameras.0.source` in plain data, making what is on the way."""
    *parents, last = [int(step) if step.isdigit() else step for step in key.split(".")]
    here: Any = data
    for step, following in zip(parents, [*parents[1:], last], strict=True):
        fresh: Any = [] if isinstance(following, int) else {}
        if isinstance(here, list) and isinstance(step, int):
            here.extend({} for _ in range(step + 1 - len(here)))
            here[step] = fresh if here[step] is None else here[step]
        elif isinstance(here, dict):
            here[step] = fresh if here.get(step) is None else here[step]
        else:
            return
        here = here[step]
    if isinstance(here, dict):
        here[last] = value


def _validate(tree: Tree, overrides: Mapping[str, object]) -> tuple[Config | None, list[Problem]]:
    from device.configerrors import problems, wrong_type  # only when something is wrong

    if not isinstance(tree.data, dict):
        return None, []
    try:
        config = Config.model_validate(copy.deepcopy(tree.data))
    except ValidationError as error:
        return None, problems(error, tree, overrides)
    # Pydantic takes `true` for 1.
    odd = [wrong_type(tree, where) for where, value in _leaves(tree.data) if _is_odd(config, where, value)]
    return config, [*odd, *_bad_paths(config, tree)]


def _bad_paths(config: Config, tree: Tree) -> Iterator[Problem]:
    """The settings that are resolved as paths, where they cannot be."""
    paths: dict[Where, str] = {("cameras", n, "source"): camera.source for n, camera in enumerate(config.cameras)}
    paths["model", "path"] = config.model.path
    paths["storage", "path"] = str(config.storage.path or "")
    for where, path in paths.items():
        try:
            resolve_path(path, Path())
        except ConfigError as error:
            yield Problem(tree.line(where), where, str(error))


def _is_odd(config: Config, where: Where, value: object) -> bool:
    taken = _setting(config, where)
    return isinstance(value, bool) and isinstance(taken, int | float) and not isinstance(taken, bool)


def _leaves(data: Any, where: Where = ()) -> Iterator[tuple[Where, Any]]:
    if isinstance(data, dict | list):
        for step, value in data.items() if isinstance(data, dict) else enumerate(data):
            yield from _leaves(value, (*where, step))
    else:
        yield where, data


def _setting(config: Any, where: Where) -> Any:
    for step in where:
        try:
            config = getattr(config, str(step)) if isinstance(config, BaseModel) else config[step]
        except (AttributeError, KeyError, IndexError, TypeError):
            return None
    return config


def _report(path: Path, found: list[Problem]) -> str:
    from device.configerrors import key_text

    lines = []
    for problem in sorted(found, key=lambda problem: problem.line):
        place = f"{path}:{problem.line}" if problem.line else "command line"
        key = f"{key_text(problem.where)}: " if problem.where else ""
        lines.append(f"{place}: {key}{problem.text}")
    return "\n".join(dict.fromkeys(lines))


def show(config: Config) -> str:
    """The effective configuration as YAML, with every default, and every secret as `********`."""
    from device.configerrors import MASK, mask_url

    def plain(value: Any) -> Any:
        if isinstance(value, BaseModel):
            return {name: plain(getattr(value, name)) for name in type(value).model_fields}
        if isinstance(value, dict):
            return {key: plain(item) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [plain(item) for item in value]
        if isinstance(value, SecretStr):
            return MASK
        if isinstance(value, Path):
            return str(value)
        return mask_url(value) if isinstance(value, str) else value

    return str(yaml.safe_dump(plain(config), sort_keys=False, allow_unicode=True, width=120))


def resolve_path(path: Path | str, base: Path) -> Path:
    """A path of the configuration: `~` is the home, a relative one is relative to `base`, the config file's folder.

    Raises:
        ConfigError: it begins with a home that is not there, or holds a NUL character.
    """
    if "\0" in str(path):
        raise ConfigError(f"{str(path)!r} holds a NUL character, which no path may")
    try:
        return (base / Path(path).expanduser()).absolute()
    except RuntimeError:
        raise ConfigError(f"{path}: nobody knows the home {Path(path).parts[0]}; wanted a whole path") from None


def resolve_source(source: str, base: Path) -> str:
    """A camera's source as capture wants it: URLs, `demo` and `picamera2` as they are, a file's path absolute, a number
    as the device it stands for.

    Args:
        source: as in the configuration, or as given by `--source` (then `base` is the working directory).
        base: folder that a relative path is relative to.
    Raises:
        ConfigError: it is empty, or cannot be a path.
    """
    if not source.strip():
        raise ConfigError("a camera's `source` is empty; it must name a camera, a stream, a file or a folder")
    if source.isdecimal():
        return f"/dev/video{int(source)}"
    if source in ("demo", "picamera2"):
        return source
    if source.startswith("file://"):
        try:
            return str(resolve_path(unquote(urlsplit(source).path), base))
        except ValueError:
            raise ConfigError(f"{source}: is no URL of a file; wanted one as file:///home/me/clip.mp4") from None
    if "://" in source:
        return source
    return str(resolve_path(source, base))


def storage_path(config: Config, base: Path, environment: Mapping[str, str] | None = None) -> Path:
    """The folder for state: the setting, else systemd's, else the person's own.

    systemd ≥ 248 sets SYSTEMD_EXEC_PID to the process it started itself; children inherit it with another's id.

    Raises:
        ConfigError: it cannot be told, or cannot be a path.
    """
    env = os.environ if environment is None else environment
    if config.storage.path is not None:
        return resolve_path(config.storage.path, base)
    if env.get("STATE_DIRECTORY"):
        return Path(env["STATE_DIRECTORY"].split(":")[0])
    if env.get("SYSTEMD_EXEC_PID") == str(os.getpid()):
        return SERVICE_STATE
    state = env.get("XDG_STATE_HOME", "")
    try:
        return (Path(state) if state.startswith("/") else Path.home() / ".local" / "state") / "sereno"
    except RuntimeError:
        raise ConfigError("storage.path: this user has no home folder to keep the state in; set storage.path") from None


def storage_of(path: Path | None) -> Path:
    """The state folder of a configuration file, read without its secrets; of none: the person's own or the service's.

    Raises:
        ConfigError: the file is wrong.
    """
    if path is None:
        return storage_path(Config.model_validate({"device": {"role": "camera"}}), Path.cwd())
    return storage_path(load(path, secrets=False), path.parent)
