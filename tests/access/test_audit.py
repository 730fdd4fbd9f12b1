"""The access log: durable, chained, signed, and closed to names."""

from __future__ import annotations

import itertools
import json
import os
import resource
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from device.access import auditkey
from device.access.audit import Audit, AuditError, read
from device.access.auditmemory import AuditMemory
from device.access.auditrecord import GENESIS, Head, digest
from device.access.auditverify import verify
from device.system.clock import FakeClock

DECISION = {"decision": "denied", "reason": "unknown", "person": "", "camera": "door"}


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


def test_ok__chain_and_signatures(tmp_path: Path, clock: FakeClock) -> None:
    log = Audit.open(tmp_path, clock)
    given = [log.append("decision", {**DECISION, "n": n}) for n in range(3)]
    log.close()
    records = list(read(tmp_path / "audit.db"))
    assert [record.kind for record in records] == ["begin", "decision", "decision", "decision"]
    assert records[1:] == given
    assert records[0].prev == GENESIS
    key = auditkey.read_public(tmp_path / "audit.pub")
    for before, record in itertools.pairwise(records):
        assert record.prev == before.hash
    for record in records:
        assert record.hash == record.digest()
        key.verify(record.signature, record.hash)


def test_ok__hash_is_the_documented_one() -> None:
    """Written out by hand from the documentation of the form."""
    import hashlib

    parts = [b"sereno-audit-1", b"7", b"1700000000000000", b"-5", b"boot", b"lock", '{"a":"é"}'.encode(), bytes(32)]
    expected = hashlib.sha256(b"".join(len(part).to_bytes(4, "big") + part for part in parts)).digest()
    assert digest(7, 1_700_000_000_000_000, -5, "boot", "lock", '{"a":"é"}', bytes(32)) == expected


def test_ok__body_is_canonical(tmp_path: Path, clock: FakeClock) -> None:
    record = Audit.open(tmp_path, clock).append("decision", {"b": 1, "a": "ñ", "c": None})
    assert record.body == '{"a":"ñ","b":1,"c":null}'
    assert record.content == {"a": "ñ", "b": 1, "c": None}


@pytest.mark.parametrize("body", [{"name": "Jessica"}, {"x": float("nan")}, {"x": object()}])
def test_fail__a_body_that_is_none(tmp_path: Path, clock: FakeClock, body: dict[str, object]) -> None:
    log = Audit.open(tmp_path, clock)
    with pytest.raises(ValueError, match=r"name|JSON|body|float"):
        log.append("decision", body)
    assert log.head().seq == 1


def test_ok__a_second_opening_goes_on(tmp_path: Path, clock: FakeClock) -> None:
    Audit.open(tmp_path, clock).close()
    log = Audit.open(tmp_path, clock)
    assert log.append("start", {}).seq == 2
    assert log.head().log == next(read(tmp_path / "audit.db")).content["log"]


def test_ok__two_writers_share_one_chain(tmp_path: Path, clock: FakeClock) -> None:
    """An administrator's command appends while the daemon runs."""
    daemon, command = Audit.open(tmp_path, clock), Audit.open(tmp_path, clock)
    for log in (daemon, command, daemon, command):
        log.append("admin", {})
    records = list(read(tmp_path / "audit.db"))
    assert [record.seq for record in records] == [1, 2, 3, 4, 5]
    assert all(a.hash == b.prev for a, b in itertools.pairwise(records))


def test_ok__key_is_private_and_made_once(tmp_path: Path, clock: FakeClock) -> None:
    Audit.open(tmp_path, clock).close()
    pem = (tmp_path / "audit.key").read_bytes()
    assert (tmp_path / "audit.key").stat().st_mode & 0o777 == 0o400
    assert (tmp_path / "audit.db").stat().st_mode & 0o777 == 0o600
    Audit.open(tmp_path, clock).close()
    assert (tmp_path / "audit.key").read_bytes() == pem


