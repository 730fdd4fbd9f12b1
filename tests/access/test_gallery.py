"""The gallery: who is most like a face, and what becomes of the file in good and in bad hands."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from device.access.gallery import Gallery, checked_name, new_id
from device.access.galleryrecords import Consent, Person
from device.access.policy.schedule import NEVER, Schedule
from device.access.recognizer import Embedding
from device.errors import ConfigError, InputError

KEY = bytes(range(32))
MODEL = "a" * 64
OTHER_MODEL = "b" * 64
ROOT = Path(__file__).parents[2]


def unit(seed: int, near: Embedding | None = None, apart: float = 0.0) -> Embedding:
    """A random direction, or one that is `apart` from another."""
    vector = np.random.default_rng(seed).standard_normal(128).astype(np.float32)
    vector /= np.linalg.norm(vector)
    if near is not None:
        vector = near + np.float32(apart) * vector
    return (vector / np.linalg.norm(vector)).astype(np.float32)


def photos(seed: int) -> list[Embedding]:
    """Three photos of the person of that seed."""
    return [unit(1000 * seed + photo, unit(seed), 0.4) for photo in range(3)]


def add(gallery: Gallery, name: str, seed: int, crops: tuple[bytes, ...] = ()) -> Person:
    consent = Consent("agreed", 1.0, "--yes", bool(crops))
    return gallery.add(Person(new_id(), name, 1.0, consents=(consent,)), photos(seed), crops)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "gallery.db"


@pytest.fixture
def gallery(path: Path) -> Iterator[Gallery]:
    opened = Gallery.open(path, KEY, MODEL, create=True)
    yield opened
    opened.close()


def all_bytes(folder: Path) -> bytes:
    """Of all files, read by another process: closing a file that SQLite has open here would drop its locks."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    return subprocess.run(["cat", *files], capture_output=True, check=True).stdout


# Matching


def test_ok__the_best_and_the_next_person_are_those_of_a_search_by_hand(gallery: Gallery) -> None:
    people = [add(gallery, f"person {seed}", seed) for seed in range(40)]
    templates = np.array([np.sum(photos(seed), axis=0, dtype=np.float64) for seed in range(40)])
    templates /= np.linalg.norm(templates, axis=1, keepdims=True)
    for seed in range(40):
        probe = unit(7000 + seed, unit(seed), 0.8)
        alike = templates @ probe
        order = np.argsort(-alike)
        match = gallery.match(probe)
        assert match is not None
        assert match.person == people[order[0]].id == people[seed].id
        assert match.similarity == pytest.approx(alike[order[0]], abs=1e-5)
        assert match.runner_up == pytest.approx(alike[order[1]], abs=1e-5)
        assert match.gallery == 40
        ranked = gallery.rank(probe, 5)
        assert [each.person for each in ranked] == [people[index].id for index in order[:5]]
        assert [each.similarity for each in ranked] == pytest.approx(alike[order[:5]], abs=1e-5)


def test_ok__one_person_has_no_runner_up_and_an_empty_gallery_no_match(gallery: Gallery) -> None:
    assert gallery.match(unit(1)) is None
    assert gallery.rank(unit(1), 3) == []
    assert gallery.facts().people == 0
    assert gallery.facts().fault == ""
    add(gallery, "Ana", 1)
    match = gallery.match(unit(1))
    assert match is not None
    assert match.runner_up == -1
    assert match.similarity > 0.9


def test_fail__an_embedding_that_is_no_number_or_of_another_length(gallery: Gallery) -> None:
    add(gallery, "Ana", 1)
    assert gallery.match(np.full(128, np.nan, np.float32)) is None
    with pytest.raises(ValueError, match="128"):
        gallery.match(unit(1)[:64])
    with pytest.raises(ValueError, match="unit length"):
        gallery.add(Person(new_id(), "Eva", 1.0), [unit(2) * 2])


def test_ok__more_photos_move_the_template(gallery: Gallery) -> None:
    ana = add(gallery, "Ana", 1)
    more = [unit(5000 + photo, unit(1), 0.4) for photo in range(4)]
    assert gallery.extend(ana, more).photos == 7
    mean = np.sum(photos(1) + more, axis=0)
    assert gallery.template(ana.id).unit @ (mean / np.linalg.norm(mean)) == pytest.approx(1, abs=1e-6)
    assert gallery.find("ana").photos == 7


