"""One record of the access log: what it holds, what is hashed, and in which form."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from device.jsontext import parsed

FORMAT = b"sereno-audit-1"
"""First field of what is hashed: another form of record can never be taken for this one."""
GENESIS = bytes(32)
"""`prev` of the first record."""
KINDS = ("begin", "start", "stop", "decision", "lock", "door", "admin", "clock", "anchor", "fault")
"""What the door unit writes; `begin` is the first record of each log and names it."""
_KIND = re.compile(r"[a-z][a-z-]{0,31}")
_LOG = re.compile(r"[0-9a-f]{32}")
_NAMES = {"name", "names"}


@dataclass(frozen=True, slots=True)
class AuditRecord:
    """One record, as it is stored.

    `wall_us` is microseconds since 1970, `monotonic_us` microseconds since the machine started (of the boot `boot`);
    `body` is canonical JSON. `prev` and `hash` are SHA-256 (32 bytes), `signature` is Ed25519 over `hash` (64 bytes).
    """

    seq: int
    wall_us: int
    monotonic_us: int
    boot: str
    kind: str
    body: str
    prev: bytes
    hash: bytes
    signature: bytes

    @property
    def wall(self) -> float:
        """Seconds since 1970."""
        return self.wall_us / 1e6

    @property
    def content(self) -> dict[str, Any]:
        """The body as a dict; empty where it is no JSON object (a record that was tampered with)."""
        try:
            content = parsed(self.body)
        except ValueError:
            return {}
        return content if isinstance(content, dict) else {}

    def digest(self, seq: int | None = None) -> bytes:
        """The SHA-256 that this record should have; with `seq`, the one that it would have at another place."""
        return digest(
            self.seq if seq is None else seq,
            self.wall_us,
            self.monotonic_us,
            self.boot,
            self.kind,
            self.body,
            self.prev,
        )

    def exported(self) -> dict[str, Any]:
        """As a JSON object, bytes in hexadecimal; `body` stays the very text that was hashed."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return {key: value.hex() if isinstance(value, bytes) else value for key, value in values.items()}


@dataclass(frozen=True, slots=True)
class Head:
    """The last record of a log, small enough to be kept elsewhere: who holds one can tell truncation and rollback.

    `log` is the log's random name (32 hexadecimal digits), `hash` the record's, `signature` of this key over it.
    """

    log: str
    seq: int
    hash: bytes
    signature: bytes
    public_key: bytes

    def to_json(self) -> str:
        """One line of JSON, bytes in hexadecimal: what the door publishes retained, and `--anchor FILE` reads."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return json.dumps({key: value.hex() if isinstance(value, bytes) else value for key, value in values.items()})

    @classmethod
    def from_json(cls, text: str) -> Head:
        """Read what `to_json` wrote. Raises ValueError."""
        try:
            values = parsed(text)
            head = cls(
                str(values["log"]),
                int(values["seq"]),
                *(bytes.fromhex(values[key]) for key in ("hash", "signature", "public_key")),
            )
        except (KeyError, TypeError, OverflowError) as error:
            raise ValueError(f"not an anchor: {error}") from error
        if not _LOG.fullmatch(head.log) or not 0 < head.seq < 2**63:
            raise ValueError("not an anchor: no name of a log, or no number of a record")
        if [len(head.hash), len(head.signature), len(head.public_key)] != [32, 64, 32]:
            raise ValueError("not an anchor: a value of the wrong length")
        return head


def digest(seq: int, wall_us: int, monotonic_us: int, boot: str, kind: str, body: str, prev: bytes) -> bytes:
    """SHA-256 over the fields in this order, each preceded by its length in bytes (4 bytes, big-endian).

    Numbers are written in decimal, text in UTF-8. The lengths keep two records with differently cut fields apart.
    """
    texts = (str(seq), str(wall_us), str(monotonic_us), boot, kind, body)
    total = hashlib.sha256()
    for part in (FORMAT, *(text.encode("utf-8", "surrogateescape") for text in texts), prev):
        total.update(len(part).to_bytes(4, "big"))
        total.update(part)
    return total.digest()


def canonical(kind: str, body: Mapping[str, Any]) -> str:
    """The body as JSON: keys sorted, no spaces, no NaN.

    Raises:
        ValueError: the kind is no lower-case word; the body cannot be written as JSON, or holds a person's name.
    """
    if not _KIND.fullmatch(kind):
        raise ValueError(f"the kind of an audit record is a lower-case word, not {kind!r}")
    if _NAMES & body.keys():
        raise ValueError("an audit record carries a person's id, never a name")
    try:
        return json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    except TypeError as error:
        raise ValueError(f"not a body for an audit record: {error}") from error
