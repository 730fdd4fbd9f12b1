"""The key that signs the access log: a systemd credential, or a file of mode 0400 made at first use."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from device.errors import InputError
from device.system.credentials import places

KEY_FILE = "audit.key"
PUBLIC_FILE = "audit.pub"
CREDENTIAL = "audit-key"
"""systemd's name for it; `LoadCredential=sereno:/etc/sereno/credentials` makes it `sereno_audit-key`."""


def private_key(pem: str | bytes, where: str) -> Ed25519PrivateKey:
    """Read an Ed25519 private key (PEM, PKCS #8, without a passphrase).

    Raises:
        InputError: it is something else; `where` names it in the sentence.
    """
    try:
        data = pem.encode() if isinstance(pem, str) else pem
        key = serialization.load_pem_private_key(data, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise InputError(f"{where} holds no Ed25519 private key (PEM, without a passphrase)") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise InputError(f"{where} holds a key of another kind: an Ed25519 private key is needed")
    return key


def read_key(folder: Path) -> Ed25519PrivateKey | None:
    """The key of the file; None where there is no file.

    Raises:
        InputError: it cannot be read, others may read it, or it holds no key.
    """
    path = folder / KEY_FILE
    try:
        with path.open("rb") as stream:
            mode = os.fstat(stream.fileno()).st_mode & 0o777
            pem = stream.read(10_000)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise InputError(f"cannot read the audit log's key {path}: {error.strerror}") from error
    if mode & 0o077:
        raise InputError(f"others may read the audit log's key {path} (mode {mode:04o}): it must be 0400")
    return private_key(pem, str(path))


def credential(environment: Mapping[str, str] = os.environ) -> Ed25519PrivateKey | None:
    """The key that systemd hands over, or would; None where there is none.

    Raises:
        InputError: it cannot be read, or is no key.
    """
    for path in places(CREDENTIAL, environment):
        try:
            return private_key(path.read_bytes(), f"the credential {path}")
        except FileNotFoundError:
            continue
        except OSError as error:
            # That folder is root's alone: somebody else has a log and a key of their own.
            if "CREDENTIALS_DIRECTORY" not in environment:
                return None
            raise InputError(f"cannot read the credential {path}: {error.strerror}") from error
    return None


def make_key(folder: Path) -> Ed25519PrivateKey:
    """Make a key and its file of mode 0400, durable before it is used. Raises InputError."""
    key = Ed25519PrivateKey.generate()
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    _write(folder / KEY_FILE, pem, 0o400)
    return key


def write_public(folder: Path, key: Ed25519PublicKey) -> None:
    """Put the public key beside the log, for whoever wants to verify it. Raises InputError."""
    pem = public_pem(key)
    path = folder / PUBLIC_FILE
    try:
        if path.read_bytes() == pem:
            return
    except OSError:
        pass
    _write(path, pem, 0o444)


def public_pem(key: Ed25519PublicKey) -> bytes:
    """As PEM."""
    return key.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


def read_public(path: Path) -> Ed25519PublicKey:
    """Read a public key (PEM). Raises InputError."""
    try:
        key = serialization.load_pem_public_key(path.read_bytes())
    except OSError as error:
        raise InputError(f"cannot read the audit log's public key {path}: {error.strerror}") from error
    except (ValueError, UnsupportedAlgorithm) as error:
        raise InputError(f"{path} holds no public key (PEM)") from error
    if not isinstance(key, Ed25519PublicKey):
        raise InputError(f"{path} holds a public key of another kind than Ed25519")
    return key


def public_bytes(key: Ed25519PublicKey) -> bytes:
    """The 32 bytes."""
    return key.public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)


def _write(path: Path, data: bytes, mode: int) -> None:
    """Write, flush to the disk, and only then give the file its name."""
    part = path.with_name(f"{path.name}.part")
    try:
        part.unlink(missing_ok=True)
        descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        part.replace(path)
        sync_folder(path.parent)
    except OSError as error:
        raise InputError(f"cannot write {path}: {error.strerror}") from error


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable. Raises OSError."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
