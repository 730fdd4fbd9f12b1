"""What others remember of the access log: said, and on record, where the log lacks it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from device.access.audit import Audit, read
from device.access.auditrecord import AuditRecord, Head
from device.access.auditrenewal import begin_anew
from device.access.auditwitness import AuditWitness
from device.system.clock import FakeClock

DECISION = {"decision": "denied", "reason": "unknown"}


def opened(folder: Path) -> Audit:
    return Audit.open(folder, FakeClock())


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A log of four records, closed."""
    log = opened(tmp_path / "state" / "audit")
    for _ in range(3):
        log.append("decision", DECISION)
    log.close()
    return tmp_path / "state" / "audit"


def anchors(log: Audit) -> list[AuditRecord]:
    return [record for record in read(log.path) if record.kind == "anchor"]


def rolled_back(folder: Path) -> Head:
    """Put the whole storage folder back to what it was three records before; the head of then."""
    copy = folder.parent.with_name("copy")
    shutil.copytree(folder.parent, copy)
    log = opened(folder)
    for _ in range(3):
        log.append("decision", DECISION)
    head = log.head()
    log.close()
    shutil.rmtree(folder.parent)
    copy.rename(folder.parent)
    return head


def test_ok__an_anchor_of_this_log(folder: Path) -> None:
    log = opened(folder)
    warnings: list[str] = []
    witness = AuditWitness(log, warnings)
    old = log.head()
    log.append("decision", DECISION)
    assert witness.meets(old.to_json())
    assert witness.meets(log.head().to_json())
    assert witness.log == old.log
    assert (warnings, anchors(log)) == ([], [])


def test_fail__the_whole_folder_was_put_back(folder: Path) -> None:
    """Nothing on this machine tells, but the broker: its anchor stays, and that is on record."""
    head = rolled_back(folder)
    log = opened(folder)
    warnings: list[str] = []
    assert not AuditWitness(log, warnings).meets(head.to_json())
    assert "the broker keeps an anchor of record 7, which the access log lacks" in warnings[0]
    [record] = anchors(log)
    assert record.content["state"] == "missing"
    assert record.content["anchored_hash"] == head.hash.hex()
    # As long as the log that was: the record of that number is another one.
    for _ in range(9):
        log.append("decision", DECISION)
    assert not AuditWitness(log, []).meets(head.to_json())


def test_ok__a_log_begun_on_record_may_replace_it(folder: Path) -> None:
    head = rolled_back(folder)
    begin_anew(folder, "put back from a copy", FakeClock())
    log = opened(folder)
    assert AuditWitness(log, []).meets(head.to_json())
    assert anchors(log) == []


def test_fail__a_copy_from_before_a_new_log_was_begun(folder: Path) -> None:
    copy = folder.parent.with_name("copy")
    shutil.copytree(folder.parent, copy)
    begin_anew(folder, "a year is full", FakeClock())
    log = opened(folder)
    head = log.head()
    log.close()
    shutil.rmtree(folder.parent)
    copy.rename(folder.parent)
    assert not AuditWitness(opened(folder), []).meets(head.to_json())


def test_fail__an_anchor_of_another_key_is_on_record_and_replaced(folder: Path, tmp_path: Path) -> None:
    """The whole folder was deleted, or somebody writes there: anybody could have made it, so it decides nothing."""
    head = opened(folder).head()
    log = opened(tmp_path / "new" / "audit")
    warnings: list[str] = []
    assert AuditWitness(log, warnings).meets(head.to_json())
    [record] = anchors(log)
    assert (record.content["state"], record.content["anchored_log"]) == ("foreign", head.log)
    assert "of another access log, or a forged one" in warnings[0]


def test_fail__a_forged_anchor(folder: Path) -> None:
    log = opened(folder)
    head = log.head()
    forged = Head(head.log, 99, bytes(32), head.signature, head.public_key)
    assert AuditWitness(log, []).meets(forged.to_json())
    assert [record.content["state"] for record in anchors(log)] == ["foreign"]


@pytest.mark.parametrize("text", ["", "{}", "[]", "no JSON", '{"seq": 1}', "[" * 100_000, '{"log": "a", "seq": 1e999}'])
def test_ok__what_is_no_anchor_is_replaced(folder: Path, text: str) -> None:
    log = opened(folder)
    assert AuditWitness(log, []).meets(text)
    assert anchors(log) == []


@pytest.mark.parametrize("change", [{"log": "x" * 10**6}, {"log": "\ud800" * 32}, {"seq": 10**30}, {"seq": 0}])
def test_ok__an_anchor_that_would_do_harm_on_record_is_none(folder: Path, change: dict[str, Any]) -> None:
    log = opened(folder)
    assert AuditWitness(log, []).meets(json.dumps(json.loads(log.head().to_json()) | change))
    assert anchors(log) == []


def test_fail__a_number_that_is_not_in_the_log_any_more(folder: Path) -> None:
    log = opened(folder)
    warnings: list[str] = []
    AuditWitness(log, warnings).lacks(9, 4)
    assert "ends with record 4, but its record 9 was told before" in warnings[0]
    assert anchors(log)[0].content["anchored_seq"] == 9


def test_fail__a_log_that_takes_no_record_is_said_all_the_same(folder: Path) -> None:
    log = opened(folder)
    head = log.head()
    log.path.unlink()
    warnings: list[str] = []
    AuditWitness(log, warnings).lacks(9, 4)
    assert warnings
    assert AuditWitness(log, warnings).meets(head.to_json())
