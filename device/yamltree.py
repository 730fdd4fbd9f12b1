"""YAML text to plain data that remembers the line of each value, so that an error can say where.

YAML 1.2's plain scalars (`on` and `no` are text, `1:30` is no number), `${ENV}` in text, and two tags for secrets:
`!file path` and `!credential name`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from device.system.credentials import CREDENTIALS, places

Where = tuple[str | int, ...]
"""Keys and list positions from the top of the file: `("cameras", 0, "fps")`."""

MAX_VALUES = 20_000
"""More values than any real configuration has; aliases that multiply themselves end here."""
MAX_SECRET_BYTES = 65_536

_VARIABLE = re.compile(r"\$(\$?)\{([^{}]*)\}")
_VARIABLE_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_INTEGER = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
_WORDS: dict[str, bool | None] = {"": None, "~": None, "null": None, "Null": None, "NULL": None}
_WORDS |= {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong: the line (from 1; 0 where it is not in the file), the key, and the sentence."""

    line: int
    where: Where
    text: str


@dataclass(slots=True)
class Tree:
    """What a YAML file says.

    `lines` and `key_lines` give the line of a value and of its key; `substituted` are the values that came from the
    environment or from another file and must never be shown; `broken` are those that could not be read.
    """

    data: Any = None
    lines: dict[Where, int] = field(default_factory=dict)
    key_lines: dict[Where, int] = field(default_factory=dict)
    substituted: dict[Where, str] = field(default_factory=dict)
    broken: set[Where] = field(default_factory=set)
    problems: list[Problem] = field(default_factory=list)

    def line(self, where: Where) -> int:
        """The line of the value at `where`, or of the nearest that is there and holds it."""
        while where and where not in self.lines:
            where = where[:-1]
        return self.lines.get(where, 1)


