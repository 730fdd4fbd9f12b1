"""Enrolling and looking after people, as a person does."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

from click.testing import CliRunner

from device.__main__ import sereno as program
from device.access.audit import read
from device.access.gallery import Gallery
from device.access.gallerykey import find_key
from device.commands.people import row
from device.errors import SerenoError
from tests.daemon import sereno

ANA, EVA, ALI = "Condoleezza_Rice", "Angelina_Jolie", "Carlos_Moya"


def photos(lfw: Path, name: str, count: int) -> list[Path]:
    return sorted((lfw / name).glob("*.jpg"))[:count]


def enrol(db: Path, name: str, *paths: object) -> subprocess.CompletedProcess[str]:
    return sereno("enrol", name, *paths, "--gallery", db, "--yes")


def people(*arguments: object, stdin: str = "") -> subprocess.CompletedProcess[str]:
    """`sereno people`, in this process: starting one takes longer than what it does."""
    done = CliRunner().invoke(program, ["people", *map(str, arguments)], input=stdin, standalone_mode=False)
    if isinstance(done.exception, SerenoError):
        return subprocess.CompletedProcess([], done.exception.exit_code, done.stdout, f"sereno: {done.exception}\n")
    if done.exception is not None:
        raise done.exception
    return subprocess.CompletedProcess([], done.exit_code, done.stdout, done.stderr)


def listed(db: Path) -> dict[str, dict[str, Any]]:
    """What `people list --json` prints, by name."""
    gallery = Gallery.open(db, find_key(db), None)
    try:
        return {person.name: row(person) for person in gallery.people()}
    finally:
        gallery.close()


def state_bytes(folder: Path) -> bytes:
    """Of all files, read by another process: closing a file that SQLite has open here would drop its locks."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    return subprocess.run(["cat", *files], capture_output=True, check=True).stdout


def acts(state: Path) -> list[dict[str, Any]]:
    """What administrators did, by the access log."""
    return [record.content for record in read(state / "audit" / "audit.db") if record.kind == "admin"]
