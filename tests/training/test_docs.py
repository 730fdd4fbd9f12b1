"""Every command of docs/training.md is run, section by section, on drawn pictures and with the least of everything."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import click
import pytest
import torch

from device.__main__ import sereno
from device.errors import InputError, SerenoError
from export.__main__ import main as export_main
from export.weights import weights
from tests.facemodels import write_detectors
from tests.tinydetector import tiny_detector
from training.__main__ import main as training_main
from training.practice.__main__ import main as practice_main

ROOT = Path(__file__).parent.parent.parent
ENGLISH, SPANISH = ROOT / "docs" / "training.md", ROOT / "docs" / "es" / "training.md"
PROGRAMS = {
    "python -m training.practice": practice_main,
    "python -m training": training_main,
    "python -m export": export_main,
    "sereno": sereno,
}
LEAST = {
    "training.practice": "--photos 12 --scenes 8 --people 12 --portraits 6",
    "training cnn": "--size 32 --epochs 1 --threads 1",
    "training transfer": "--size 32 --epochs 1 --fine-tune-epochs 1 --variants 1 --threads 1",
    "training detector": "--size 64 --epochs 1 --batch 4 --threads 1 --weights tiny.pt --name scenes-192",
    "training arcface": "--epochs 1 --batch 8 --threads 1",
    "capture": "--count 6",
}
"""What is added to commands that would take minutes; a flag that is given twice counts as the last."""


@dataclass
class Step:
    """A command as shown, and the sentence of the error that is shown below it."""

    line: str
    error: str = ""


@dataclass
class Section:
    """What stands under one heading."""

    title: str
    steps: list[Step] = field(default_factory=list)


def read_page(path: Path) -> list[Section]:
    """The commands of each section: lines of code blocks that begin with `$`."""
    found: list[Section] = []
    for part in re.split(r"^## ", path.read_text(encoding="utf-8"), flags=re.M)[1:]:
        section = Section(part.partition("\n")[0])
        for block in re.findall(r"```console\n(.*?)```", part, re.S):
            for line in block.replace("\\\n", " ").splitlines():
                if line.startswith("$ "):
                    section.steps.append(Step(" ".join(line[2:].split())))
                elif line.startswith(("error: ", "sereno: ")):
                    section.steps[-1].error = line.partition(": ")[2]
        found.append(section)
    return found


SECTIONS = read_page(ENGLISH)


@pytest.fixture(scope="module")
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder in which the walk takes place, one section after the other."""
    folder = tmp_path_factory.mktemp("walk")
    torch.save({"model": tiny_detector(64)}, folder / "tiny.pt")
    before = Path.cwd(), torch.get_num_threads()
    torch.set_num_threads(1)
    os.chdir(folder)
    yield folder
    os.chdir(before[0])
    torch.set_num_threads(before[1])


def perform(step: Step) -> None:
    """Run a command in this process: each framework takes seconds to import."""
    if step.line.startswith("make "):
        shown = subprocess.run(["make", "-n", *shlex.split(step.line)[1:]], cwd=ROOT, capture_output=True, text=True)
        assert shown.returncode == 0, shown.stderr
        return
    if step.line.startswith("sed "):
        subprocess.run(shlex.split(step.line), check=True)
        return
    program = next((name for name in PROGRAMS if step.line.startswith(f"{name} ")), None)
    assert program is not None, f"nothing here runs `{step.line}`"
    arguments = shlex.split(step.line.removeprefix(program))
    words = f"{program.rpartition('-m ')[2]} {arguments[0]}"
    least = next((flags for name, flags in LEAST.items() if name in words), "")
    if "--resume" not in arguments and "--help" not in arguments:
        arguments += shlex.split(least)
    try:
        code = PROGRAMS[program].main(arguments, standalone_mode=False)
    except click.exceptions.Exit as done:
        code = done.exit_code
    assert code in (None, 0), f"`{step.line}` ended with {code}"


def missing_weights() -> str:
    """Why face models cannot be trained here; empty where they can."""
    try:
        weights("mobilefacenet.pt")
    except InputError as error:
        return str(error)
    return ""


@pytest.mark.usefixtures("workplace")
@pytest.mark.parametrize("section", SECTIONS, ids=lambda section: section.title)
def test_ok__commands_do_what_the_page_says(section: Section) -> None:
    if any(word in step.line for step in section.steps for word in ("arcface", "capture")):
        if missing := missing_weights():
            pytest.skip(missing)
        write_detectors(ROOT / ".cache" / "bundles")
    for step in section.steps:
        if step.error:
            with pytest.raises(SerenoError, match=re.escape(step.error)):
                perform(step)
        else:
            perform(step)


def test_ok__files_that_the_page_names_are_made(workplace: Path) -> None:
    named = set(re.findall(r"`(runs/[\w./-]+\.\w+)`", ENGLISH.read_text(encoding="utf-8")))
    assert named
    if missing_weights():
        named = {name for name in named if not name.startswith("runs/faces/")}  # That section was skipped, and said so.
    assert {name for name in named if not (workplace / name).exists()} == set()


def test_ok__spanish_page_has_the_same_commands_and_pictures() -> None:
    assert [section.steps for section in read_page(SPANISH)] == [section.steps for section in SECTIONS]
    pictures = [re.findall(r"\]\(\S*?([\w-]+\.png)\)", page.read_text("utf-8")) for page in (ENGLISH, SPANISH)]
    assert pictures[0] == pictures[1] != []