# People


def test_ok__a_person_survives_the_process(gallery: Gallery, path: Path) -> None:
    ana = add(gallery, "Ana María", 1, crops=(b"first", b"second"))
    weekly = Schedule.parse(
        {"timezone": "Europe/Madrid", "windows": [{"days": ["mon"], "from": "08:00", "to": "18:00"}]}
    )
    changed = Person(ana.id, "Ana", 1.0, ("staff",), 10.0, 20.5, weekly, ana.consents, 3)
    gallery.update(changed)
    again = Gallery.open(path, KEY, MODEL)
    assert again.people() == [changed]
    assert again.crops(ana.id) == [b"first", b"second"]
    rules = again.rules(ana.id)
    assert rules is not None
    assert (rules.valid_from, rules.valid_until, rules.schedule) == (10.0, 20.5, weekly)
    assert again.rules(new_id()) is None
    assert again.names() == {ana.id: "Ana"}
    gallery.update(Person(ana.id, "Ana", 1.0, schedule=NEVER))
    found = again.rules(ana.id)
    assert found is not None
    assert found.schedule == NEVER


def test_fail__a_name_is_one_persons(gallery: Gallery) -> None:
    ana, eva = add(gallery, "José", 1), add(gallery, "Eva", 2)
    for taken in ("José", "jose\u0301", " JOSÉ "):
        with pytest.raises(InputError, match="already"):
            add(gallery, taken, 3)
    with pytest.raises(InputError, match="already"):
        gallery.update(Person(eva.id, "josé", 1.0))
    assert {person.id for person in gallery.people()} == {ana.id, eva.id}
    with pytest.raises(InputError, match="did you mean 'José'"):
        gallery.find("Josè")
    for odd in ("", "   ", "a" * 65, "a\nb", "\u202e", "--"):
        with pytest.raises(ConfigError):
            checked_name(odd)


def test_ok__at_rest_nothing_can_be_read(gallery: Gallery, path: Path) -> None:
    name, crop = "Xq7vLw2ZpRt9KmBd", os.urandom(64)
    ana = add(gallery, name, 1, crops=(crop,))
    template = gallery.template(ana.id)
    gallery.close()
    everything = all_bytes(path.parent)
    for secret in (name.encode(), crop, template.total.tobytes()[:16], template.unit.tobytes()[:16], b"agreed"):
        assert secret not in everything
    assert path.stat().st_mode & 0o777 == 0o600


# Forgetting


def sealed_pieces(path: Path, person_id: str) -> list[bytes]:
    """What the file holds of a person, in pieces of 24 bytes."""
    with sqlite3.connect(path) as connection:
        rows = connection.execute("SELECT record FROM person WHERE id = ?", (person_id,)).fetchall()
        rows += connection.execute("SELECT template FROM person WHERE id = ?", (person_id,)).fetchall()
        rows += connection.execute("SELECT content FROM crop WHERE person = ?", (person_id,)).fetchall()
    return [blob[at : at + 24] for (blob,) in rows for at in range(0, len(blob) - 24, 24)]


def test_ok__who_is_forgotten_leaves_no_byte(gallery: Gallery, path: Path) -> None:
    crops = tuple(os.urandom(20_000) for _ in range(4))
    ana, eva = add(gallery, "Ana", 1, crops), add(gallery, "Eva", 2, (b"eva's",))
    for round_ in range(3):
        gallery.update(Person(ana.id, f"Ana {round_}", 1.0))
    reader = Gallery.open(path, KEY, MODEL)
    pieces = sealed_pieces(path, ana.id)
    before = all_bytes(path.parent)
    # Those across the border of two pages are not found as they are.
    assert sum(piece in before for piece in pieces) > 0.95 * len(pieces) > 3000
    gallery.forget(ana.id)
    after = all_bytes(path.parent)
    assert not any(piece in after for piece in pieces)
    assert ana.id.encode() not in after
    match = reader.match(unit(1))
    assert match is not None
    assert match.person == eva.id
    assert reader.crops(eva.id) == [b"eva's"]
    assert [person.name for person in Gallery.open(path, KEY, MODEL).people()] == ["Eva"]


