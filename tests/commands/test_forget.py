"""`sereno people forget` leaves no byte, and acts upon people are on record."""

from __future__ import annotations

import json
import os
import secrets
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from device.access.audit import Audit, read
from device.publish.database import Database
from tests.commands.enrolling import ANA, EVA, acts, listed, people, photos, state_bytes
from tests.daemon import sereno, write_config


def event_payload(name: str) -> str:
    return json.dumps({"id": "1700000000.5-abc", "camera": "front", "label": "person", "sub_label": name})


def test_ok__forgotten_everywhere_in_the_state_folder(lfw: Path, face_models: Path, tmp_path: Path) -> None:
    assert face_models.is_dir()
    name = "Xq7vLw2ZpRt9KmBd"
    config = write_config(tmp_path, "demo")
    state = tmp_path / "state"
    audit = Audit.open(state / "audit")
    done = sereno("enrol", name, *photos(lfw, ANA, 4), "--config", config, "--yes", "--keep-crops")
    assert done.returncode == 0, done.stderr
    enrolled = sereno("enrol", "Eva", *photos(lfw, EVA, 3), "--config", config, "--yes", "--keep-crops")
    assert enrolled.returncode == 0, enrolled.stderr
    person = json.loads(sereno("people", "show", name, "--config", config, "--json").stdout)
    with sqlite3.connect(state / "gallery.db") as connection:
        rows = connection.execute("SELECT record, template FROM person WHERE id = ?", (person["id"],)).fetchall()
        rows += connection.execute("SELECT content, content FROM crop WHERE person = ?", (person["id"],)).fetchall()
    pieces = {blob[at : at + 20] for row in rows for blob in row for at in range(0, len(blob) - 20, 20)}
    # A daemon that is at work: what it has not sent yet, and its pictures.
    daemon = Database(state / "events.db")
    with daemon.transaction() as connection:
        told = {"seq": 1, "id": "d1", "person": person["id"], "name": name, "reason": f"recognised {name} twice"}
        other = json.dumps({"seq": 2, "id": "d2", "name": "Eva"}).encode()
        connection.executemany(
            "INSERT INTO outbox (seq, topic, payload, qos, retain, droppable) VALUES (?, 'x/door/access', ?, 1, 0, 0)",
            [(1, json.dumps(told).encode()), (2, other)],
        )
        connection.execute(
            "INSERT INTO event VALUES ('1700000000.5-abc', 'front', 'person', 1.0, 2.0, 'end', ?)",
            (event_payload(name),),
        )
    pictures = state / "snapshots"
    pictures.mkdir()
    (pictures / "front-1700000000.5-abc.jpg").write_bytes(b"their picture")
    (pictures / "front-1700000000.6-abd.jpg").write_bytes(b"another's")
    before = state_bytes(state)
    assert name.encode() in before
    assert sum(piece in before for piece in pieces) > 0.95 * len(pieces) > 1000
    gone = sereno("people", "forget", name, "--config", config)
    assert gone.returncode == 0, gone.stderr
    after = state_bytes(state)
    assert name.encode() not in after
    assert not any(piece in after for piece in pieces)
    assert b"their picture" not in after
    assert b"another's" in after
    rows = daemon.connection.execute("SELECT seq, payload FROM outbox ORDER BY seq").fetchall()
    assert [seq for seq, _ in rows] == [1, 2]
    cleared = json.loads(rows[0][1])
    assert cleared["person"] == person["id"]
    assert cleared["name"] == ""
    assert rows[1][1] == other
    acts = [record.content for record in read(state / "audit" / "audit.db") if record.kind == "admin"]
    assert [(act["act"], act["person"] == person["id"]) for act in acts] == [
        ("enrol", True),
        ("enrol", False),
        ("people.forget", True),
    ]
    audit.close()
    assert set(listed(state / "gallery.db")) == {"Eva"}
    again = sereno("people", "forget", name, "--config", config)
    assert again.returncode == 1
    assert "nobody called" in again.stderr
    with daemon.transaction() as connection:
        connection.execute("UPDATE outbox SET payload = ? WHERE seq = 1", (json.dumps(told).encode(),))
    assert sereno("people", "forget", name, "--config", config).returncode == 0, "what was told late goes as well"
    assert name.encode() not in state_bytes(state)
    daemon.close()


