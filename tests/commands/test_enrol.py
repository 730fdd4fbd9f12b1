"""`sereno enrol` and `sereno people`, as a person runs them."""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import shutil
import sqlite3
import subprocess
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from click.testing import CliRunner

from device.__main__ import sereno as program
from device.access.audit import Audit, read
from device.access.gallery import Gallery
from device.access.gallerykey import find_key
from device.commands.people import row
from device.errors import SerenoError
from device.publish.database import Database
from tests import facemodels
from tests.daemon import PROGRAM, sereno, write_config
from tests.mosquitto import eventually

ANA, EVA, ALI = "Condoleezza_Rice", "Angelina_Jolie", "Carlos_Moya"


@pytest.fixture(scope="module")
def lfw(shared_data: Path) -> Path:
    folder = shared_data / "lfw" / "train"
    if not folder.is_dir():
        pytest.skip(f"no photos of people at {folder}")
    return folder


@pytest.fixture
def db(tmp_path: Path, face_models: Path) -> Path:
    """Where a gallery may be made; the models are where commands look for them."""
    assert face_models.is_dir()
    return tmp_path / "state" / "gallery.db"


@pytest.fixture(scope="module")
def enrolled_once(
    lfw: Path, embedder: Path, detectors: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, Path]:
    """A gallery of Ana, whose pictures were kept, and Eva; and its key."""
    folder = tmp_path_factory.mktemp("enrolled")
    assert embedder.is_dir()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SERENO_MODELS", str(detectors))
        path = folder / "gallery.db"
        done = sereno("enrol", "Ana", *photos(lfw, ANA, 3), "--gallery", path, "--yes", "--keep-crops")
        assert done.returncode == 0, done.stderr
        assert sereno("enrol", "Eva", *photos(lfw, EVA, 3), "--gallery", path, "--yes").returncode == 0
    return path, path.with_name("gallery.db.key")


@pytest.fixture
def enrolled(db: Path, enrolled_once: tuple[Path, Path]) -> Path:
    """A copy of it."""
    db.parent.mkdir()
    for path in enrolled_once:
        shutil.copy2(path, db.parent)
    return db


def photos(lfw: Path, name: str, count: int) -> list[Path]:
    return sorted((lfw / name).glob("*.jpg"))[:count]


def enrol(db: Path, name: str, *paths: object) -> subprocess.CompletedProcess[str]:
    return sereno("enrol", name, *paths, "--gallery", db, "--yes")


def people(*arguments: object, stdin: str = "") -> subprocess.CompletedProcess[str]:
    """`sereno people`, in this process: starting one takes longer than what it does."""
    done = CliRunner().invoke(program, ["people", *map(str, arguments)], input=stdin, standalone_mode=False)
    if isinstance(done.exception, SerenoError):
        return subprocess.CompletedProcess([], done.exception.exit_code, done.stdout, f"sereno: {done.exception}\n")
    if done.exception is not None:
        raise done.exception
    return subprocess.CompletedProcess([], done.exit_code, done.stdout, done.stderr)


def listed(db: Path) -> dict[str, dict[str, Any]]:
    """What `people list --json` prints, by name."""
    gallery = Gallery.open(db, find_key(db), None)
    try:
        return {person.name: row(person) for person in gallery.people()}
    finally:
        gallery.close()


def test_ok__three_photos_make_a_person(db: Path, lfw: Path) -> None:
    done = enrol(db, "Ana María", *photos(lfw, ANA, 3))
    assert done.returncode == 0, done.stderr
    assert "Ana María: 3 photos accepted, 0 refused; 3 in all" in done.stdout
    assert "must know this and agree" in done.stderr
    assert db.stat().st_mode & 0o777 == 0o600
    assert db.with_name("gallery.db.key").stat().st_mode & 0o777 == 0o400
    done = sereno("people", "list", "--gallery", db, "--json")
    [ana] = map(json.loads, done.stdout.splitlines())
    assert set(ana) == {"id", "name", "photos", "groups", "valid_from", "valid_until", "schedule", "created"}
    assert ana["photos"] == 3
    assert ana["schedule"] == "always"
    more = enrol(db, "ana maría", *photos(lfw, ANA, 5)[3:])
    assert more.returncode == 0, more.stderr
    assert listed(db)["Ana María"]["photos"] == 5