def test_fail__forgetting_says_when_a_reader_holds_the_old_pages(
    gallery: Gallery, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ana = add(gallery, "Ana", 1)
    monkeypatch.setattr("device.access.gallerystore.BUSY_S", 0.05)
    gallery.store.rows("PRAGMA busy_timeout=50")
    slow = sqlite3.connect(path, isolation_level=None)
    slow.execute("BEGIN")
    slow.execute("SELECT * FROM person").fetchall()
    with pytest.raises(InputError, match=r"read by another process.*again"):
        gallery.forget(ana.id)
    slow.close()
    assert gallery.match(unit(1)) is None
    assert gallery.people() == []


# Keeping up with others


def test_ok__a_reader_sees_what_another_process_did_at_its_next_question(gallery: Gallery, path: Path) -> None:
    reader = Gallery.open(path, KEY, MODEL)
    assert reader.match(unit(1)) is None
    ana = add(gallery, "Ana", 1)
    match = reader.match(unit(1))
    assert match is not None
    assert match.person == ana.id
    gallery.update(Person(ana.id, "Eva", 1.0, valid_until=5.0))
    assert reader.names() == {ana.id: "Eva"}
    rules = reader.rules(ana.id)
    assert rules is not None
    assert rules.valid_until == 5.0
    gallery.forget(ana.id)
    assert reader.match(unit(1)) is None
    assert reader.facts().fault == ""


def test_fail__another_file_in_its_place_is_a_fault(gallery: Gallery, path: Path, tmp_path: Path) -> None:
    """SQLite would play the old file's log into the new one."""
    add(gallery, "Ana", 1)
    other = Gallery.open(tmp_path / "other.db", KEY, MODEL, create=True)
    add(other, "Eva", 2)
    other.close()
    (tmp_path / "other.db").replace(path)
    assert gallery.match(unit(1)) is None
    assert "was replaced while it was in use" in gallery.facts().fault


def test_fail__a_file_that_goes_away_is_a_fault_and_no_empty_gallery(gallery: Gallery, path: Path) -> None:
    ana = add(gallery, "Ana", 1)
    aside = path.rename(path.with_name("aside.db"))
    assert gallery.match(unit(1)) is None
    assert "no gallery at" in gallery.facts().fault
    assert gallery.person(ana.id) is None
    with pytest.raises(InputError, match="no gallery at"):
        gallery.people()
    aside.rename(path)
    assert gallery.match(unit(1)) is not None
    assert gallery.facts().fault == ""


def test_fail__a_row_that_was_exchanged_is_a_fault_and_can_be_forgotten(gallery: Gallery, path: Path) -> None:
    """Whoever can write the file, but has no key, cannot put their template under another's name."""
    ana, eva = add(gallery, "Ana", 1), add(gallery, "Eva", 2)
    with sqlite3.connect(path) as connection:
        connection.execute(
            "UPDATE person SET template = (SELECT template FROM person WHERE id = ?) WHERE id = ?", (eva.id, ana.id)
        )
    assert gallery.match(unit(2)) is None
    assert f"template of person {ana.id} does not open" in gallery.facts().fault
    with pytest.raises(InputError, match="does not open"):
        Gallery.open(path, KEY, MODEL)
    Gallery.open(path, KEY, None, repair=True).forget(ana.id)
    match = gallery.match(unit(2))
    assert match is not None
    assert match.person == eva.id


# Another model


def test_fail__another_models_gallery_is_refused(gallery: Gallery, path: Path) -> None:
    ana = add(gallery, "Ana", 1)
    with pytest.raises(InputError, match=r"another face model.*people reembed"):
        Gallery.open(path, KEY, OTHER_MODEL)
    assert Gallery.open(path, KEY, None).vault.model == MODEL
    eva = add(gallery, "Eva", 2)
    gallery.rebind(OTHER_MODEL, {ana.id: gallery.template(ana.id)})
    assert gallery.people() == [ana]
    assert eva.id not in gallery.names()
    assert Gallery.open(path, KEY, OTHER_MODEL).people() == [ana]
    with pytest.raises(InputError, match="another face model"):
        Gallery.open(path, KEY, MODEL)


# Bad files


def test_fail__another_key(gallery: Gallery, path: Path) -> None:
    add(gallery, "Ana", 1)
    with pytest.raises(InputError, match="key does not open the gallery"):
        Gallery.open(path, os.urandom(32), MODEL)


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
from tests.access.test_gallery import KEY, MODEL, add
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
