"""`sereno people`, as a person runs it: when they may enter, export, import, another model."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from pathlib import Path

from tests.commands.enrolling import ALI, ANA, enrol, listed, people, photos
from tests.daemon import sereno


def test_ok__when_a_person_may_enter(enrolled: Path, tmp_path: Path) -> None:
    db = enrolled
    week = tmp_path / "week.yaml"
    week.write_text('timezone: Europe/Madrid\nwindows: [{days: [mon, tue], from: "08:00", to: "18:00"}]\n')
    deep = tmp_path / "deep.json"
    deep.write_text("[" * 200_000)
    changes = ["--groups", "staff,unknown", "--valid-from", "2026-01-02T08:00", "--valid-until", "2026-12-31"]
    done = people("set", "Ana", *changes, "--schedule", week, "--gallery", db)
    assert done.returncode == 0, done.stderr
    ana = listed(db)["Ana"]
    assert ana["groups"] == ["staff", "unknown"]
    assert ana["schedule"]["timezone"] == "Europe/Madrid"
    shown = people("show", "Ana", "--gallery", db, "--json")
    assert json.loads(shown.stdout)["consents"][0]["stated"] == "--yes"
    assert "until 2027-01-01 00:00" in done.stdout, "the last day counts whole"
    for wrong, reason in (
        (["--valid-until", "soon"], "no date"),
        (["--valid-until", "2020-01-01"], "would never be valid"),
        (["--schedule", tmp_path / "gone"], "always"),
        (["--schedule", deep], "without end"),
        (["--valid-until", "9999-12-31"], "too far away"),
        (["--valid-until", "9999-12-31T12:00"], "between 1970 and 9998"),
        (["--valid-from", "1492-10-12"], "between 1970 and 9998"),
        (["--name", "Desconocido"], "what strangers are called"),
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
