"""The gallery: who is most like a face, and what becomes of the file in good and in bad hands."""

from __future__ import annotations

import os
import sqlite3
import subprocess
from pathlib import Path

import numpy as np
import pytest

from device.access.gallery import Gallery, checked_name, new_id
from device.access.galleryrecords import Person
from device.access.policy.schedule import NEVER, Schedule
from device.errors import ConfigError, InputError
from tests.access.galleryhouse import KEY, MODEL, add, photos, unit

OTHER_MODEL = "b" * 64


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


@pytest.mark.parametrize("name", ["unknown", "Unknown ", "DESCONOCIDO", "\uff35nknown"])
def test_fail__a_name_that_strangers_have(name: str) -> None:
    with pytest.raises(ConfigError, match="strangers"):
        checked_name(name)
    assert checked_name("Unknown Pleasures") == "Unknown Pleasures"


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
