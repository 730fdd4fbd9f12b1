"""The access log for somebody else: records, public key, and what verifies them without Sereno."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from device.access.auditkey import PUBLIC_FILE, public_pem
from device.access.auditrecord import AuditRecord
from device.errors import InputError

VERIFIER = Path(__file__).with_name("auditverifier.py")
NOTE = """An export of the access log of a door that Sereno watches.

records.jsonl   one record a line; `body` is the very text that was hashed
audit.pub       the Ed25519 public key of the log
verify.py       python verify.py . [ANCHOR.json]; needs Python 3 and `pip install cryptography`

Each hash is SHA-256 over: `sereno-audit-1`, seq, wall_us, monotonic_us, boot, kind, body, prev; numbers in decimal,
text in UTF-8, prev as 32 bytes, each part preceded by its length in bytes (4 bytes, big-endian). The signature is
Ed25519 over the hash. Persons appear as random ids; who they are is in the door's gallery alone.
"""


def export(records: Iterable[AuditRecord], key: Ed25519PublicKey, out: Path) -> int:
    """Write a self-contained folder. Returns the number of records.

    Raises:
        InputError: the folder exists and is not empty, or cannot be written.
    """
    count = 0
    try:
        out.mkdir(mode=0o700, parents=True, exist_ok=True)
        if any(out.iterdir()):
            raise InputError(f"{out} is not empty: name a new folder")
        with (out / "records.jsonl").open("w", encoding="utf-8", errors="surrogateescape") as stream:
            for record in records:
                stream.write(json.dumps(record.exported(), ensure_ascii=False) + "\n")
                count += 1
        (out / PUBLIC_FILE).write_bytes(public_pem(key))
        (out / "verify.py").write_bytes(VERIFIER.read_bytes())
        (out / "README.txt").write_text(NOTE, encoding="utf-8")
    except OSError as error:
        raise InputError(f"cannot export to {out}: {error.strerror or error}") from error
    return count