def test_fail__what_is_refused_is_listed_with_its_reason(db: Path, lfw: Path, tmp_path: Path) -> None:
    first = cv2.imread(str(photos(lfw, ANA, 1)[0]))
    odd = tmp_path / "odd"
    odd.mkdir()
    (odd / "half.jpg").write_bytes(photos(lfw, ANA, 1)[0].read_bytes()[:3000])
    (odd / "text.jpg").write_text("no picture")
    pictures = {
        "wall": np.full((200, 200, 3), 120, np.uint8),
        "tiny": cv2.resize(first, None, fx=0.2, fy=0.2, interpolation=cv2.INTER_AREA),
        "two": np.hstack([first, first]),
        "forty": np.tile(cv2.resize(first, (125, 125)), (5, 8, 1)),
        "burnt": np.clip(first.astype(int) * 3 + 120, 0, 255).astype(np.uint8),
        "dark": (first * 0.12).astype(np.uint8),
        "blurred": cv2.GaussianBlur(first, (0, 0), 6),
        "rotated": cv2.rotate(first, cv2.ROTATE_90_CLOCKWISE),
        "cut": first[:, 125:],
        "grey": cv2.cvtColor(cv2.cvtColor(first, cv2.COLOR_BGR2GRAY), cv2.COLOR_GRAY2BGR),
    }
    for name, picture in pictures.items():
        cv2.imwrite(str(odd / f"{name}.png"), picture)
    stranger = photos(lfw, EVA, 1)[0]
    shutil.copy(photos(lfw, ANA, 2)[1], odd / "again.jpg")
    done = enrol(db, "Ana", *photos(lfw, ANA, 4), stranger, odd)
    assert done.returncode == 0, done.stderr
    assert "Ana: 5 photos accepted" in done.stdout, "the four, and the grey one"
    refused = [line for line in done.stderr.splitlines() if line.startswith("refused: ")]
    told = {Path(line.split(": ")[1]).stem: line.split(": ", 2)[2] for line in refused}
    assert set(told) == (set(pictures) | {"half", "text", "again", stranger.stem}) - {"grey"}
    assert told[stranger.stem].startswith("looks like another person than the others (similarity")
    assert told["again"].startswith("the same picture as ")
    assert told["wall"] == "no face was found"
    assert told["two"] == told["forty"] == "more than one face: one must be clearly the largest"
    assert "too small" in told["tiny"] or "no face" in told["tiny"]
    assert "too bright" in told["burnt"]
    assert "blurred" in told["blurred"] or "flat" in told["blurred"]


def test_fail__two_photos_are_not_enough(db: Path, lfw: Path) -> None:
    done = enrol(db, "Ana", *photos(lfw, ANA, 2))
    assert done.returncode == 1
    assert "Ana: not enrolled: 2 photos are good, 3 or more are needed" in done.stderr
    assert listed(db) == {}
    assert "The gallery is empty" in sereno("people", "list", "--gallery", db).stdout


def test_fail__photos_of_several_people(db: Path, lfw: Path) -> None:
    done = enrol(db, "Ana", *photos(lfw, ANA, 3), *photos(lfw, EVA, 3))
    assert done.returncode == 1
    assert "the photos show different people: only 3 of 6 agree" in done.stderr
    assert listed(db) == {}


