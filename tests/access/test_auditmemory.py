"""A log that is gone, or older than it was, keeps the door shut until somebody begins a new one on record."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from device.access import auditkey
from device.access.audit import Audit, AuditError, read
from device.access.auditmemory import SIZE, AuditMemory
from device.access.auditrecord import Head
from device.access.auditrenewal import begin_anew
from device.access.auditverify import verify
from device.commands.audit import audit
from device.publish.lock import FolderLock
from device.system.clock import FakeClock

DECISION = {"decision": "denied", "reason": "unknown"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A log of three records, closed."""
    log = Audit.open(tmp_path / "audit", FakeClock())
    log.append("start", {})
    log.append("decision", DECISION)
    log.close()
    return tmp_path / "audit"


def reopened(folder: Path) -> int:
    """The number of the next record."""
    log = Audit.open(folder, FakeClock())
    seq = log.append("start", {}).seq
    log.close()
    return seq


def begin(folder: Path, *options: str) -> Result:
    return CliRunner().invoke(audit, ["begin", "--log", str(folder), *options])


def test_ok__the_newest_head_is_remembered(folder: Path) -> None:
    log = Audit.open(folder, FakeClock())
    log.append("stop", {})
    kept = AuditMemory(folder).head()
    assert kept == log.head()
    assert kept is not None
    assert kept.seq == 4
    assert AuditMemory(folder).path == folder.parent / "audit.head"
    assert AuditMemory(folder).path.stat().st_mode & 0o777 == 0o600


def test_ok__a_head_fits_into_its_file(folder: Path) -> None:
    head = Audit.open(folder, FakeClock()).head()
    widest = Head(head.log, 2**63 - 1, head.hash, head.signature, head.public_key).to_json()
    assert len(widest.encode()) < SIZE == AuditMemory(folder).path.stat().st_size


def nothing(folder: Path) -> None:
    """The head is remembered."""


def damaged(folder: Path) -> None:
    AuditMemory(folder).path.write_bytes(b"\0" * SIZE)


def only_the_journal(folder: Path) -> None:
    AuditMemory(folder).path.unlink()
    (folder.parent / "lock").mkdir()
    (folder.parent / "lock" / "journal.jsonl").write_text("{}\n")


@pytest.mark.parametrize(
    ("trace", "told"),
    [(nothing, "remembers its record 3"), (damaged, "audit.head is there"), (only_the_journal, "journal.jsonl tells")],
)
@pytest.mark.parametrize("how", ["folder", "file"])
def test_fail__gone_while_the_door_was_stopped(
    folder: Path, trace: Callable[[Path], None], told: str, how: str
) -> None:
    """Neither a log nor a key is made, so that the old ones can be put back."""
    trace(folder)
    if how == "folder":
        folder.rename(folder.with_name("away"))
    else:
        (folder / "audit.db").unlink()
    with pytest.raises(AuditError, match=rf"is gone, but .*{told}.*put the log back, or `sereno audit begin`"):
        Audit.open(folder, FakeClock())
    assert not (folder / "audit.db").exists()
    if how == "folder":
        folder.with_name("away").rename(folder)
        assert reopened(folder) == 4


def test_fail__emptied(folder: Path) -> None:
    """A file without records is no log, either."""
    (folder / "audit.db").write_bytes(b"")
    with pytest.raises(AuditError, match="is gone, but"):
        Audit.open(folder, FakeClock())


def test_fail__an_older_copy_was_put_back(folder: Path) -> None:
    shutil.copytree(folder, folder.with_name("copy"))
    reopened(folder)
    shutil.rmtree(folder)
    folder.with_name("copy").rename(folder)
    with pytest.raises(AuditError, match=r"ends with record 3, and is not the one whose record 4 .*audit\.head"):
        Audit.open(folder, FakeClock())


def test_fail__another_log_was_put_there(folder: Path) -> None:
    """A longer one, with a key that fits it."""
    other = folder.with_name("other")
    log = Audit.open(other, FakeClock())
    for _ in range(9):
        log.append("start", {})
    log.close()
    shutil.rmtree(folder)
    other.rename(folder)
    with pytest.raises(AuditError, match="another log put there"):
        Audit.open(folder, FakeClock())


def test_ok__a_head_that_lags_behind(folder: Path) -> None:
    """As after a power cut, or with two writers."""
    old = AuditMemory(folder).path.read_bytes()
    reopened(folder)
    AuditMemory(folder).path.write_bytes(old)
    assert reopened(folder) == 5


