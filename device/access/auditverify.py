"""Is the access log what was written? The first bad record, and what was done to it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from device.access.auditkey import public_bytes
from device.access.auditrecord import GENESIS, AuditRecord, Head
from device.errors import InputError

Tampering = Literal["edited", "removed", "inserted", "reordered", "truncated", "rolled-back", "replaced"]
BY_ANCHOR: tuple[Tampering, ...] = ("truncated", "rolled-back", "replaced")
"""What only a head that was kept tells."""
MISSING = 1000
"""So many records may have been removed, and the gap closed, while the number that one bore is still found out."""
Records = Callable[[], Iterable[AuditRecord]]


@dataclass(frozen=True, slots=True)
class Finding:
    """The first record, by its place in the log, that is not what was written there, and in a sentence why."""

    seq: int
    how: Tampering
    detail: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a verification found. `records` were read, `anchors` compared with; `finding` is None for a good log."""

    records: int
    anchors: int
    finding: Finding | None


def verify(records: Records, key: Ed25519PublicKey, anchors: Sequence[Head] = ()) -> Verdict:
    """Follow the chain from the first record to the last, then compare with the anchors.

    Args:
        records: gives all of them in the order of their numbers; called again to find out what was done.
        key: the log's.
        anchors: heads that were kept elsewhere, oldest first; without one, a log that was cut off or an older copy
            that was put back cannot be told from a good one.
    Raises:
        InputError: an anchor is not genuine.
    """
    for anchor in anchors:
        _check_anchor(anchor)
    prev, count, hashes = GENESIS, 0, dict.fromkeys((anchor.seq for anchor in anchors), b"")
    first: AuditRecord | None = None
    for record in records():
        count += 1
        first = first or record
        if record.seq != count or record.prev != prev or record.hash != record.digest() or not signed(record, key):
            return Verdict(count, len(anchors), _classify(records, record, count, prev, key))
        if record.seq in hashes:
            hashes[record.seq] = record.hash
        prev = record.hash
    if first is None:
        return Verdict(0, len(anchors), Finding(1, "removed", "the log holds no record, not even its beginning"))
    return Verdict(count, len(anchors), _against(anchors, first, hashes, count, key))


def signed(record: AuditRecord, key: Ed25519PublicKey, digest: bytes | None = None) -> bool:
    """Whether the key has signed the record's hash, or another one."""
    try:
        key.verify(record.signature, record.hash if digest is None else digest)
    except InvalidSignature:
        return False
    return True


def _check_anchor(anchor: Head) -> None:
    try:
        Ed25519PublicKey.from_public_bytes(anchor.public_key).verify(anchor.signature, anchor.hash)
    except (InvalidSignature, ValueError) as error:
        raise InputError(f"the anchor of record {anchor.seq} is not genuine: its own signature does not fit") from error


def _against(
    anchors: Sequence[Head], first: AuditRecord, hashes: dict[int, bytes], count: int, key: Ed25519PublicKey
) -> Finding | None:
    """What the anchors say about a log whose chain is whole."""
    agreed = 0
    for anchor in sorted(anchors, key=lambda anchor: anchor.seq):
        if anchor.public_key != public_bytes(key) or anchor.log != first.content.get("log"):
            return Finding(1, "replaced", f"the anchor of record {anchor.seq} belongs to another log or another key")
        if anchor.seq > count:
            return Finding(
                count + 1,
                "truncated",
                f"the log ends with record {count}, but record {anchor.seq} was anchored: its end was cut off, or an "
                "older copy put back",
            )
        if hashes[anchor.seq] != anchor.hash:
            return Finding(
                anchor.seq,
                "rolled-back",
                f"another record {anchor.seq} was anchored: an older copy was put back and gone on with, after record "
                f"{agreed} at the earliest"
                if agreed
                else f"another record {anchor.seq} was anchored: an older copy was put back and gone on with",
            )
        agreed = anchor.seq
    return None


def _classify(records: Records, bad: AuditRecord, place: int, prev: bytes, key: Ed25519PublicKey) -> Finding:
    """What was done at `place`, where `bad` stands after a record with the hash `prev`."""
    last = place
    original: AuditRecord | None = None
    twin = 0
    for other in records():
        last = other.seq
        if other.seq == bad.seq:
            continue
        if other.hash == bad.hash:
            twin = other.seq
        # Its number and its predecessor may have been rewritten to fit: what was signed there tells.
        if original is None and signed(other, key, replace(other, prev=prev).digest(place)):
            original = other
    origin = _origin(bad, last, key)
    if original is not None:
        return _displaced(bad, place, original, origin, twin)
    if signed(bad, key, replace(bad, prev=prev).digest(place)):
        what = f"its number was changed to {bad.seq}" if bad.seq != place else "its hash or its link was changed"
        return Finding(place, "edited", f"record {place}: {what}")
    if origin is None:
        return _foreign(bad, place, prev, last)
    if origin > place and not twin:
        return Finding(place, "removed", f"{_numbers(place, origin - 1)} missing before record {origin}")
    if twin and place == last:
        return Finding(place, "inserted", f"record {place}, the last one, is a copy of record {origin}")
    if twin:
        return Finding(place, "edited", f"record {place} was written over with a copy of record {origin}")
    return Finding(
        place, "inserted", f"record {place} is of another history of this log: it does not follow {place - 1}"
    )


def _displaced(bad: AuditRecord, place: int, original: AuditRecord, origin: int | None, twin: int) -> Finding:
    """The record that belongs at `place` is there, but not at its place, or behind one that does not belong."""
    if original.seq == place:
        if origin is None or twin:
            return Finding(bad.seq, "inserted", f"a record with the number {bad.seq} was added before record {place}")
        return Finding(origin, "reordered", f"record {origin} was given the number {bad.seq}")
    if origin is None:
        return Finding(
            place, "inserted", f"record {place} was not signed by this log's key; the genuine one follows it"
        )
    if twin:
        return Finding(place, "inserted", f"record {place} is a copy of record {origin}; the genuine one follows it")
    return Finding(place, "reordered", f"record {origin} stands at the place of record {place}")


def _foreign(bad: AuditRecord, place: int, prev: bytes, last: int) -> Finding:
    """A record that the key has not signed as it is, and no trace of the genuine one."""
    if bad.seq > place:
        return Finding(place, "removed", f"{_numbers(place, bad.seq - 1)} missing, and record {bad.seq} was changed")
    fits = bad.digest() == bad.hash
    if fits and bad.prev == prev and place == last:
        return Finding(place, "inserted", f"record {place}, the last one, was not signed by this log's key")
    if fits:
        return Finding(place, "edited", f"record {place} was changed and its hash with it: the signature does not fit")
    return Finding(place, "edited", f"record {place} was changed: its hash does not fit")


def _origin(record: AuditRecord, last: int, key: Ed25519PublicKey) -> int | None:
    """The number under which the record was signed; None where it never was."""
    if not signed(record, key):
        return None
    candidates = (record.seq, *range(1, max(last, 1) + MISSING))
    return next((seq for seq in candidates if record.digest(seq) == record.hash), None)


def _numbers(first: int, last: int) -> str:
    return f"record {first} is" if first == last else f"records {first} to {last} are"