def test_fail__somebody_who_is_enrolled_already(enrolled: Path, lfw: Path) -> None:
    db = enrolled
    again = enrol(db, "Ada", *photos(lfw, ANA, 9)[4:])
    assert again.returncode == 1
    assert "looks like Ana, who is enrolled" in again.stderr
    other = enrol(db, "Ana", *photos(lfw, EVA, 4))
    assert other.returncode == 1
    assert other.stderr.count("looks like another person") == 4
    twins = sereno("enrol", "Ada", *photos(lfw, ANA, 9)[4:], "--gallery", db, "--yes", "--despite-alike")
    assert twins.returncode == 0, twins.stderr
    assert {name: row["photos"] for name, row in listed(db).items()} == {"Ada": 5, "Ana": 3, "Eva": 3}


def test_ok__a_folder_for_each_person(db: Path, lfw: Path, tmp_path: Path) -> None:
    known = tmp_path / "known"
    for name in (ANA, EVA, ALI):
        shutil.copytree(lfw / name, known / name)
    (known / "Nobody").mkdir()
    done = sereno("enrol", "--people", known, "--gallery", db, "--yes")
    assert done.returncode == 1
    assert "Nobody: not enrolled: " in done.stderr
    assert set(listed(db)) == {ANA, EVA, ALI}
    (known / "Nobody").rmdir()
    assert sereno("enrol", "--people", known, "--gallery", tmp_path / "new.db", "--yes").returncode == 0


def test_ok__a_video_and_a_source(db: Path, tmp_path: Path) -> None:
    clip = facemodels.clip()
    done = enrol(db, "Carl", clip)
    assert done.returncode == 0, done.stderr
    assert "Carl: " in done.stdout
    assert 5 <= listed(db)["Carl"]["photos"] <= 20
    second = tmp_path / "second.db"
    live = sereno("enrol", "Carl", "--source", clip, "--gallery", second, "--yes")
    assert live.returncode == 0, live.stderr
    assert "Carl" in listed(second)


def test_ok__many_people_ask_for_more_than_was_measured(db: Path, lfw: Path, tmp_path: Path) -> None:
    config = write_config(tmp_path, "demo", door={"target_fmr": 1e-6, "lock": {"driver": "mock"}})
    done = sereno("enrol", "Ana", *photos(lfw, ANA, 3), "--gallery", db, "--config", config, "--yes")
    assert done.returncode == 0, done.stderr
    assert "one false match in 1,000,000 comparisons; sereno-arcface was measured to one in 100,000" in done.stderr
    assert "measured" not in enrol(tmp_path / "other.db", "Ana", *photos(lfw, ANA, 3)).stderr


