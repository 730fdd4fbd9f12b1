"""Files of people that are none, or not what they say."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from device.access.gallery import Gallery
from device.access.galleryarchive import FORMAT, read_archive, write_archive
from device.access.sealing import Seal
from device.errors import InputError
from tests.access.galleryhouse import MODEL, add

SECRET = b"s" * 32


@pytest.fixture
def archive(gallery: Gallery, tmp_path: Path) -> Path:
    """Ana, sealed."""
    add(gallery, "Ana", 1)
    path = tmp_path / "people.sereno"
    write_archive(path, gallery, gallery.people(), SECRET)
    return path


def read(path: Path) -> tuple[str, list[str]]:
    model, entries = read_archive(path, lambda _: SECRET)
    return model, [person.name for person, _, _ in entries]


def test_ok__there_and_back(archive: Path) -> None:
    assert read(archive) == (MODEL, ["Ana"])


HEADER = {"format": FORMAT, "secret": "key", "salt": "00" * 16}


@pytest.mark.parametrize(
    "header",
    [
        b"",
        b"[" * 200_000,
        b"[1]",
        b"\xff\xfe",
        *(
            json.dumps(header).encode()
            for header in (
                {key: value for key, value in HEADER.items() if key != "secret"},
                {key: value for key, value in HEADER.items() if key != "salt"},
                HEADER | {"secret": ["key"]},
                HEADER | {"secret": "guess"},
                HEADER | {"salt": 5},
                HEADER | {"salt": ""},
                HEADER | {"format": "sereno-people-9"},
            )
        ),
        json.dumps(HEADER).encode("utf-16"),
    ],
)
def test_fail__another_header(archive: Path, header: bytes) -> None:
    archive.write_bytes(header + b"\n" + archive.read_bytes().partition(b"\n")[2])
    with pytest.raises(InputError, match="is no export of people"):
        read(archive)


@pytest.mark.parametrize("content", ["[" * 200_000, "[]", "{}", '{"model": "m", "people": [[]]}', ""])
def test_fail__what_was_sealed_is_no_list_of_people(archive: Path, content: str) -> None:
    header = json.dumps(HEADER)
    archive.write_bytes(header.encode() + b"\n" + Seal(SECRET).seal(content.encode(), header))
    with pytest.raises(InputError, match="another version"):
        read(archive)


def test_fail__a_name_that_strangers_have(gallery: Gallery, tmp_path: Path) -> None:
    """A gallery from before such names were refused may hold one."""
    add(gallery, "Unknown", 2)
    path = tmp_path / "old.sereno"
    write_archive(path, gallery, gallery.people(), SECRET)
    with pytest.raises(InputError, match=r"strangers.*nothing was imported"):
        read(path)
