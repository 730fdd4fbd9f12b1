"""Writes docs/config.md and config/schema.json out of device/config.py: `python -m device.configdoc`."""

# ruff: noqa: E501 (a row of a Markdown table is one line)
from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from device.configtypes import Schema, resolve, schema, wanted

ROOT = Path(__file__).resolve().parent.parent

INTRODUCTION = """\
# Configuration

<!-- Generated from device/config.py by `make docs`; edit the docstrings there. -->

One YAML file, given as `sereno run --config FILE`. The least that works is

```yaml
device: {role: camera}
```

`sereno check --config FILE` says whether all of it is well; `sereno config show --config FILE` prints every setting as it
is in force, secrets masked. A fault is refused with file, line, key, what was given and what is allowed, all faults of
a file at once:

```text
camera.yaml:4: cameras[0].fsp: unknown key; did you mean `fps`?
camera.yaml:8: cameras[0].zones.walk.polygon[1]: point [1.2, 0.5] lies outside the picture: both numbers go from 0 to 1
```

An editor that speaks JSON schema helps while typing, with this first line in a file beside config/schema.json:

```yaml
# yaml-language-server: $schema=schema.json
```

## An example

```yaml
device: {id: porch, name: Porch, role: camera}
cameras:
  - id: front
    source: rtsp://viewer:${CAMERA_PASSWORD}@192.0.2.10/stream1
    fps: 8
    objects:
      person: {min_score: 0.6, min_area: 500}
      car:
    zones:
      walk: {polygon: [[0, .5], [1, .5], [1, 1], [0, 1]], objects: [person]}
    masks:
      - [[0, 0], [.3, 0], [.3, .1], [0, .1]]     # the clock that the camera paints into the picture
mqtt:
  host: broker.lan
  username: porch
  password: !credential mqtt-password
web: {host: 0.0.0.0}
```

## Secrets, variables and paths

| written | means |
|---|---|
| `${NAME}` | the environment variable `NAME`, anywhere in a text; an error where it is not set. Inside `{…}` and `[…]` it needs quotes. `$${NAME}` is the text `${NAME}` |
| `!file secret.txt` | what that file holds, without its last line end. The path is relative to the configuration file |
| `!credential mqtt-password` | the file of that name in `/etc/sereno/credentials`, which only root can read: systemd hands it to the service |

Secrets are never shown: not by `config show`, not in messages, not in logs. Passwords inside of URLs are masked, too.

Relative paths are relative to the configuration file; `~` is the home folder.
Plain words are YAML 1.2's: `on`, `off`, `yes` and `no` are text, which a switch understands all the same.

## Settings
"""


def page() -> str:
    """docs/config.md as text."""
    root = schema()
    lines = [INTRODUCTION]
    for name, part in root["properties"].items():
        lines += _section(root, name, part)
    return "\n".join(lines).rstrip() + "\n"


def schema_text() -> str:
    """config/schema.json as text."""
    return json.dumps(schema(), indent=2, ensure_ascii=False) + "\n"


def _section(root: Schema, name: str, part: Schema) -> Iterator[str]:
    resolved = resolve(root, part)
    if "items" in resolved:
        name, resolved = f"{name}[]", resolve(root, resolved["items"])
    yield f"### `{name}`\n\n{resolved.get('description', '')}\n"
    yield "| key | may be | default | |\n|---|---|---|---|"
    inner = []
    for key, setting in resolved["properties"].items():
        inside = _section_inside(root, setting)
        required = key in resolved.get("required", [])
        yield _row(root, key, setting, inside, required)
        if inside is not None:
            inner.append((f"{name}.{key}{'' if 'properties' in resolve(root, setting) else '.<name>'}", inside))
    yield ""
    for inner_name, inside in inner:
        yield from _section(root, inner_name, inside)


def _section_inside(root: Schema, setting: Schema) -> Schema | None:
    """The block of settings that a setting consists of, or of which it names several; None for a plain value."""
    resolved = resolve(root, setting)
    for way in resolved.get("anyOf", [resolved]):
        names: Any = way.get("additionalProperties") or next(iter(way.get("patternProperties", {}).values()), {})
        for candidate in (way, names if isinstance(names, dict) else {}):
            block = resolve(root, candidate)
            if "properties" in block:
                return block
    return None


def _row(root: Schema, key: str, setting: Schema, inside: Schema | None, required: bool) -> str:
    resolved = resolve(root, setting)
    text = setting.get("description") or resolved.get("description", "")
    if inside is not None and "properties" in resolved:
        return f"| `{key}` | the settings below | | {text} |"
    may_be = wanted(root, setting) if "anyOf" not in resolved else "a list of labels, or a mapping of label to filter"
    if inside is not None and "anyOf" not in resolved:
        may_be = "a mapping of name to the settings below"
    return f"| `{key}` | {may_be} | {_default(setting, required)} | {text} |"


def _default(setting: Schema, required: bool) -> str:
    value: Any = setting.get("default")
    if required:
        return "*required*"
    if value is None:
        return "empty"
    if isinstance(value, dict) and value and all(isinstance(item, dict) for item in value.values()):
        value = list(value)
    return f"`{json.dumps(value, ensure_ascii=False)}`"


def main() -> None:
    """Write both files into the repository."""
    (ROOT / "docs" / "config.md").write_text(page(), encoding="utf-8")
    (ROOT / "config" / "schema.json").write_text(schema_text(), encoding="utf-8")


if __name__ == "__main__":
    main()