@pytest.mark.parametrize("after_people", [0, 1, 2])
def test_ok__killed_while_enrolling(db: Path, lfw: Path, tmp_path: Path, after_people: int) -> None:
    """Who was told is there, nobody is there by half, and the same command goes on."""
    known = tmp_path / "known"
    for name in (ANA, EVA, ALI):
        (known / name).mkdir(parents=True)
        for path in photos(lfw, name, 4):
            shutil.copy(path, known / name)
    command = [PROGRAM, "enrol", "--people", known, "--gallery", db, "--yes", "--keep-crops"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    assert process.stdout is not None
    told = [process.stdout.readline().split(":")[0] for _ in range(after_people)]
    if not told:
        # In the middle of making the gallery.
        eventually(db.with_name("gallery.db.key").exists)
    process.kill()
    process.wait()
    if db.exists():
        there = listed(db)
        assert set(told) <= set(there)
        assert {row["photos"] for row in there.values()} <= {4}
    again = subprocess.run(command, capture_output=True, text=True, check=False)
    assert again.returncode == 0, again.stderr
    assert {name: row["photos"] for name, row in listed(db).items()} == {ANA: 4, EVA: 4, ALI: 4}


@pytest.mark.parametrize(
    ("arguments", "code", "reason"),
    [
        (["Ana"], 2, "whom, and from what"),
        (["Ana", "gone.jpg"], 1, "gone.jpg"),
        (["A\nna", "x.jpg"], 2, "cannot be a person's name"),
        (["--people", "nowhere"], 1, "nowhere cannot be read"),
        (["Ana", "--people", "."], 2, "goes without NAME"),
    ],
)
def test_fail__what_cannot_be_enrolled(db: Path, arguments: list[str], code: int, reason: str) -> None:
    done = sereno("enrol", *arguments, "--gallery", db, "--yes")
    assert done.returncode == code
    assert reason in done.stderr
    assert "Traceback" not in done.stderr


def test_fail__without_consent(db: Path, lfw: Path) -> None:
    done = sereno("enrol", "Ana", *photos(lfw, ANA, 3), "--gallery", db)
    assert done.returncode == 2
    assert "--yes states consent" in done.stderr
    assert not db.exists()


# People


def test_ok__when_a_person_may_enter(enrolled: Path, tmp_path: Path) -> None:
    db = enrolled
    week = tmp_path / "week.yaml"
    week.write_text('timezone: Europe/Madrid\nwindows: [{days: [mon, tue], from: "08:00", to: "18:00"}]\n')
    changes = ["--groups", "staff,night", "--valid-from", "2026-01-02T08:00", "--valid-until", "2026-12-31"]
    done = people("set", "Ana", *changes, "--schedule", week, "--gallery", db)
    assert done.returncode == 0, done.stderr
    ana = listed(db)["Ana"]
    assert ana["groups"] == ["staff", "night"]
    assert ana["schedule"]["timezone"] == "Europe/Madrid"
    shown = people("show", "Ana", "--gallery", db, "--json")
    assert json.loads(shown.stdout)["consents"][0]["stated"] == "--yes"
    assert "until 2027-01-01 00:00" in done.stdout, "the last day counts whole"
    for wrong, reason in (
        (["--valid-until", "soon"], "no date"),
        (["--valid-until", "2020-01-01"], "would never be valid"),
        (["--schedule", tmp_path / "gone"], "always"),
        ([], "nothing to set"),
    ):
        refused = people("set", "Ana", *wrong, "--gallery", db)
        assert refused.returncode == 2
        assert reason in refused.stderr
    assert people("set", "Ana", "--valid-until", "none", "--schedule", "never", "--gallery", db).returncode == 0
    assert listed(db)["Ana"]["valid_until"] is None
    assert listed(db)["Ana"]["schedule"] == "never"


def test_ok__export_and_import(enrolled: Path, tmp_path: Path) -> None:
    db = enrolled
    archive, copy = tmp_path / "people.sereno", tmp_path / "copy.db"
    phrase = "correct horse battery staple\n"
    short = people("export", archive, "--gallery", db, "--passphrase-stdin", stdin="short\n")
    assert short.returncode == 2
    done = people("export", archive, "--gallery", db, "--passphrase-stdin", stdin=phrase)
    assert done.returncode == 0, done.stderr
    assert archive.stat().st_mode & 0o777 == 0o600
    assert b"Ana" not in archive.read_bytes()
    wrong = people("import", archive, "--gallery", copy, "--passphrase-stdin", stdin="correct horse\n")
    assert wrong.returncode == 1
    assert "does not open" in wrong.stderr
    assert not copy.exists()
    done = people("import", archive, "--gallery", copy, "--passphrase-stdin", stdin=phrase)
    assert done.returncode == 0, done.stderr
    assert listed(copy) == listed(db)
    assert people("forget", "Eva", "--gallery", copy).returncode == 0
    twice = people("import", archive, "--gallery", copy, "--passphrase-stdin", stdin=phrase)
    assert twice.returncode == 1
    assert "'Ana' is in the gallery" in twice.stderr
    assert set(listed(copy)) == {"Ana"}, "all or nobody"
    damaged = bytearray(archive.read_bytes())
    damaged[-40] ^= 1
    archive.write_bytes(damaged)
    broken = people("import", archive, "--gallery", tmp_path / "x.db", "--passphrase-stdin", stdin=phrase)
    assert broken.returncode == 1
    assert "damaged" in broken.stderr


def test_ok__another_model_takes_the_pictures_that_were_kept(
    enrolled: Path, lfw: Path, embedder: Path, tmp_path: Path
) -> None:
    """The same network under another hash: its templates must come out the same."""
    db = enrolled
    other = tmp_path / "other"
    shutil.copytree(embedder, other)
    manifest = json.loads((other / "manifest.json").read_text())
    model = other / manifest["files"][0]["path"]
    model.write_bytes(model.read_bytes() + b"\0")
    manifest["files"][0] |= {
        "sha256": hashlib.sha256(model.read_bytes()).hexdigest(),
        "bytes": model.stat().st_size,
    }
    (other / "manifest.json").write_text(json.dumps(manifest))
    refused = sereno("enrol", "Ali", *photos(lfw, ALI, 3), "--gallery", db, "--yes", "--model", other)
    assert refused.returncode == 1
    assert "another face model" in refused.stderr
    assert "people reembed" in refused.stderr
    keep = people("reembed", "--gallery", db, "--model", other)
    assert keep.returncode == 1
    assert "of 1 people no pictures were kept (Eva)" in keep.stderr
    assert set(listed(db)) == {"Ana", "Eva"}
    assert people("reembed", "--gallery", db, "--model", other, "--drop").returncode == 0
    assert set(listed(db)) == {"Ana"}
    again = sereno("enrol", "Ana", *photos(lfw, ANA, 5)[3:], "--gallery", db, "--yes", "--model", other)
    assert again.returncode == 0, again.stderr


def state_bytes(folder: Path) -> bytes:
    """Of all files, read by another process: closing a file that SQLite has open here would drop its locks."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    return subprocess.run(["cat", *files], capture_output=True, check=True).stdout


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


def acts(state: Path) -> list[dict[str, Any]]:
    """What administrators did, by the access log."""
    return [record.content for record in read(state / "audit" / "audit.db") if record.kind == "admin"]


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
    (db.parent / "audit").mkdir()
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
    (db.parent / "audit").mkdir()
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
    """On record wherever the path leads through; a gallery of nobody's door is on no record."""
    state, person = enrolled.parent, listed(enrolled)["Ana"]["id"]
    assert people("set", "Ana", "--groups", "none", "--gallery", enrolled).returncode == 0
    assert not (state / "audit").exists()
    Audit.open(state / "audit").close()
    link = tmp_path / "link.db"
    link.symlink_to(enrolled)
    for path in (enrolled, state / ".." / "state" / "gallery.db"):
        assert people("set", "Ana", "--groups", "staff", "--gallery", path).returncode == 0
    key = state / "gallery.db.key"
    assert people("set", "Ana", "--groups", "staff", "--gallery", link, "--key", key).returncode == 0
    assert [(act["act"], act["person"]) for act in acts(state)] == [("people.set", person)] * 3


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


def test_fail__a_gallery_in_bad_hands_is_one_sentence(enrolled: Path, lfw: Path) -> None:
    db = enrolled
    key = db.with_name("gallery.db.key")
    whole, secret = db.read_bytes(), key.read_text()

    def refused(*arguments: object) -> str:
        done = people("list", "--gallery", db, *arguments)
        assert done.returncode == 1
        assert done.stdout == ""
        [line] = done.stderr.splitlines()
        return line

    key.chmod(0o440)
    assert "chmod 0400" in refused()
    key.chmod(0o600)
    key.write_text("0" * 64)
    key.chmod(0o400)
    assert "key does not open the gallery" in refused()
    key.unlink()
    assert "is missing" in refused()
    assert enrol(db, "Ali", *photos(lfw, ALI, 3)).returncode == 1
    assert not key.exists(), "no new key for an old gallery"
    other = db.with_name("my.key")
    other.write_text(secret)
    other.chmod(0o400)
    assert people("list", "--gallery", db, "--key", other).returncode == 0
    for content, reason in ((b"", "empty file"), (whole[:6000], "damaged"), (os.urandom(8192), "damaged")):
        db.write_bytes(content)
        assert reason in refused("--key", other)
        assert db.read_bytes() == content, "nothing is begun over it"