@pytest.mark.parametrize("called", ["audit-key", "sereno_audit-key"])
def test_ok__key_from_a_credential(
    tmp_path: Path, clock: FakeClock, monkeypatch: pytest.MonkeyPatch, called: str
) -> None:
    """As systemd hands it over; no key lies in the storage folder then."""
    given = auditkey.make_key(tmp_path)
    (tmp_path / "audit.key").rename(tmp_path / called)
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    log = Audit.open(tmp_path / "log", clock)
    assert auditkey.public_bytes(log.public_key) == auditkey.public_bytes(given.public_key())
    assert sorted(path.name for path in (tmp_path / "log").glob("audit.*[by]")) == ["audit.db", "audit.pub"]


def test_fail__credential_that_is_none(tmp_path: Path, clock: FakeClock, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is not passed over for a new key."""
    (tmp_path / auditkey.CREDENTIAL).write_text("secret")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    with pytest.raises(AuditError, match="credential"):
        Audit.open(tmp_path / "log", clock)


def test_fail__key_that_others_may_read(tmp_path: Path, clock: FakeClock) -> None:
    Audit.open(tmp_path, clock).close()
    (tmp_path / "audit.key").chmod(0o444)
    with pytest.raises(AuditError, match="0400"):
        Audit.open(tmp_path, clock)


def test_fail__key_lost(tmp_path: Path, clock: FakeClock) -> None:
    """A log with records never gets a new key in silence."""
    Audit.open(tmp_path, clock).close()
    (tmp_path / "audit.key").unlink()
    with pytest.raises(AuditError, match="missing"):
        Audit.open(tmp_path, clock)


def test_fail__another_key(tmp_path: Path, clock: FakeClock) -> None:
    Audit.open(tmp_path, clock).close()
    (tmp_path / "audit.key").unlink()
    auditkey.make_key(tmp_path)
    with pytest.raises(AuditError, match="another key"):
        Audit.open(tmp_path, clock)


@pytest.mark.parametrize("content", [b"", b"nonsense", b"-----BEGIN PRIVATE KEY-----\n-----END PRIVATE KEY-----\n"])
def test_fail__key_that_is_none(tmp_path: Path, clock: FakeClock, content: bytes) -> None:
    (tmp_path / "audit.key").write_bytes(content)
    (tmp_path / "audit.key").chmod(0o400)
    with pytest.raises(AuditError, match="no Ed25519 private key"):
        Audit.open(tmp_path, clock)


@pytest.mark.parametrize(
    "content", [b"no database at all, but long enough to be read as one" * 40, b"SQLite format 3\0"]
)
def test_fail__damaged_file(tmp_path: Path, clock: FakeClock, content: bytes) -> None:
    (tmp_path / "audit.db").write_bytes(content)
    with pytest.raises(AuditError, match=r"audit\.db"):
        Audit.open(tmp_path, clock)


def test_fail__last_record_changed(tmp_path: Path, clock: FakeClock) -> None:
    log = Audit.open(tmp_path, clock)
    log.append("decision", DECISION)
    log.close()
    with sqlite3.connect(tmp_path / "audit.db") as connection:
        connection.execute("DROP TRIGGER record_is_final")
        connection.execute("UPDATE record SET body = replace(body, 'denied', 'granted') WHERE seq = 2")
    connection.close()
    with pytest.raises(AuditError, match="changed"):
        Audit.open(tmp_path, clock)


@pytest.mark.parametrize("statement", ["UPDATE record SET body = '{}'", "DELETE FROM record"])
def test_fail__no_slip_changes_a_record(tmp_path: Path, clock: FakeClock, statement: str) -> None:
    Audit.open(tmp_path, clock).close()
    connection = sqlite3.connect(tmp_path / "audit.db")
    with pytest.raises(sqlite3.IntegrityError, match="never"):
        connection.execute(statement)
    connection.close()


def test_ok__clock_jumps_are_records(tmp_path: Path, clock: FakeClock) -> None:
    log = Audit.open(tmp_path, clock)
    clock.advance(3600)
    log.append("decision", DECISION)
    clock.step_wall(-3600)
    assert log.append("decision", DECISION).seq == 4
    clock.step_wall(1.9)
    log.append("decision", DECISION)
    records = list(read(tmp_path / "audit.db"))
    assert [record.kind for record in records] == ["begin", "decision", "clock", "decision", "decision"]
    assert records[2].content == {"jump_s": -3600.0}
    assert records[2].wall == pytest.approx(clock.wall() - 1.9)


@pytest.mark.parametrize(("step_s", "kinds"), [(-86400.0, ["begin", "clock", "start"]), (50.0, ["begin", "start"])])
def test_ok__clock_after_a_reboot(tmp_path: Path, clock: FakeClock, step_s: float, kinds: list[str]) -> None:
    """1970 after a boot without a battery is told; a clock that went on is not: nobody knows how long it was off."""
    Audit.open(tmp_path, clock).close()
    later = FakeClock(clock.wall() + step_s, monotonic=3.0)
    Audit.open(tmp_path, later, boot="the next boot").append("start", {})
    records = list(read(tmp_path / "audit.db"))
    assert [record.kind for record in records] == kinds
    assert records[1].boot == "the next boot"


FULL_DISK = """
import resource, sys
from pathlib import Path
from device.access.audit import Audit, AuditError, read
folder = Path(sys.argv[1])
log = Audit.open(folder)
size = (folder / "audit.db-wal").stat().st_size
resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))
try:
    log.append("decision", {"decision": "granted"})
