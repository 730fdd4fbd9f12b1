"""`sereno audit`, on a log as the door writes it."""

from __future__ import annotations

import csv
import io
import json
import os
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result

from device.access.audit import Audit, read
from device.access.auditmemory import AuditMemory
from device.access.auditrecord import digest
from device.access.gallery import Gallery
from device.access.gallerykey import find_key
from device.access.galleryrecords import Consent, Person
from device.commands.audit import audit
from device.errors import SerenoError
from device.system.clock import FakeClock
from tests.mosquitto import Mosquitto

MARIA = "0123456789abcdef"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A log: a grant, a denial an hour later, the lock's movement."""
    clock = FakeClock(wall=1_763_800_000.0)
    log = Audit.open(tmp_path / "audit", clock)
    log.append("start", {"versions": {"sereno": "0"}})
    granted = {"id": "1", "camera": "door", "decision": "granted", "reason": "match", "person": MARIA}
    log.append("decision", {**granted, "similarity": 0.71, "liveness": 0.9, "frames": 3})
    log.append("lock", {"state": "unlocked", "decision": 3})
    clock.advance(3600)
    log.append("decision", {"id": "2", "camera": "door", "decision": "denied", "reason": "=unknown", "person": ""})
    log.close()
    return tmp_path / "audit"


def run(folder: Path, *arguments: str | Path) -> Result:
    """Call the command on a log, in a state folder of its own."""
    env = {"XDG_STATE_HOME": str(folder.parent / "state")}
    command = [str(argument) for argument in (arguments[0], "--log", folder, *arguments[1:])]
    return CliRunner().invoke(audit, command, env=env)


def refusal(result: Result) -> str:
    """The sentence for a person."""
    assert isinstance(result.exception, SerenoError), result.output
    assert result.exception.exit_code == 1
    return str(result.exception)


def spoil(folder: Path, *statements: str) -> None:
    """Change the file as root can."""
    connection = sqlite3.connect(folder / "audit.db", isolation_level=None)
    for statement in ("DROP TRIGGER record_is_final", "DROP TRIGGER record_stays", *statements):
        connection.execute(statement)
    connection.close()


def test_ok__show_a_table(folder: Path) -> None:
    lines = run(folder, "show").output.splitlines()
    assert len(lines) == 6
    assert lines[0].split() == ["seq", "time", "kind", "decision", "who", "reason", "sim.", "live", "detail"]
    assert lines[3].split()[0] == "3"
    assert [word in lines[3] for word in ("decision", "granted", MARIA, "match", "0.71", "0.90")] == [True] * 6


@pytest.mark.parametrize(
    ("options", "numbers"),
    [
        (["--kind", "decision"], [3, 5]),
        (["--decision", "granted"], [3]),
        (["--decision", "denied"], [5]),
        (["--reason", "match"], [3]),
        (["--person", MARIA], [3]),
        (["--limit", "2"], [4, 5]),
        (["--limit", "1", "--kind", "decision"], [5]),
        (["--since", "2025-11-22T09:00"], [5]),
        (["--until", "2025-11-22T09:00"], [1, 2, 3, 4]),
        (["--since", "1h"], []),
    ],
)
def test_ok__show_filters(
    folder: Path, monkeypatch: pytest.MonkeyPatch, options: list[str], numbers: list[int]
) -> None:
    import time

    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    lines = run(folder, "show", "--json", *options).output.splitlines()
    assert [json.loads(line)["seq"] for line in lines] == numbers
    monkeypatch.undo()
    time.tzset()


def test_fail__show_since_nonsense(folder: Path) -> None:
    result = run(folder, "show", "--since", "yesterday")
    assert result.exit_code == 2
    assert "no moment" in result.output


def test_ok__show_csv_is_safe_in_a_spreadsheet(folder: Path) -> None:
    rows = list(csv.DictReader(io.StringIO(run(folder, "show", "--csv").output)))
    assert [row["decision"] for row in rows] == ["", "", "granted", "", "denied"]
    assert rows[4]["reason"] == "'=unknown"