def waiting(state: Path, messages: dict[int, dict[str, Any]]) -> Database:
    """A daemon whose broker is away, with messages by their numbers."""
    daemon = Database(state / "events.db")
    with daemon.transaction() as connection:
        connection.executemany(
            "INSERT INTO outbox (seq, topic, payload, qos, retain, droppable) VALUES (?, 'x/door/access', ?, 1, 0, 0)",
            [(seq, json.dumps(message).encode()) for seq, message in messages.items()],
        )
    return daemon


def test_ok__names_of_before_are_forgotten_too(enrolled: Path) -> None:
    """Renamed twice while the broker is away: each message has the name of its moment."""
    db, names = enrolled, [secrets.token_hex(8) for _ in range(3)]
    person, other = listed(db)["Ana"]["id"], listed(db)["Eva"]["id"]
    messages = {}
    for seq, name in enumerate(names, start=1):
        assert people("set", person, "--name", name, "--gallery", db).returncode == 0
        messages[seq] = {"seq": seq, "person": person, "name": name, "reason": f"{name} was recognised"}
    messages[4] = {"seq": 4, "person": other, "name": "Eva", "reason": "recognised"}
    daemon = waiting(db.parent, messages)
    before = state_bytes(db.parent)
    assert all(name.encode() in before for name in names)
    done = people("forget", names[2], "--gallery", db)
    assert done.returncode == 0, done.stderr
    after = state_bytes(db.parent)
    assert not any(name.encode() in after for name in names)
    kept = [json.loads(row[0]) for row in daemon.connection.execute("SELECT payload FROM outbox ORDER BY seq")]
    assert [message["name"] for message in kept] == ["", "", "", "Eva"]
    assert [message["person"] for message in kept] == [person, person, person, other]
    daemon.close()


@pytest.mark.parametrize("begun_anew", [True, False])
def test_ok__a_damaged_database_that_was_set_aside_is_forgotten(enrolled: Path, begun_anew: bool) -> None:
    db, name = enrolled, secrets.token_hex(8)
    events = db.with_name("events.db")
    person = listed(db)["Ana"]["id"]
    assert people("set", "Ana", "--name", name, "--gallery", db).returncode == 0
    daemon = waiting(db.parent, {seq: {"seq": seq, "person": person, "name": name} for seq in range(1, 400)})
    daemon.close()
    whole = bytearray(events.read_bytes())
    whole[:100] = os.urandom(100)
    events.write_bytes(whole)
    Database(events).close()
    [aside] = db.parent.glob("events.db.damaged-*")
    assert name.encode() in aside.read_bytes()
    if not begun_anew:
        events.unlink()
    assert people("forget", name, "--gallery", db).returncode == 0
    assert name.encode() not in state_bytes(db.parent)
    assert not aside.exists()


def test_ok__acts_before_the_first_start_are_on_record(enrolled: Path, tmp_path: Path) -> None:
    """The log is made by the first act, as the daemon makes it, and the daemon goes on with it."""
    config, state = write_config(tmp_path, "demo"), enrolled.parent
    person = listed(enrolled)["Ana"]["id"]
    assert people("set", "Ana", "--groups", "staff", "--config", config).returncode == 0
    assert acts(state) == [{"act": "people.set", "person": person, "changed": ["groups"]}]
    modes = {path.name: path.stat().st_mode & 0o777 for path in (state / "audit").iterdir()}
    assert (state / "audit").stat().st_mode & 0o777 == 0o700
    assert {name: modes[name] for name in ("audit.db", "audit.key", "audit.pub")} == {
        "audit.db": 0o600,
        "audit.key": 0o400,
        "audit.pub": 0o444,
    }
    Audit.open(state / "audit").close()
    assert sereno("audit", "verify", "--config", config).returncode == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
