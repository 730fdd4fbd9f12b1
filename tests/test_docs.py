"""What the docs show exists: commands parse, make targets are there, links lead somewhere, named files exist."""

from __future__ import annotations

import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from device.__main__ import sereno

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]


def commands(program: str) -> Iterator[tuple[str, str]]:
    """(page, command line) of each line of a code block that starts with `program`."""
    for page in PAGES:
        for block in re.findall(
            r"```\w*\n(.*?)```|((?:^(?: {4}).*\n)+)", page.read_text(encoding="utf-8"), re.S | re.M
        ):
            for line in "".join(block).replace("\\\n", " ").splitlines():
                text = line.strip().removeprefix("$ ").removeprefix("sudo -u sereno ").removeprefix("sudo ")
                text = re.sub(r"^\S*/(?=sereno )", "", text)
                if text.startswith(program + " "):
                    yield page.name, re.split(r"\s+[#|>&]\s?|\s{2,}", text)[0]


@pytest.mark.parametrize(("page", "line"), sorted(set(commands("sereno"))))
def test_ok__commands_parse(page: str, line: str) -> None:
    """Every option and subcommand that a page shows is one that the program has."""
    words = shlex.split(line)[1:]
    command: click.Command = sereno
    context = click.Context(command, info_name="sereno")
    while isinstance(command, click.Group) and words and not words[0].startswith("-"):
        found = command.get_command(context, words[0])
        assert found is not None, f"{page}: there is no `{line}`"
        command, words = found, words[1:]
    known = {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)}
    for word in words:
        if word.startswith("-"):
            assert word.split("=")[0] in known | {"--help", "-h", "--version"}, f"{page}: `{line}`"


@pytest.mark.parametrize(("page", "line"), sorted(set(commands("make"))))
def test_ok__make_targets_are_there(page: str, line: str) -> None:
    rules = re.findall(r"^([a-z][a-z0-9 -]*):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.M)
    targets = {target for rule in rules for target in rule.split()}
    asked = [word for word in shlex.split(line)[1:] if "=" not in word]
    assert asked, f"{page}: `{line}`"
    assert set(asked) <= targets, f"{page}: `{line}`"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_ok__links_and_files_exist(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", text):
        if "://" not in target:
            assert (page.parent / target).exists(), f"{page.name}: {target}"
    for path in re.findall(
        r"`((?:device|export|training|tests|systemd|config|docs|requirements)/[\w./-]+\.\w+)`", text
    ):
        assert (ROOT / path).exists(), f"{page.name}: {path}"


def test_ok__architecture_names_every_module_of_the_way() -> None:
    """A module that a frame passes and that the page does not name would mislead its readers."""
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    for room in ("capture", "detection", "publish"):
        for path in (ROOT / "device" / room).glob("*.py"):
            if path.name not in ("__init__.py", *ASIDE):
                assert f"`{path.name}`" in text or f"/{path.name}`" in text, path


ASIDE = ("camera.py", "pictures.py", "footage.py", "scene.py", "classifier.py", "broker.py", "watch.py")


def test_ok__first_commands_of_the_readme() -> None:
    shown = [line for name, line in commands("make") if name == "README.md"]
    assert shown[:2] == ["make run", "make test"]


def test_ok__nothing_speaks_of_a_registry_or_this_machine() -> None:
    """Addresses of package registries and absolute paths of somebody's checkout have no place in the tree."""
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    hosts = re.compile(
        rb"https?://[\w.]*(" + b"|".join((b"py" + b"pi\\.org", b"python" + b"hosted", b"npm" + b"js")) + rb")"
    )
    for name in tracked:
        path = ROOT / name
        if path.suffix in (".tflite", ".onnx", ".png") or not path.is_file():
            continue
        assert not hosts.search(path.read_bytes()), name
