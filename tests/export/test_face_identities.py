"""Nobody is in two parts."""

from __future__ import annotations

from pathlib import Path

import pytest

from device.errors import InputError
from export.face_identities import chosen_aside, open_faces, plain_name


def folders(root: Path, names: list[str]) -> None:
    for name in names:
        (root / name).mkdir(parents=True)
        (root / name / "1.jpg").write_bytes(b"")


def test_people_set_aside_are_never_trained_on(tmp_path: Path) -> None:
    folders(tmp_path, [f"person-{number:02d}" for number in range(20)])
    faces = open_faces(tmp_path, 80, seed=0)
    train, aside = ({photo.person for photo in part} for part in (faces.train, faces.aside))
    assert not train & aside
    assert (len(train), len(aside)) == (15, 5)
    again = open_faces(tmp_path, 80, seed=0)
    assert again == faces
    assert open_faces(tmp_path, 80, seed=1) != faces
    assert open_faces(tmp_path, 3, seed=0).aside[0].person in aside


def test_train_and_test_are_told_apart(tmp_path: Path) -> None:
    folders(tmp_path / "train", [f"p{number}" for number in range(8)])
    folders(tmp_path / "test", ["other"])
    (tmp_path / "pairs.txt").write_text("")
    faces = open_faces(tmp_path, 2, seed=0)
    assert [photo.key for photo in faces.test] == ["other/1.jpg"]
    assert faces.pairs == tmp_path / "pairs.txt"


def test_somebody_in_train_and_test_is_refused_however_the_name_is_written(tmp_path: Path) -> None:
    folders(tmp_path / "train", ["Jose_Perez", *(f"p{number}" for number in range(8))])
    folders(tmp_path / "test", ["josé perez"])
    with pytest.raises(InputError, match=r"Jose_Perez \(josé perez\)"):
        open_faces(tmp_path, 2, seed=0)


def test_a_few_people_are_too_few(tmp_path: Path) -> None:
    folders(tmp_path, ["a", "b"])
    with pytest.raises(InputError, match="2 people; 8 at least"):
        open_faces(tmp_path, 2, seed=0)


def test_an_empty_folder_is_told_of(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no photos in folders"):
        open_faces(tmp_path, 2, seed=0)


def test_who_is_set_aside_hangs_on_names_and_seed_only() -> None:
    names = [f"p{number}" for number in range(40)]
    assert chosen_aside(names, 5, 0) == chosen_aside(names[::-1], 5, 0)
    assert len(chosen_aside(names, 30, 0)) == 10


def test_plain_names() -> None:
    assert plain_name("José_Pérez") == plain_name("jose perez") == "joseperez"
