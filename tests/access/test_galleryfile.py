"""The gallery's file in bad hands: damaged, shared with other processes, killed in the middle, on a full disk."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from device.access.gallery import Gallery
from device.errors import InputError
from tests.access.galleryhouse import KEY, MODEL, add, unit

ROOT = Path(__file__).parents[2]


def _schema(path: Path, pragma: str) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute(pragma)


def _other_database(path: Path) -> None:
    path.unlink()
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE event (id)")


BAD = {
    "empty": (lambda path: path.write_bytes(b""), "empty file"),
    "text": (lambda path: path.write_text("no database, but long enough to be one\n" * 50), "damaged"),
    "zeros": (lambda path: path.write_bytes(bytes(20_000)), "damaged"),
    "cut": (lambda path: path.write_bytes(path.read_bytes()[:5000]), "damaged"),
    "garbled": (lambda path: path.write_bytes(path.read_bytes()[:4096] + os.urandom(16_384)), "damaged"),
    "another program's": (_other_database, "no gallery"),
    "newer": (lambda path: _schema(path, "PRAGMA user_version = 99"), "update sereno"),
    "no table": (lambda path: _schema(path, "DROP TABLE person"), "damaged"),
    "folder": (lambda path: (path.unlink(), path.mkdir()), "folder"),
    "gone": (lambda path: path.unlink(), "no gallery at"),
}


@pytest.mark.parametrize("kind", BAD)
def test_fail__a_bad_file_is_one_sentence(gallery: Gallery, path: Path, kind: str) -> None:
    add(gallery, "Ana", 1)
    gallery.close()
    for suffix in ("-wal", "-shm"):
        assert not path.with_name(path.name + suffix).exists()
    spoil, reason = BAD[kind]
    spoil(path)
    with pytest.raises(InputError, match=reason) as refusal:
        Gallery.open(path, KEY, MODEL)
    assert "\n" not in str(refusal.value)
    assert str(path) in str(refusal.value)


def test_fail__a_file_that_is_emptied_under_the_daemon_is_a_fault(gallery: Gallery, path: Path) -> None:
    add(gallery, "Ana", 1)
    assert gallery.match(unit(1)) is not None
    path.write_bytes(b"")
    assert gallery.match(unit(1)) is None
    assert "empty file" in gallery.facts().fault


# Other processes, and their ends

CHILD = f"""
import os, sys
sys.path[:0] = [{str(ROOT)!r}]
from pathlib import Path
from device.errors import InputError
from tests.access.galleryhouse import KEY, MODEL, add
from device.access.gallery import Gallery
"""


def child(code: str, *arguments: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", CHILD + code, *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT)


ADDING = """
gallery = Gallery.open(Path(sys.argv[1]), KEY, MODEL)
for number in range(int(sys.argv[3])):
    print(add(gallery, f"{sys.argv[2]} {number}", number, (os.urandom(30_000),)).id, flush=True)
"""


CHURN = """
gallery = Gallery.open(Path(sys.argv[1]), KEY, MODEL)
for number in range(30):
    person = add(gallery, f"someone {number}", number, (os.urandom(30_000),))
    if number % 3 == 0:
        gallery.forget(person.id)
"""


def test_ok__reading_while_another_process_enrols_and_forgets(gallery: Gallery, path: Path) -> None:
    ana = add(gallery, "Ana", 999)
    process = child(CHURN, path)
    seen: set[int] = set()
    while process.poll() is None:
        match = gallery.match(unit(999))
        assert match is not None, gallery.fault
        assert match.person == ana.id
        seen.add(match.gallery)
    assert process.returncode == 0, process.stderr.read() if process.stderr else ""
    assert gallery.facts().people == 21
    assert len(seen) > 5


def test_ok__two_processes_enrol_at_once(gallery: Gallery, path: Path) -> None:
    processes = [child(ADDING, path, name, 25) for name in ("left", "right")]
    for process in processes:
        assert process.wait(30) == 0
    assert gallery.facts().people == 50


@pytest.mark.parametrize("attempt", range(8))
def test_ok__a_kill_in_the_middle_of_enrolling_leaves_the_gallery_whole(
    gallery: Gallery, path: Path, attempt: int
) -> None:
    process = child(ADDING, path, "someone", 10_000)
    assert process.stdout is not None
    told = [process.stdout.readline().strip() for _ in range(1 + 3 * attempt)]
    process.send_signal(signal.SIGKILL)
    told += [line for line in process.stdout.read().split("\n") if len(line) == 16]
    process.wait()
    found = {person.id for person in Gallery.open(path, KEY, MODEL).people()}
    assert set(told) <= found
    assert len(found) - len(told) <= 1, "committed, and killed before it said so"
    assert all(len(gallery.crops(person)) == 1 for person in found)


FULL = """
import resource, signal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
gallery = Gallery.open(Path(sys.argv[1]), KEY, MODEL)
resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))
try:
    for number in range(100):
        add(gallery, f"someone {number}", number, (os.urandom(30_000),))
except InputError as error:
    print(error)
    print(gallery.facts().people)
"""


def test_fail__a_full_disk_refuses_and_changes_nothing(gallery: Gallery, path: Path) -> None:
    process = child(FULL, path)
    output, errors = process.communicate(timeout=30)
    assert process.returncode == 0, errors
    sentence, count = output.splitlines()
    assert "disk" in sentence
    assert "Nothing was changed" in sentence
    assert 0 < int(count) < 10
    assert gallery.facts().people == int(count)
    assert all(len(gallery.crops(person.id)) == 1 for person in gallery.people())


READING = """
os.seteuid(65534)
try:
    Gallery.open(Path(sys.argv[1]), KEY, MODEL)
except InputError as error:
    print(error)
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="becoming another user needs root")
def test_fail__a_folder_of_somebody_else_is_one_sentence(gallery: Gallery, path: Path, tmp_path: Path) -> None:
    add(gallery, "Ana", 1)
    gallery.close()
    path.chmod(0o644)
    for folder in (path.parent, tmp_path, *list(tmp_path.parents)[:-2]):
        folder.chmod(folder.stat().st_mode | 0o055)
    output, errors = child(READING, path).communicate(timeout=30)
    assert not errors
    [sentence] = output.splitlines()
    assert "cannot be opened for writing" in sentence
    assert str(path) in sentence