def test_ok__the_line_of_the_textbook(folder: Path) -> None:
    granted, denied = run(folder, "show", "--line").output.splitlines()
    assert granted.startswith(f"{MARIA}, Acceso permitido, 2025-11-22 ")
    assert denied.startswith("Desconocido, Acceso denegado, 2025-11-22 ")
    assert run(folder, "show", "--line", "--language", "en").output.startswith(f"{MARIA}, Access granted, ")


def test_ok__names_are_joined_from_the_gallery(folder: Path, tmp_path: Path) -> None:
    """A real gallery; and whoever is forgotten there is a random id in the log, which stays whole."""
    path, key = tmp_path / "gallery.db", tmp_path / "gallery.key"
    embedding = np.eye(1, 128, dtype=np.float32)[0]
    gallery = Gallery.open(path, find_key(path, key, create=True), "a" * 64, create=True)
    gallery.add(Person(MARIA, "María", 1.0, consents=(Consent("agreed", 1.0, "--yes", crops=False),)), [embedding] * 3)
    gallery.close()
    options = ["--gallery", path, "--key", key]
    assert run(folder, "show", "--line", *options).output.startswith("María, Acceso permitido, ")
    assert len(run(folder, "show", "--person", "maría", *options).output.splitlines()) == 2
    Gallery.open(path, find_key(path, key), None).forget(MARIA)
    assert run(folder, "show", "--line", *options).output.startswith(f"{MARIA}, Acceso permitido, ")
    assert run(folder, "verify").exit_code == 0


def test_fail__gallery_that_is_asked_for_must_be_there(folder: Path) -> None:
    assert "there is no gallery" in refusal(run(folder, "show", "--gallery", folder / "none.db"))


def test_fail__there_is_no_log(tmp_path: Path) -> None:
    for command in (["show"], ["verify"], ["export", "--out", str(tmp_path / "out")], ["head"]):
        assert "no" in refusal(run(tmp_path / "audit", *command))
    assert not (tmp_path / "audit").exists(), "looking makes nothing"


def test_ok__verify_says_what_it_did_not_check(folder: Path) -> None:
    result = run(folder, "verify")
    assert result.exit_code == 0
    assert result.output.startswith("5 records, each signed and in its place. Truncation and rollback were not checked")


def test_fail__verify_names_record_and_kind(folder: Path) -> None:
    spoil(folder, "UPDATE record SET body = replace(body, 'denied', 'granted') WHERE seq = 5")
    assert "edited at record 5" in refusal(run(folder, "verify"))


def test_fail__values_of_other_types(folder: Path) -> None:
    spoil(
        folder,
        "CREATE TABLE other AS SELECT * FROM record",
        "DROP TABLE record",
        "ALTER TABLE other RENAME TO record",
        "UPDATE record SET hash = 5, body = x'ff', wall_us = 'noon' WHERE seq = 3",
    )
    assert "edited at record 3" in refusal(run(folder, "verify"))


def test_ok__verify_with_an_anchor(folder: Path, tmp_path: Path) -> None:
    anchor = tmp_path / "anchor.json"
    anchor.write_text(run(folder, "head").output)
    assert "agrees with the anchor of record 5" in run(folder, "verify", "--anchor", anchor).output
    spoil(folder, "DELETE FROM record WHERE seq > 3")
    assert "audit.head remembers record 5" in refusal(run(folder, "verify"))
    AuditMemory(folder).path.unlink()
    assert run(folder, "verify").exit_code == 0
    assert "truncated at record 4" in refusal(run(folder, "verify", "--anchor", anchor))


@pytest.mark.parametrize("text", ["", "{}", "no JSON"])
def test_fail__anchor_that_is_none(folder: Path, tmp_path: Path, text: str) -> None:
    (tmp_path / "anchor.json").write_text(text)
    assert "no anchor" in refusal(run(folder, "verify", "--anchor", tmp_path / "anchor.json"))


