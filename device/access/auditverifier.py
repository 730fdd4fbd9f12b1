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

TEXT = ("seq", "wall_us", "monotonic_us", "boot", "kind", "body")


def digest(record: dict[str, Any]) -> bytes:
    """SHA-256 over the fields, each preceded by its length (4 bytes, big-endian)."""
    parts = [b"sereno-audit-1", *(str(record[key]).encode("utf-8", "surrogateescape") for key in TEXT)]
    parts.append(bytes.fromhex(record["prev"]))
    return hashlib.sha256(b"".join(len(part).to_bytes(4, "big") + part for part in parts)).digest()


def problem(record: dict[str, Any], number: int, prev: str, key: Any) -> str:
    """Why the record is not the one that follows; empty for a good one."""
    try:
        if record["seq"] != number:
            return f"its number is {record['seq']}: records were removed, added or reordered"
        if record["prev"] != prev:
            return "it does not follow the record before"
        if digest(record).hex() != record["hash"]:
            return "it was changed: its hash does not fit"
        key.verify(bytes.fromhex(record["signature"]), bytes.fromhex(record["hash"]))
    except InvalidSignature:
        return "it was not signed by this key"
    except (KeyError, TypeError, ValueError) as error:
        return f"it is no record: {error!r}"
    return ""


def main(folder: str = ".", anchor: str = "") -> int:
    """Returns the exit code."""
    key, number, prev = load_pem_public_key((Path(folder) / "audit.pub").read_bytes()), 0, bytes(32).hex()
    hashes: dict[int, str] = {}
    for number, line in enumerate((Path(folder) / "records.jsonl").open(encoding="utf-8"), 1):
        try:
            why = problem(record := json.loads(line), number, prev, key)
        except ValueError:
            why = "it is no JSON"
        if why:
            print(f"record {number}: {why}")
            return 1
        prev = hashes[number] = record["hash"]
    head: Any = json.loads(Path(anchor).read_text()) if anchor else {"seq": number, "hash": prev}
    if hashes.get(head["seq"]) != head["hash"]:
        print(f"record {head['seq']}: another one was anchored: the log was truncated or rolled back")
        return 1
    print(f"{number} records, each signed and in its place" + ("" if anchor else "; truncation was not checked"))
    return 0 if number else 2


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:3]))
