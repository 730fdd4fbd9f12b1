"""Verify an exported access log: `python verify.py [FOLDER] [ANCHOR.json]`. Needs `pip install cryptography` alone.

FOLDER holds records.jsonl and audit.pub. Exit code 0: good; 1: the first bad record is named; 2: nothing to verify.
"""

import hashlib
import json
import sys
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.serialization import load_pem_public_key


def problem(record: dict[str, Any], number: int, prev: str, key: Any) -> str:
    """Why the record is not the next one. Hashed are its fields, each after its length (4 bytes, big-endian)."""
    if record["seq"] != number or record["prev"] != prev:
        return f"number {record['seq']} stands there, after another: records were removed, added, moved or renumbered"
    texts = [str(record[name]) for name in ("seq", "wall_us", "monotonic_us", "boot", "kind", "body")]
    parts = [b"sereno-audit-1", *(text.encode("utf-8", "surrogateescape") for text in texts), bytes.fromhex(prev)]
    digest = hashlib.sha256(b"".join(len(part).to_bytes(4, "big") + part for part in parts)).digest()
    key.verify(bytes.fromhex(record["signature"]), bytes.fromhex(record["hash"]))
    return "" if digest.hex() == record["hash"] else "it was edited: its hash does not fit"


def verify(folder: str = ".", anchor: str = "") -> tuple[int, str]:
    """The exit code, and what to say."""
    key, hashes = load_pem_public_key((Path(folder) / "audit.pub").read_bytes()), [bytes(32).hex()]
    for number, line in enumerate((Path(folder) / "records.jsonl").open(encoding="utf-8"), 1):
        try:
            why = problem(record := json.loads(line), number, hashes[-1], key)
        except InvalidSignature:
            why = "it was edited or added: this key has not signed it"
        except (KeyError, TypeError, ValueError, RecursionError) as error:
            why = f"it is no record: {error!r}"
        if why:
            return 1, f"record {number}: {why}"
        hashes.append(record["hash"])
    count, head = len(hashes) - 1, json.loads(Path(anchor).read_text()) if anchor else None
    if head and hashes[head["seq"] : head["seq"] + 1] != [head["hash"]]:
        return 1, f"record {head['seq']}: another one was anchored: the log was truncated or rolled back"
    said = f"{count} records, each signed and in its place{'' if head else '; truncation was not checked'}"
    return (0 if count else 2), said


if __name__ == "__main__":
    code, text = verify(*sys.argv[1:3])
    print(text)
    sys.exit(code)