class YamlReader:
    """Builds a Tree from YAML text.

    Args:
        base: folder that `!file` paths are relative to.
        environment: what `${NAME}` and `$CREDENTIALS_DIRECTORY` are read from.
        secrets: False leaves `!file` and `!credential` unread (as None), for commands that need none.
    """

    def __init__(self, base: Path, environment: Mapping[str, str], secrets: bool = True) -> None:
        self._base = base
        self._environment = environment
        self._secrets = secrets
        self._tree = Tree()
        self._open: set[int] = set()
        self._values = 0

    def read(self, text: str) -> Tree:
        """Read a whole document; what is wrong is in `problems`, and only the first syntax error is found."""
        self._tree = Tree()
        try:
            node = yaml.compose(text, Loader=yaml.SafeLoader)
            if node is not None:
                self._tree.data = self._value(node, ())
        except yaml.MarkedYAMLError as error:
            self._syntax_error(error, text)
        except yaml.YAMLError as error:
            position = getattr(error, "position", None)
            line = text.count("\n", 0, position) + 1 if isinstance(position, int) else 1
            self._tree.problems.append(Problem(line, (), "holds a character that no text has; save it as UTF-8 text"))
        except RecursionError:
            self._tree.problems.append(Problem(1, (), "is nested too deeply for a configuration"))
        return self._tree

    def _syntax_error(self, error: yaml.MarkedYAMLError, text: str) -> None:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        in_braces = "flow" in (error.context or "") and "${" in "".join(text.splitlines()[line - 1 : line])
        reason = "inside `{…}` and `[…]` a `${NAME}` needs quotes" if in_braces else _explain(error)
        self._tree.problems.append(Problem(line, (), f"column {column}: not valid YAML: {reason}"))

    def _fail(self, node: yaml.Node, where: Where, text: str) -> None:
        self._tree.problems.append(Problem(node.start_mark.line + 1, where, text))
        self._tree.broken.add(where)

    def _value(self, node: yaml.Node, where: Where) -> Any:
        self._tree.lines.setdefault(where, node.start_mark.line + 1)
        self._values += 1
        if id(node) in self._open or self._values > MAX_VALUES:
            self._fail(node, where, "repeats itself without end, by an alias of what it stands in")
            return None
        self._open.add(id(node))
        try:
            if isinstance(node, yaml.ScalarNode):
                return self._scalar(node, where)
            if node.tag not in ("tag:yaml.org,2002:map", "tag:yaml.org,2002:seq"):
                self._fail(node, where, _UNKNOWN_TAG)
                return None
            if isinstance(node, yaml.SequenceNode):
                return [self._value(item, (*where, index)) for index, item in enumerate(node.value)]
            return self._mapping(node, where)
        finally:
            self._open.discard(id(node))

    def _mapping(self, node: yaml.Node, where: Where) -> dict[str, Any]:
        merged: dict[str, Any] = {}
        own: dict[str, Any] = {}
        for key_node, value_node in node.value:
            line = key_node.start_mark.line + 1
            if not isinstance(key_node, yaml.ScalarNode):
                self._fail(key_node, where, "a key must be a word, not a list or a mapping")
                continue
            key = str(key_node.value)
            if "\0" in key:
                self._fail(key_node, where, "a key holds a NUL character (`\\0`)")
                continue
            if key == "<<" and key_node.style is None:
                merged |= self._merge(value_node, where)
                continue
            if key in own:
                first = self._tree.key_lines[*where, key]
                self._tree.problems.append(Problem(line, (*where, key), f"given twice, first in line {first}"))
                continue
            self._tree.key_lines[*where, key] = line
            self._tree.lines.pop((*where, key), None)
            own[key] = self._value(value_node, (*where, key))
        return merged | own

    def _merge(self, node: yaml.Node, where: Where) -> dict[str, Any]:
        """`<<: *other` takes the keys of another mapping."""
        if isinstance(node, yaml.MappingNode) and id(node) not in self._open:
            return self._mapping(node, where)
        self._fail(node, where, "`<<:` wants the alias of a mapping")
        return {}

    def _scalar(self, node: yaml.ScalarNode, where: Where) -> Any:
        text = str(node.value)
        if "\0" in text:
            self._fail(node, where, "holds a NUL character (`\\0`), which no setting may")
            return None
        if node.tag == "!file":
            return self._secret(node, where, self._file(text))
        if node.tag == "!credential":
            return self._secret(node, where, self._credential(text))
        if not node.tag.startswith("tag:yaml.org,2002:"):
            self._fail(node, where, _UNKNOWN_TAG)
            return None
        if node.style is None and node.tag != "tag:yaml.org,2002:str":
            plain = _plain(text)
            if not isinstance(plain, str):
                return plain
        return self._substitute(node, where, text)

    def _substitute(self, node: yaml.ScalarNode, where: Where, text: str) -> str | None:
        """Replace `${NAME}` by the environment's value; `$${NAME}` stands for the text `${NAME}`."""

        def value_of(match: re.Match[str]) -> str:
            escaped, name = match.groups()
            if escaped:
                return match.group(0)[1:]
            if not _VARIABLE_NAME.fullmatch(name):
                self._fail(node, where, "`${…}` wants the name of an environment variable; `$${` is a literal `${`")
            elif name not in self._environment:
                self._fail(
                    node, where, f"the environment variable {name} is not set; set it, or write `$${{` for `${{`"
                )
            self._tree.substituted[where] = text
            return self._environment.get(name, "")

        replaced = _VARIABLE.sub(value_of, text)
        return None if where in self._tree.broken else replaced

    def _file(self, name: str) -> Path | None:
        """The file that `!file` names: `~` is the home, a relative path starts from the configuration's folder."""
        try:
            return self._base / Path(name).expanduser() if name else None
        except RuntimeError:  # There is no such home; then it is the name as it stands, and that cannot be read.
            return self._base / name

    def _credential(self, name: str) -> Path | None:
        """Where systemd put the credential `name`: alone, or out of the folder given as `LoadCredential=sereno:`."""
        if not name or "/" in name or name in (".", ".."):
            return None
        alone, in_folder = places(name, self._environment)
        return alone if "CREDENTIALS_DIRECTORY" not in self._environment or alone.exists() else in_folder

    def _secret(self, node: yaml.ScalarNode, where: Where, path: Path | None) -> str | None:
        """The text of a file without its last line end; a problem where it cannot be read."""
        self._tree.substituted[where] = f"{node.tag} {node.value}"
        if not self._secrets:
            return None
        if path is None:
            wanted = "a file's path" if node.tag == "!file" else f"the name of a file in {CREDENTIALS}"
            self._fail(node, where, f"`{node.tag}` wants {wanted}")
            return None
        try:
            with path.open("rb") as file:
                content = file.read(MAX_SECRET_BYTES + 1)
            if len(content) > MAX_SECRET_BYTES:
                self._fail(node, where, f"{path} is larger than {MAX_SECRET_BYTES // 1024} KB: not a secret")
                return None
            secret = content.decode().removesuffix("\n").removesuffix("\r")
            if "\0" not in secret:
                return secret
            self._fail(node, where, f"{path} holds a NUL character: not a secret")
        except OSError as error:
            self._fail(node, where, f"cannot read {path}: {os.strerror(error.errno or 0)}")
        except UnicodeDecodeError:
            self._fail(node, where, f"{path} is not UTF-8 text")
        return None


_UNKNOWN_TAG = "only the tags `!file` and `!credential` exist; text that begins with `!` needs quotes"


def _plain(text: str) -> bool | int | float | str | None:
    """An unquoted scalar, by YAML 1.2's core schema (https://yaml.org/spec/1.2.2/#103-core-schema)."""
    if text in _WORDS:
        return _WORDS[text]
    if len(text) > 64:
        return text
    if _INTEGER.fullmatch(text):
        return int(text, 0) if text[:2] in ("0o", "0x") else int(text)
    if _FLOAT.fullmatch(text):
        return float(text.lower().replace(".inf", "inf").replace(".nan", "nan"))
    return text


def _explain(error: yaml.MarkedYAMLError) -> str:
    """PyYAML's own words without anything quoted from the file: that might be a secret."""
    problem = error.problem or error.context or "cannot be read"
    if "undefined alias" in problem:
        return "text that begins with `*` needs quotes"
    if "cannot start any token" in problem:
        hint = "; indent with spaces, not tabs" if "\\t" in problem else "; text that begins with it needs quotes"
        return problem + hint
    problem = re.sub(r"'[^'<>]{3,}'", "'…'", problem)
    return f"{error.context}, {problem}" if error.context and error.problem and "'" not in error.context else problem
