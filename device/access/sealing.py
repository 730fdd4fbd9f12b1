"""Encryption with a key of 256 bits: what is sealed for one place opens in no other."""

from __future__ import annotations

import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

KEY_BYTES = 32
NONCE_BYTES = 12
SALT_BYTES = 16
SCRYPT_COST = 2**16
"""n of scrypt; with r = 8 and p = 1 a guess costs 64 MiB and about 0.2 s (RFC 7914; OWASP asks for 2**17 or less with
a higher p)."""


class BrokenSeal(Exception):
    """What was sealed does not open: another key, another place, or changed bytes."""


class Seal:
    """Seals and opens with one key (AES-256-GCM). Nonces are random: good for 2**32 seals (NIST SP 800-38D)."""

    def __init__(self, key: bytes) -> None:
        """`key`: 32 secret bytes. Raises ValueError for another length."""
        if len(key) != KEY_BYTES:
            raise ValueError(f"a key has {KEY_BYTES} bytes, this one {len(key)}")
        self._cipher = AESGCM(key)

    def seal(self, content: bytes, *place: str) -> bytes:
        """Encrypt `content` so that it opens only for the same `place`. Returns nonce, ciphertext and tag."""
        nonce = os.urandom(NONCE_BYTES)
        return nonce + self._cipher.encrypt(nonce, content, _bound(place))

    def open(self, sealed: bytes, *place: str) -> bytes:
        """Decrypt. Raises BrokenSeal where the key, the place or a byte is another."""
        try:
            return self._cipher.decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], _bound(place))
        except (InvalidTag, ValueError):
            raise BrokenSeal from None


def _bound(place: tuple[str, ...]) -> bytes:
    """The place as bytes in which no two places are alike: each part with its length."""
    parts = [part.encode() for part in place]
    return b"".join(len(part).to_bytes(4, "big") + part for part in parts)


def key_of_passphrase(passphrase: str, salt: bytes) -> bytes:
    """32 bytes from words that a person chose (scrypt). `salt`: `SALT_BYTES` random bytes, kept with what is sealed."""
    return Scrypt(salt=salt, length=KEY_BYTES, n=SCRYPT_COST, r=8, p=1).derive(passphrase.encode())
