"""People in a file: all of a gallery, or some of it, sealed under a passphrase or a key, to be kept or moved."""

from __future__ import annotations

import base64
import binascii
import json
import os
import secrets
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from device.access.gallery import Gallery, checked_name
from device.access.galleryrecords import Person, Template, person_of, record_of
from device.access.sealing import SALT_BYTES, BrokenSeal, Seal, key_of_passphrase
from device.errors import ConfigError, InputError
from device.jsontext import parsed

FORMAT = "sereno-people-1"
MAX_BYTES = 2**30
Entry = tuple[Person, Template, list[bytes]]


def write_archive(path: Path, gallery: Gallery, people: list[Person], secret: str | bytes) -> None:
    """Write people, their templates and their crops to a new file of mode 0600, whole or not at all.

    Args:
        path: must not be there yet.
        gallery: that they are of.
        people: whom to write.
        secret: a passphrase, or 32 bytes.
    Raises:
        InputError: the file is there, or cannot be written, or the gallery cannot be read.
    """
    salt = secrets.token_bytes(SALT_BYTES)
    header = {"format": FORMAT, "secret": "key" if isinstance(secret, bytes) else "passphrase", "salt": salt.hex()}
    first = json.dumps(header)
    content = {"model": gallery.vault.model, "people": [_plain(gallery, person) for person in people]}
    sealed = Seal(_key(secret, salt)).seal(json.dumps(content, ensure_ascii=False).encode(), first)
    _write_new(path, first.encode() + b"\n" + sealed)


def read_archive(path: Path, secret: Callable[[str], str | bytes]) -> tuple[str, list[Entry]]:
    """Read what `write_archive` wrote.

    Args:
        path: the file.
        secret: gives the passphrase or the key (as it is told: `passphrase` or `key`).
    Returns:
        The sha256 of the model that the templates are of, and the people.
    Raises:
        InputError: it cannot be read, is no such file, or does not open.
    """
    first, sealed = _read(path)
    try:
        kind, salt = _header(first)
    except (ValueError, KeyError, TypeError):
        raise InputError(f"{path} is no export of people: wanted a file of `sereno people export`") from None
    try:
        text = Seal(_key(secret(kind), salt)).open(sealed, first.decode())
    except BrokenSeal:
        raise InputError(
            f"{path} does not open: another {kind}, or the file is damaged; nothing was imported"
        ) from None
    try:
        content = parsed(text)
        return str(content["model"]), [_entry(entry) for entry in content["people"]]
    except (KeyError, TypeError, ValueError, binascii.Error) as error:
        raise InputError(f"{path} is of another version of sereno ({error}); nothing was imported") from None
    except ConfigError as error:
        raise InputError(f"{path}: {error}; nothing was imported") from None


def _header(line: bytes) -> tuple[str, bytes]:
    """What the file is sealed with, `passphrase` or `key`, and the salt. Raises ValueError, KeyError or TypeError."""
    header = parsed(line.decode())
    kind, salt = header["secret"], bytes.fromhex(header["salt"])
    if header["format"] != FORMAT or kind not in ("passphrase", "key") or len(salt) != SALT_BYTES:
        raise ValueError("another format")
    return kind, salt


def _key(secret: str | bytes, salt: bytes) -> bytes:
    return secret if isinstance(secret, bytes) else key_of_passphrase(secret, salt)


def _plain(gallery: Gallery, person: Person) -> dict[str, Any]:
    template = gallery.template(person.id)
    return record_of(person) | {
        "photos": template.photos,
        "template": base64.b64encode(template.total.astype("<f4").tobytes()).decode(),
        "crops": [base64.b64encode(crop).decode() for crop in gallery.crops(person.id)],
    }


def _entry(given: Mapping[str, Any]) -> Entry:
    record = dict(given)
    crops = [base64.b64decode(crop) for crop in record.pop("crops")]
    total = np.frombuffer(base64.b64decode(record.pop("template")), "<f4").astype(np.float32)
    person = person_of(record)
    checked_name(person.name)
    if person.photos < 1 or not np.isfinite(total).all() or not np.linalg.norm(total) > 0:
        raise ValueError(f"the template of {person.id} is none")
    return person, Template(total, person.photos), crops


def _read(path: Path) -> tuple[bytes, bytes]:
    """First line and the rest. Raises InputError."""
    try:
        if path.stat().st_size > MAX_BYTES:
            raise InputError(f"{path} is larger than 1 GB: no export of people")
        content = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from None
    first, _, sealed = content.partition(b"\n")
    return first, sealed


def _write_new(path: Path, content: bytes) -> None:
    try:
        descriptor, name = tempfile.mkstemp(dir=path.absolute().parent, prefix=f".{path.name}-")
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(descriptor)
            os.link(name, path)
        finally:
            Path(name).unlink()
    except FileExistsError:
        raise InputError(f"{path} is there already: name a new file") from None
    except OSError as error:
        raise InputError(f"{path} cannot be written: {error.strerror}") from None