@pytest.mark.parametrize("begun", [False, True])
def test_ok__root_leaves_the_log_to_the_owner_of_the_state_folder(enrolled: Path, tmp_path: Path, begun: bool) -> None:
    config, state, user = write_config(tmp_path, "demo"), enrolled.parent, 65534
    log = Audit.open(state / "audit") if begun else None
    for path in (state, *state.rglob("*")):
        os.chown(path, user, user)
    assert people("set", "Ana", "--groups", "staff", "--config", config).returncode == 0
    made = [state / "audit", *(state / "audit").iterdir()]
    assert {path.name for path in made} >= {"audit", "audit.db", "audit.key", "audit.pub"}
    assert {(path.name, path.stat().st_uid, path.stat().st_gid) for path in made} == {
        (path.name, user, user) for path in made
    }
    if log is not None:
        log.close()


def test_ok__a_doors_gallery_that_is_named_by_its_path(enrolled: Path, tmp_path: Path) -> None:
    """On record wherever the path leads through, also before the door's first start."""
    state, person = enrolled.parent, listed(enrolled)["Ana"]["id"]
    assert not (state / "audit").exists()
    link = tmp_path / "link.db"
    link.symlink_to(enrolled)
    for path in (enrolled, state / ".." / "state" / "gallery.db"):
        assert people("set", "Ana", "--groups", "staff", "--gallery", path).returncode == 0
    key = state / "gallery.db.key"
    assert people("set", "Ana", "--groups", "staff", "--gallery", link, "--key", key).returncode == 0
    assert [(act["act"], act["person"]) for act in acts(state)] == [("people.set", person)] * 3


def test_ok__a_doors_gallery_that_lies_elsewhere(enrolled: Path, tmp_path: Path) -> None:
    """The state folder has but a link to it: what changes it is in that door's log."""
    config, state, moved = write_config(tmp_path, "demo"), enrolled.parent, tmp_path / "disk"
    moved.mkdir()
    enrolled.rename(moved / "people.db").chmod(0o600)
    enrolled.symlink_to(moved / "people.db")
    assert people("set", "Ana", "--groups", "staff", "--config", config).returncode == 0
    assert people("set", "Ana", "--groups", "staff", "--gallery", enrolled).returncode == 0
    assert [act["act"] for act in acts(state)] == ["people.set"] * 2
    assert not (moved / "audit").exists()


def test_ok__a_gallery_of_nobodys_door_is_on_no_record(enrolled: Path) -> None:
    other = enrolled.rename(enrolled.with_name("other.db"))
    enrolled.with_name("gallery.db.key").rename(other.with_name("other.db.key"))
    assert people("set", "Ana", "--groups", "none", "--gallery", other).returncode == 0
    assert not (other.parent / "audit").exists()
    Audit.open(other.parent / "audit").close()
    assert people("set", "Ana", "--groups", "staff", "--gallery", other).returncode == 0
    assert [act["act"] for act in acts(other.parent)] == ["people.set"]


def test_fail__forgetting_is_on_record_before_it_is_done(enrolled: Path, tmp_path: Path) -> None:
    """Where the log cannot be written nobody is forgotten; where nobody was forgotten the log says so, nameless."""
    config, state, name = write_config(tmp_path, "demo"), enrolled.parent, secrets.token_hex(8)
    (state / "audit").write_text("in the way")
    refused = people("forget", "Ana", "--config", config)
    assert refused.returncode == 1
    assert "access log" in refused.stderr
    assert "Ana" in listed(enrolled)
    (state / "audit").unlink()
    assert people("forget", name, "--config", config).returncode == 1
    person = listed(enrolled)["Ana"]["id"]
    assert people("forget", "Ana", "--config", config).returncode == 0
    assert acts(state) == [
        {"act": "people.forget", "person": ""},
        {"act": "people.forget", "person": "", "failed": True},
        {"act": "people.forget", "person": person},
    ]
    assert name.encode() not in state_bytes(state)
