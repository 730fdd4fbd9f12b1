"""The gallery's key, and what it seals."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from device.access.gallerykey import find_key, key_file
from device.access.sealing import BrokenSeal, Seal, key_of_passphrase
from device.errors import InputError


def test_ok__made_once_beside_the_gallery_for_its_owner_alone(tmp_path: Path) -> None:
    gallery = tmp_path / "state" / "gallery.db"
    key = find_key(gallery, create=True, environment={})
    path = key_file(gallery)
    assert path.name == "gallery.db.key"
    assert path.stat().st_mode & 0o777 == 0o400
    assert len(key) == 32
    assert find_key(gallery, create=True, environment={}) == key
    assert find_key(tmp_path / "other.db", create=True, environment={}) != key
    assert sorted(each.name for each in path.parent.iterdir()) == ["gallery.db.key"]


def test_fail__a_gallery_never_gets_a_second_key(tmp_path: Path) -> None:
    gallery = tmp_path / "gallery.db"
    gallery.write_bytes(b"sealed with a key that is gone")
    with pytest.raises(InputError, match="missing"):
        find_key(gallery, create=True, environment={})
    assert not key_file(gallery).exists()


@pytest.mark.parametrize("mode", [0o440, 0o404, 0o600, 0o644, 0o500])
def test_fail__others_may_read_or_change_it(tmp_path: Path, mode: int) -> None:
    gallery = tmp_path / "gallery.db"
    find_key(gallery, create=True, environment={})
    key_file(gallery).chmod(mode)
    with pytest.raises(InputError, match=f"mode {mode:04o}.*chmod 0400"):
        find_key(gallery, environment={})


@pytest.mark.parametrize("content", ["", "0" * 63, "g" * 64, "0" * 65, "secret"])
def test_fail__no_key(tmp_path: Path, content: str) -> None:
    path = tmp_path / "my.key"
    path.write_text(content)
    path.chmod(0o400)
    with pytest.raises(InputError, match="64 hexadecimal digits"):
        find_key(tmp_path / "gallery.db", path, environment={})


def test_ok__systemds_credential_goes_before_the_file_and_a_named_file_before_both(tmp_path: Path) -> None:
    gallery = tmp_path / "gallery.db"
    own = find_key(gallery, create=True, environment={})
    credentials = tmp_path / "credentials"
    credentials.mkdir()
    environment = {"CREDENTIALS_DIRECTORY": str(credentials)}
    assert find_key(gallery, environment=environment) == own
    (credentials / "gallery-key").write_text("ab" * 32 + "\n")
    assert find_key(gallery, environment=environment) == b"\xab" * 32
    # With its whole folder handed over, systemd puts the folder's name before it.
    (credentials / "gallery-key").rename(credentials / "sereno_gallery-key")
    assert find_key(gallery, environment=environment) == b"\xab" * 32
    named = tmp_path / "named.key"
    named.write_text("cd" * 32)
    named.chmod(0o400)
    assert find_key(gallery, named, environment=environment) == b"\xcd" * 32


def test_ok__what_is_sealed_opens_in_its_place_alone() -> None:
    seal = Seal(os.urandom(32))
    sealed = seal.seal(b"content", "person", "ab")
    assert seal.open(sealed, "person", "ab") == b"content"
    assert sealed != seal.seal(b"content", "person", "ab"), "each seal has a nonce of its own"
    for place in (("person", "ac"), ("persona", "b"), ("person",), ("person", "ab", "")):
        with pytest.raises(BrokenSeal):
            seal.open(sealed, *place)
    for at in range(len(sealed)):
        broken = bytearray(sealed)
        broken[at] ^= 1
        with pytest.raises(BrokenSeal):
            seal.open(bytes(broken), "person", "ab")
    for cut in (b"", sealed[:12], sealed[:-1]):
        with pytest.raises(BrokenSeal):
            seal.open(cut, "person", "ab")
    with pytest.raises(BrokenSeal):
        Seal(os.urandom(32)).open(sealed, "person", "ab")


def test_ok__a_passphrase_and_its_salt_make_a_key() -> None:
    key = key_of_passphrase("correct horse", b"s" * 16)
    assert len(key) == 32
    assert key == key_of_passphrase("correct horse", b"s" * 16)
    assert key != key_of_passphrase("correct horse", b"t" * 16)
    assert key != key_of_passphrase("correct hors", b"s" * 16)
