"""What a setting may be, in words: for the errors of a file and for docs/config.md, out of the JSON schema."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from device.config import Config

Schema = dict[str, Any]


def schema() -> Schema:
    """The JSON schema (draft 2020-12) of a configuration file."""
    described = Config.model_json_schema()
    described["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    described["title"] = "Sereno configuration"
    camera = described["$defs"]["Camera"]["properties"]
    # A list of labels is accepted, too, and stands for each label with the defaults.
    by_label = {key: camera["objects"].pop(key) for key in ("additionalProperties", "type")}
    by_label["additionalProperties"] = {"anyOf": [by_label["additionalProperties"], {"type": "null"}]}
    camera["objects"]["anyOf"] = [{"type": "array", "items": {"type": "string"}}, by_label]
    described["$defs"]["Mqtt"]["properties"]["protocol"]["enum"].append(5)
    return described


def resolve(root: Schema, part: Schema) -> Schema:
    """Follow `$ref`s, and take the only way that is not null."""
    while True:
        ways = [way for way in part.get("anyOf", []) if way.get("type") != "null"]
        if "$ref" in part:
            part = {**root["$defs"][part["$ref"].rsplit("/", 1)[1]], **{k: v for k, v in part.items() if k != "$ref"}}
        elif len(ways) == 1:
            part = {**{k: v for k, v in part.items() if k != "anyOf"}, **ways[0]}
        else:
            return part


def find(root: Schema, where: Sequence[str | int]) -> Schema | None:
    """The schema of the setting at `where`; None where there is no such setting."""
    part = resolve(root, root)
    for step in where:
        found: Schema | bool | None = None
        for way in part.get("anyOf", [part]):
            found = found or _child(resolve(root, way), step)
        if not isinstance(found, dict):
            return None
        part = resolve(root, found)
    return part


def _child(part: Schema, step: str | int) -> Schema | bool | None:
    if isinstance(step, int):
        pair: list[Schema] = part.get("prefixItems", [])
        return pair[step] if 0 <= step < len(pair) else part.get("items")
    child: Schema | bool | None = part.get("properties", {}).get(step, part.get("additionalProperties"))
    if child is None and part.get("patternProperties"):
        child = next(iter(part["patternProperties"].values()))
    return child


def is_secret(part: Schema | None) -> bool:
    """Whether a value of this setting must never be shown."""
    return bool(part and part.get("format") == "password")


def wanted(root: Schema, part: Schema) -> str:
    """What a value may be: "a whole number from 1 to 65535"."""
    part = resolve(root, part)
    if "enum" in part or "const" in part:
        return choice(part.get("enum", [part.get("const")]))
    ways = part.get("anyOf")
    if ways:
        return " or ".join(wanted(root, way) for way in ways if way.get("type") != "null")
    kind = part.get("type")
    if kind in ("integer", "number"):
        return ("a whole number" if kind == "integer" else "a number") + _range(part)
    if kind == "array":
        return _wanted_list(root, part)
    if kind == "string":
        return _wanted_text(part)
    if kind == "boolean":
        return "`true` or `false`"
    return "a mapping (`key: value`)"


def _wanted_text(part: Schema) -> str:
    if part.get("format") == "path":
        return "a path"
    pattern = part.get("pattern")
    if pattern == r"^[a-z0-9][a-z0-9_-]{0,62}$":
        return "a name of lower-case letters, digits, `-` and `_`, at most 63"
    if pattern == r"^[^+#\s]+$":
        return "text without spaces, `+` and `#`"
    return f"text of at most {part['maxLength']} characters" if "maxLength" in part else "text"


def _wanted_list(root: Schema, part: Schema) -> str:
    if part.get("prefixItems"):
        return "a point [x, y], both from 0 to 1"
    items = resolve(root, part.get("items", {}))
    if items.get("prefixItems"):
        return f"a polygon: {part.get('minItems', 0)} to {part.get('maxItems')} points [x, y]"
    if items.get("type") == "string":
        return "a list of words"
    if resolve(root, items.get("items", {})).get("prefixItems"):
        return "a list of polygons, each of 3 to 64 points [x, y]"
    fewest, most = part.get("minItems"), part.get("maxItems")
    return f"a list of {fewest} to {most}" if fewest and most else "a list"


def _range(part: Schema) -> str:
    low, high = part.get("minimum"), part.get("maximum")
    above, below = part.get("exclusiveMinimum"), part.get("exclusiveMaximum")
    texts = []
    if low is not None and high is not None:
        return f" from {low:g} to {high:g}" if isinstance(low, float) else f" from {low} to {high}"
    if above is not None:
        texts.append(f"above {above:g}")
    if low is not None:
        texts.append(f"of at least {low:g}")
    if high is not None:
        texts.append(f"{'up to' if texts else 'of at most'} {high:g}")
    if below is not None:
        texts.append(f"below {below:g}")
    return " " + " and ".join(texts) if texts else ""


def choice(words: Sequence[object]) -> str:
    """`a`, `b` or `c`."""
    quoted = [f"`{word}`" for word in dict.fromkeys(map(str, words))]
    return quoted[0] if len(quoted) == 1 else f"{', '.join(quoted[:-1])} or {quoted[-1]}"


def closest(word: str, known: Iterable[str]) -> str | None:
    """The known word that was most likely meant, None where none is near."""
    lower = {name.lower(): name for name in known}
    matches = difflib.get_close_matches(word.lower().replace("-", "_"), lower, n=1, cutoff=0.6)
    return lower[matches[0]] if matches else None


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """ "; did you mean `fps`?", or nothing where no known word is near."""
    name = closest(word, known)
    return f"; did you mean `{name}`?" if name is not None else ""


def homes(root: Schema, key: str) -> list[str]:
    """Where a key that stands in the wrong place belongs: ["model"] for `threads`."""
    found = []
    sections: Mapping[str, Schema] = root["properties"]
    for name, part in sections.items():
        resolved = resolve(root, part)
        inner = resolve(root, resolved.get("items", resolved))
        if key in inner.get("properties", {}):
            found.append(f"{name}[]" if resolved.get("type") == "array" else name)
    return found
