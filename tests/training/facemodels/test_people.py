"""Who is known, who is a stranger, who is neither: nobody twice."""

from __future__ import annotations

from pathlib import Path

import pytest

from device.errors import ConfigError, InputError
from export.face_identities import chosen_aside
from training.facemodels.people import Photos, gather


def photos_of(folder: Path, **people: int) -> Path:
    """A folder for each, with so many files called as photos are."""
    for name, count in people.items():
        (folder / name).mkdir(parents=True)
        for number in range(count):
            (folder / name / f"{number}.jpg").write_bytes(b"")
    return folder


def names(part: tuple) -> set[str]:
    return {photo.person for photo in part}


def everybody(parts: Photos) -> list[str]:
    return [str(photo.path) for photo in (*parts.known, *parts.unknown, *parts.aside)]


def test_ok__one_folder_parts_its_people_by_their_photos(tmp_path: Path) -> None:
    folder = photos_of(tmp_path / "all", **{f"many{n}": 5 for n in range(8)}, **{f"few{n}": 2 for n in range(4)})
    parts = gather(folder, folder, None, 3, 0, ())
    assert len(names(parts.known)) == 6
    assert len(names(parts.unknown)) == 3
    assert {len([name for name in names(parts.aside) if name.startswith(kind)]) for kind in ("many", "few")} == {2, 1}
    assert len(everybody(parts)) == len(set(everybody(parts))) == 8 * 5 + 4 * 2


def test_ok__known_people_with_too_few_photos_are_left_out(tmp_path: Path) -> None:
    known = photos_of(tmp_path / "known", ana=4, bruno=3)
    parts = gather(known, photos_of(tmp_path / "others", x=1), photos_of(tmp_path / "aside", y=4), 3, 0, ())
    assert names(parts.known) == {"ana"}
    assert names(parts.aside) == {"y"}


def test_ok__loose_photos_are_a_stranger_each(tmp_path: Path) -> None:
    (tmp_path / "loose").mkdir()
    for name in ("a", "b"):
        (tmp_path / "loose" / f"{name}.jpg").write_bytes(b"")
    known = photos_of(tmp_path / "known", ana=4)
    parts = gather(known, tmp_path / "loose", photos_of(tmp_path / "aside", y=4), 3, 0, ())
    assert names(parts.unknown) == {"a", "b"}


def test_ok__people_a_model_was_trained_on_set_no_threshold(tmp_path: Path) -> None:
    aside = photos_of(tmp_path / "aside", **{f"p{n:02}": 4 for n in range(20)})
    told = {"set_aside": 5, "seed": 0}
    parts = gather(photos_of(tmp_path / "k", ana=4), photos_of(tmp_path / "u", x=1), aside, 3, 0, (told, None))
    assert names(parts.aside) == chosen_aside([f"p{n:02}" for n in range(20)], 5, 0)


def test_fail__models_with_other_people_set_aside(tmp_path: Path) -> None:
    aside = photos_of(tmp_path / "aside", **{f"p{n:02}": 4 for n in range(20)})
    told = [{"set_aside": 5, "seed": seed} for seed in (0, 1)]
    with pytest.raises(ConfigError, match="other people set aside each"):
        gather(photos_of(tmp_path / "k", ana=4), photos_of(tmp_path / "u", x=1), aside, 3, 0, told)


def test_fail__somebody_is_known_and_a_stranger(tmp_path: Path) -> None:
    known, unknown = photos_of(tmp_path / "k", Ana_Ruiz=4), photos_of(tmp_path / "u", ana_ruiz=1)
    with pytest.raises(InputError, match="ana_ruiz is known and unknown"):
        gather(known, unknown, photos_of(tmp_path / "a", y=4), 3, 0, ())


def test_fail__nobody_has_enough_photos(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="0 people with more than 3 photos"):
        gather(photos_of(tmp_path / "k", ana=3), photos_of(tmp_path / "u", x=1), None, 3, 0, ())