except AuditError as error:
    print("denied:", error)
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
print(log.append("decision", {"decision": "denied"}).seq)
"""


@pytest.mark.skipif(resource.getrlimit(resource.RLIMIT_FSIZE)[1] != resource.RLIM_INFINITY, reason="files are limited")
def test_fail__disk_full(tmp_path: Path) -> None:
    """The kernel refuses to let the file grow: an error before anything moves, and no half record afterwards."""
    ran = subprocess.run([sys.executable, "-c", FULL_DISK, str(tmp_path)], capture_output=True, text=True, check=False)
    assert ran.stdout.startswith("denied: cannot write the access log"), ran.stderr
    assert ran.stdout.endswith("\n2\n"), ran.stdout
    assert [record.content.get("decision") for record in read(tmp_path / "audit.db")] == [None, "denied"]


def test_fail__folder_is_a_file(tmp_path: Path, clock: FakeClock) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(AuditError, match="cannot write"):
        Audit.open(tmp_path / "file", clock)


def test_ok__each_record_is_forced_to_the_disk(tmp_path: Path) -> None:
    """As the kernel sees it: an fsync of the log's file between two appends."""
    if not any((Path(folder) / "strace").exists() for folder in os.get_exec_path()):
        log = Audit.open(tmp_path)
        assert log._connection.execute("PRAGMA synchronous").fetchone() == (2,)
        assert log._connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        return
    script = "import sys; from pathlib import Path; from device.access.audit import Audit\n"
    script += "log = Audit.open(Path(sys.argv[1]))\nfor n in range(5):\n    sys.stderr.flush(); log.append('start', {})"
    command = ["strace", "-f", "-e", "trace=fsync,fdatasync", sys.executable, "-c", script, str(tmp_path)]
    ran = subprocess.run(command, capture_output=True, text=True, check=True)
    assert ran.stderr.count("sync(") >= 5


def test_ok__head_is_an_anchor(tmp_path: Path, clock: FakeClock) -> None:
    log = Audit.open(tmp_path, clock)
    record = log.append("start", {})
    head = Head.from_json(log.head().to_json())
    assert (head.seq, head.hash, head.signature) == (2, record.hash, record.signature)
    log.public_key.verify(head.signature, head.hash)