@pytest.mark.parametrize("loss", [Path.unlink, lambda path: path.write_bytes(b"")])
def test_ok__a_lost_head_is_remembered_anew(folder: Path, loss: Callable[[Path], object]) -> None:
    """Also that of a log from before heads were remembered."""
    loss(AuditMemory(folder).path)
    Audit.open(folder, FakeClock()).close()
    kept = AuditMemory(folder).head()
    assert kept is not None
    assert kept.seq == 3


def test_ok__a_head_that_cannot_be_kept_keeps_nobody_out(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    """And a link in its place leads nowhere."""
    other = folder.with_name("other")
    other.write_text("precious")
    AuditMemory(folder).path.unlink()
    log = Audit.open(folder, FakeClock())
    AuditMemory(folder).path.unlink()
    AuditMemory(folder).path.symlink_to(other)
    assert log.append("decision", DECISION).seq == 4
    assert "cannot remember the access log's head" in caplog.text
    assert other.read_text() == "precious"


def test_ok__begin_after_a_loss(folder: Path) -> None:
    kept = AuditMemory(folder).head()
    shutil.rmtree(folder)
    assert begin_anew(folder, "the card failed", FakeClock()) is None
    [first] = read(folder / "audit.db")
    assert kept is not None
    assert first.kind == "begin"
    assert {key: first.content[key] for key in ("after_log", "after_seq", "after_hash", "detail")} == {
        "after_log": kept.log,
        "after_seq": 3,
        "after_hash": kept.hash.hex(),
        "detail": "the card failed",
    }
    assert reopened(folder) == 2


def test_ok__begin_to_archive(folder: Path) -> None:
    """The old log ends with a record of it, verifies where it lies, and its key goes on."""
    key = auditkey.read_public(folder / "audit.pub")
    aside = begin_anew(folder, "a year is full", FakeClock(wall=1_763_800_000.0))
    assert aside is not None
    assert aside.name.startswith("audit-20251122-")
    old = list(read(aside / "audit.db"))
    assert old[-1].content == {"act": "audit.begin", "person": "", "detail": "a year is full"}
    assert verify(lambda: read(aside / "audit.db"), key).finding is None
    [first] = read(folder / "audit.db")
    assert first.content["after_hash"] == old[-1].hash.hex()
    assert verify(lambda: read(folder / "audit.db"), key).finding is None
    assert (folder / "audit.key").stat().st_mode & 0o777 == 0o400


def damage(folder: Path) -> None:
    (folder / "audit.db").write_bytes(b"no database at all" * 400)
    for name in ("audit.db-wal", "audit.db-shm"):
        (folder / name).unlink(missing_ok=True)


def lose_key(folder: Path) -> None:
    (folder / "audit.key").unlink()


@pytest.mark.parametrize(("mishap", "told"), [(damage, "cannot open"), (lose_key, "is missing")])
def test_ok__begin_after_damage(folder: Path, mishap: Callable[[Path], None], told: str) -> None:
    mishap(folder)
    with pytest.raises(AuditError, match=rf"{told}.*`sereno audit begin`"):
        Audit.open(folder, FakeClock())
    aside = begin_anew(folder, "damaged", FakeClock())
    assert aside is not None
    assert (aside / "audit.db").exists()
    assert next(read(folder / "audit.db")).content["after_seq"] == 3
    assert reopened(folder) == 2


def test_ok__the_command_and_what_the_log_shows(folder: Path) -> None:
    shutil.rmtree(folder)
    result = begin(folder, "--why", "the card failed")
    assert result.exit_code == 0
    assert result.output == f"A new access log begins in {folder}.\n"
    shown = CliRunner().invoke(audit, ["show", "--log", str(folder)]).output
    assert "after_seq 3" in shown
    assert "detail the card failed" in shown
    assert "the old one lies in" in begin(folder, "--why", "again").output
    assert CliRunner().invoke(audit, ["verify", "--log", str(folder)]).exit_code == 0


def test_fail__the_command_beside_a_running_door(folder: Path) -> None:
    lock = FolderLock(folder.parent)
    result = begin(folder, "--why", "now")
    lock.release()
    assert "the door is at work" in str(result.exception)
    assert reopened(folder) == 4


@pytest.mark.parametrize("options", [[], ["--why", " "], ["--why", "a\nb"]])
def test_fail__the_command_without_a_reason(folder: Path, options: list[str]) -> None:
    result = begin(folder, *options)
    assert getattr(result.exception, "exit_code", result.exit_code) == 2
    assert reopened(folder) == 4


def test_fail__verify_of_a_log_that_is_gone(folder: Path) -> None:
    shutil.rmtree(folder)
    result = CliRunner().invoke(audit, ["verify", "--log", str(folder)])
    assert "is gone, but" in str(result.exception)
