"""The access log against what others remember of it: the broker's anchor, and the outbox that told of its records."""

from __future__ import annotations

import logging
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from device.access.audit import Audit
from device.access.auditkey import public_bytes
from device.access.auditrecord import Head
from device.errors import InputError

log = logging.getLogger(__name__)

KIND = "anchor"
"""Of the records about it."""
CUT = "its end was cut off, or an older copy of it put back: `sereno audit verify` says more"


class AuditWitness:
    """Says it, on record and to people, where somebody remembers a record that the log lacks. Any thread may ask."""

    def __init__(self, audit: Audit, warnings: list[str]) -> None:
        """`audit`: the door's log. `warnings`: what the page shows; sentences are added. Raises AuditError."""
        self._audit, self._warnings, self._name = audit, warnings, audit.head().log

    @property
    def log(self) -> str:
        """The log's random name."""
        return self._name

    def lacks(self, told: int, newest: int) -> None:
        """Record `told` of this very log was told of, but it ends with an earlier one, `newest`."""
        sentence = f"the access log ends with record {newest}, but its record {told} was told before: {CUT}"
        self._warn(sentence, {"state": "missing", "anchored_seq": told})

    def meets(self, anchor: str) -> bool:
        """Whether what a broker retains may be replaced by a newer head of this log.

        Not where it is signed by the log's key for a record that neither the log holds, nor the one before, after which
        this one was begun. An anchor of another key is on record before it is replaced: anybody could make one.
        """
        try:
            head = Head.from_json(anchor)
        except ValueError:
            log.warning("what the broker keeps as the access log's anchor is none: it is replaced")
            return True
        about: dict[str, Any] = {
            "anchored_seq": head.seq,
            "anchored_log": head.log,
            "anchored_hash": head.hash.hex(),
            "anchored_key": head.public_key.hex(),
        }
        if head.public_key != public_bytes(self._audit.public_key) or not _genuine(head):
            sentence = f"the broker kept an anchor of record {head.seq} of another access log, or a forged one"
            self._warn(sentence, {"state": "foreign", **about})
            return True
        try:
            if self._audit.accounts_for(head):
                return True
        except InputError as error:
            log.error("%s", error)
            return False
        sentence = f"the broker keeps an anchor of record {head.seq}, which the access log lacks: {CUT}"
        self._warn(f"{sentence} with `--anchor mqtt`; no other anchor is told", {"state": "missing", **about})
        return False

    def _warn(self, sentence: str, body: dict[str, Any]) -> None:
        log.error("%s", sentence)
        self._warnings.append(sentence)
        try:
            self._audit.append(KIND, {**body, "detail": sentence})
        except InputError as error:
            log.error("%s", error)


def _genuine(head: Head) -> bool:
    try:
        Ed25519PublicKey.from_public_bytes(head.public_key).verify(head.signature, head.hash)
    except (InvalidSignature, ValueError):
        return False
    return True