@pytest.mark.parametrize("text", ["", "{}", "[]", json.dumps({"log": "a", "seq": 1, "hash": "00"}), "\0"])
def test_fail__anchor_that_is_none(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 (of JSON's, or of ours)
        Head.from_json(text)


def away(path: Path) -> None:
    path.rename(path.with_suffix(".old"))


def replaced(path: Path) -> None:
    path.rename(path.with_suffix(".old"))
    Audit.open(path.parent, FakeClock(), anew={}).close()


@pytest.mark.parametrize("take", [Path.unlink, away, replaced])
def test_fail__the_file_is_taken_away_while_it_is_in_use(
    tmp_path: Path, clock: FakeClock, take: Callable[[Path], None]
) -> None:
    """SQLite would go on writing to a file that nobody finds."""
    log = Audit.open(tmp_path, clock)
    take(log.path)
    for _ in range(2):
        with pytest.raises(AuditError, match=r"the access log .*audit\.db was deleted, moved or replaced"):
            log.append("decision", DECISION)
    if not log.path.exists():
        return
    assert [record.kind for record in read(log.path)] == ["begin"]


def test_fail__the_file_is_taken_away_during_the_commit(tmp_path: Path, clock: FakeClock) -> None:
    log = Audit.open(tmp_path, clock)
    log._connection.set_trace_callback(lambda statement: away(log.path) if statement == "COMMIT" else None)
    with pytest.raises(AuditError, match="was deleted, moved or replaced"):
        log.append("decision", DECISION)


def test_ok__put_back_it_goes_on(tmp_path: Path, clock: FakeClock) -> None:
    log = Audit.open(tmp_path, clock)
    away(log.path)
    with pytest.raises(AuditError):
        log.append("decision", DECISION)
    log.path.with_suffix(".old").rename(log.path)
    assert log.append("decision", DECISION).seq == 2


def cut(path: Path) -> None:
    """By another program, as whoever has the disk can."""
    with sqlite3.connect(path) as other:
        other.executescript("DROP TRIGGER record_stays; DELETE FROM record WHERE seq > 2")
    other.close()


def older(path: Path) -> None:
    """A copy of before, written over the file itself: device and inode stay."""
    with sqlite3.connect(path) as other:
        other.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    other.close()
    path.write_bytes(path.with_suffix(".copy").read_bytes())


def rewritten(path: Path) -> None:
    """As long as it was, with another last record."""
    with sqlite3.connect(path) as other:
        other.executescript("DROP TRIGGER record_is_final; UPDATE record SET hash = zeroblob(32) WHERE seq = 4")
    other.close()


@pytest.mark.parametrize("spoil", [cut, older, rewritten])
def test_fail__the_log_is_not_what_it_was_while_it_is_in_use(
    tmp_path: Path, clock: FakeClock, spoil: Callable[[Path], None]
) -> None:
    """Nothing goes on from there, and neither the head that is remembered nor the anchor is put back to it."""
    log = Audit.open(tmp_path / "audit", clock)
    log.append("start", {})
    with sqlite3.connect(log.path) as other:
        other.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    other.close()
    log.path.with_suffix(".copy").write_bytes(log.path.read_bytes())
    log.append("decision", DECISION)
    log.append("decision", DECISION)
    head = log.head()
    spoil(log.path)
    for _ in range(2):
        with pytest.raises(AuditError, match=r"not the one whose record 4 .*audit\.head remembers"):
            log.append("decision", DECISION)
        with pytest.raises(AuditError, match="not the one whose record 4"):
            log.head()
    assert AuditMemory(log.path.parent).head() == head
    finding = verify(lambda: read(log.path), log.public_key, [head]).finding
    assert finding is not None
    log.close()
    with pytest.raises(AuditError):
        Audit.open(tmp_path / "audit", clock)


def test_ok__what_another_process_appended_is_gone_on_from(tmp_path: Path, clock: FakeClock) -> None:
    door, command = Audit.open(tmp_path / "audit", clock), Audit.open(tmp_path / "audit", clock)
    for seq, log in enumerate((command, door, door, command, door), 2):
        assert log.append("admin", {"act": "enrol", "person": ""}).seq == seq
        assert door.head() == command.head()