def test_ok__anchor_at_the_broker(folder: Path, tmp_path: Path, broker: Mosquitto) -> None:
    """A real Mosquitto keeps the head that the door published, also when the log has been cut off since."""
    config = tmp_path / "door.yaml"
    config.write_text(f"device: {{id: porch, role: camera}}\nmqtt: {{port: {broker.port}}}\n")
    assert "no anchor" in refusal(run(folder, "verify", "--anchor", "mqtt", "--config", config))
    head = run(folder, "head").output.strip()
    command = ["mosquitto_pub", "-p", str(broker.port), "-t", "sereno/porch/door/audit", "-r", "-q", "1", "-m", head]
    subprocess.run(command, check=True)
    assert "agrees" in run(folder, "verify", "--anchor", "mqtt", "--config", config).output
    spoil(folder, "DELETE FROM record WHERE seq = 5")
    assert "truncated" in refusal(run(folder, "verify", "--anchor", "mqtt", "--config", config))


def released(folder: Path, *entries: dict[str, Any]) -> Path:
    """A keeper's journal beside the log."""
    path = folder.parent / "lock" / "journal.jsonl"
    path.parent.mkdir()
    path.write_text("".join(json.dumps({"action": "unlock", **entry}) + "\n" for entry in entries))
    return path


def test_ok__verify_compares_the_keepers_journal(folder: Path) -> None:
    grant = list(read(folder / "audit.db"))[2]
    told = {"authorisation": grant.hash.hex(), "wall": grant.wall + 1, "monotonic": 5000.0, "boot": grant.boot}
    journal = released(folder, {"authorisation": "ab" * 32, "wall": 5.0}, told)
    assert "Releases of the lock: 1, each by a grant on record; 1 from before this log." in run(folder, "verify").output
    assert run(folder, "verify", "--journal", journal).exit_code == 0


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"authorisation": "ab" * 32}, "no grant of the log has"),
        ({"monotonic": 1.0}, "before its grant was recorded"),
        ({"monotonic": 1e9}, "had released it before"),
    ],
)
def test_fail__lock_moved_without_a_grant(folder: Path, change: dict[str, Any], sentence: str) -> None:
    grant = list(read(folder / "audit.db"))[2]
    told = {"authorisation": grant.hash.hex(), "wall": grant.wall + 1, "monotonic": 1e9, "boot": grant.boot}
    released(folder, *([told] if "before" in sentence and "had" in sentence else []), told | change)
    assert sentence in refusal(run(folder, "verify"))


def test_fail__release_without_its_line(folder: Path) -> None:
    """The journal began before it, and goes on after it."""
    wall = list(read(folder / "audit.db"))[2].wall
    released(folder, {"action": "start", "wall": wall - 9}, {"action": "stop", "wall": wall + 99})
    said = refusal(run(folder, "verify"))
    assert "it began before the release by grant 3, of which record 4 tells, and has no line of it" in said


@pytest.mark.parametrize(("lines", "how"), [(None, "is missing"), ([], "begins later"), ([9.0], "begins later")])
def test_ok__journal_without_the_past_is_told(folder: Path, lines: list[float] | None, how: str) -> None:
    """It may have been moved away because it was damaged."""
    wall = list(read(folder / "audit.db"))[2].wall
    if lines is not None:
        released(folder, *({"action": "start", "wall": wall + after} for after in lines))
    result = run(folder, "verify")
    assert result.exit_code == 0
    assert f"{how}, and has no line of 1 releases that the log tells of" in result.output


def test_ok__a_further_grant_may_lack_its_line(folder: Path) -> None:
    """While the lock is released its line is not forced to the disk: a power cut may take it."""
    log = Audit.open(folder, FakeClock(wall=1_763_900_000.0))
    hashes = []
    for _ in range(2):
        grant = log.append("decision", {"decision": "granted"})
        log.append("lock", {"state": "unlocked", "decision": grant.seq})
        hashes.append(grant.hash.hex())
    log.close()
    first = list(read(folder / "audit.db"))[2].hash.hex()
    released(folder, *({"authorisation": one, "wall": 1.0, "monotonic": 1e9} for one in (first, hashes[0])))
    # Without an end of the first release between them all are one.
    assert "Releases of the lock: 2" in run(folder, "verify").output
    log = Audit.open(folder, FakeClock(wall=1_763_900_000.0))
    log.append("lock", {"state": "locked"})
    grant = log.append("decision", {"decision": "granted"})
    log.append("lock", {"state": "unlocked", "decision": grant.seq})
    log.close()
    assert f"the release by grant {grant.seq}" in refusal(run(folder, "verify"))


def test_fail__journal_that_is_asked_for_must_be_there(folder: Path) -> None:
    assert "journal" in refusal(run(folder, "verify", "--journal", folder / "none"))


def test_fail__journal_that_holds_something_else(folder: Path) -> None:
    journal = released(folder)
    journal.write_text("[" * 200_000 + "\n")
    assert "is damaged at line 1" in refusal(run(folder, "verify"))


def verifier(out: Path, *anchor: Path) -> subprocess.CompletedProcess[str]:
    """The exported verifier, as somebody without Sereno runs it."""
    command = [sys.executable, "-I", "verify.py", ".", *map(str, anchor)]
    return subprocess.run(
        command, cwd=out, capture_output=True, text=True, check=False, env={"PATH": os.environ["PATH"]}
    )


def lines_of(out: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (out / "records.jsonl").read_text().splitlines()]


def test_ok__export_verifies_itself(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert run(folder, "export", "--out", out).exit_code == 0
    assert sorted(path.name for path in out.iterdir()) == ["README.txt", "audit.pub", "records.jsonl", "verify.py"]
    good = verifier(out)
    assert (good.returncode, good.stdout) == (
        0,
        "5 records, each signed and in its place; truncation was not checked\n",
    )
    (tmp_path / "anchor.json").write_text(run(folder, "head").output)
    assert verifier(out, tmp_path / "anchor.json").stdout == "5 records, each signed and in its place\n"


@pytest.mark.parametrize(
    ("attack", "told"),
    [
        ("edit", "record 3: it was edited: its hash does not fit"),
        ("edit and hash", "record 3: it was edited or added: this key has not signed it"),
        ("remove", "record 3: number 4 stands there, after another: records were removed"),
        ("reorder", "record 3: number 4 stands there, after another: records were removed, added, moved"),
        ("truncate", "record 5: another one was anchored: the log was truncated or rolled back"),
        ("garbage", "record 5: it is no record: "),
        ("lack", "record 3: it is no record: KeyError('boot')"),
        ("no object", "record 3: it is no record: TypeError"),
    ],
)
def test_fail__export_that_was_tampered_with(folder: Path, tmp_path: Path, attack: str, told: str) -> None:
    out = tmp_path / "out"
    run(folder, "export", "--out", out)
    (tmp_path / "anchor.json").write_text(run(folder, "head").output)
    records = lines_of(out)
    if attack.startswith("edit"):
        records[2]["body"] = records[2]["body"].replace("granted", "denied")
        if attack == "edit and hash":
            values = [records[2][name] for name in ("seq", "wall_us", "monotonic_us", "boot", "kind", "body")]
            records[2]["hash"] = digest(*values, bytes.fromhex(records[2]["prev"])).hex()
    elif attack == "remove":
        del records[2]
    elif attack == "reorder":
        records[2], records[3] = records[3], records[2]
    elif attack == "truncate":
        del records[4]
    elif attack == "lack":
        del records[2]["boot"]
    elif attack == "no object":
        records[2] = []  # type: ignore[call-overload]
    text = "".join(json.dumps(record) + "\n" for record in records)
    (out / "records.jsonl").write_text(text if attack != "garbage" else text[:-200])
    found = verifier(out, tmp_path / "anchor.json")
    assert found.returncode == 1, found.stderr
    assert found.stdout.startswith(told)
    assert found.stdout.count("\n") == 1


def test_fail__export_into_a_full_folder(folder: Path, tmp_path: Path) -> None:
    assert "not empty" in refusal(run(folder, "export", "--out", tmp_path))


def test_ok__verifier_is_small(root: Path) -> None:
    """Somebody is to read it before believing it."""
    source = (root / "device" / "access" / "auditverifier.py").read_text()
    assert len(source.splitlines()) <= 50
    assert "from device" not in source
