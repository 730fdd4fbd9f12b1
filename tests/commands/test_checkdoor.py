"""What `sereno check` says of a door's log and gallery: what a start would find, and what then to do."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from device.access.audit import Audit
from device.access.gallery import Gallery
from device.access.gallerykey import find_key
from device.access.recognizer import Recognizer
from device.commands.check import Finding
from device.commands.checkdoor import access_log, people
from device.config import Config
from device.inference.interpreter import open_interpreter
from device.inference.manifest import load_bundle
from device.system.clock import FakeClock


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """A state folder with a log of two records."""
    log = Audit.open(tmp_path / "audit", FakeClock())
    log.append("start", {})
    log.close()
    return tmp_path


def test_ok__a_log(state: Path) -> None:
    assert access_log(state) == Finding("access log", True, "2 records, each signed and in its place")


def test_ok__a_door_that_never_started(tmp_path: Path) -> None:
    found = access_log(tmp_path)
    assert (found.ok, found.text) == (None, f"{tmp_path / 'audit'} holds none yet: the first start makes it")
    assert not (tmp_path / "audit").exists()


def gone(state: Path) -> None:
    shutil.rmtree(state / "audit")


def rolled_back(state: Path) -> None:
    shutil.copytree(state / "audit", state / "copy")
    log = Audit.open(state / "audit", FakeClock())
    log.append("stop", {})
    log.close()
    shutil.rmtree(state / "audit")
    (state / "copy").rename(state / "audit")


def keyless(state: Path) -> None:
    (state / "audit" / "audit.key").unlink()


def other_key(state: Path) -> None:
    keyless(state)
    Audit.open(state / "other", FakeClock()).close()
    (state / "other" / "audit.key").rename(state / "audit" / "audit.key")


def open_to_all(state: Path) -> None:
    (state / "audit" / "audit.key").chmod(0o444)


@pytest.mark.parametrize(
    ("mishap", "told"),
    [
        (gone, "audit.head remembers its record 2: put the log back, or `sereno audit begin` begins a new one"),
        (rolled_back, "the log ends with record 2, but record 3 was anchored"),
        (keyless, "audit.key is missing, so nobody is let in: put it back, or `sereno audit begin` begins a new one"),
        (other_key, "record 1 was edited"),
        (open_to_all, "it must be 0400"),
    ],
)
def test_fail__a_log_that_a_start_would_refuse(state: Path, mishap: Callable[[Path], None], told: str) -> None:
    mishap(state)
    found = access_log(state)
    assert found.ok is False
    assert told in found.text


def test_ok__the_public_key_is_no_loss(state: Path) -> None:
    """The next start writes it again."""
    (state / "audit" / "audit.pub").unlink()
    assert access_log(state).ok


@pytest.fixture
def recognizer(embedder: Path) -> Recognizer:
    bundle = load_bundle(embedder)
    return Recognizer(bundle, open_interpreter(bundle, threads=1))


def told(state: Path, recognizer: Recognizer) -> tuple[bool | None, str]:
    config = Config.model_validate({"device": {"role": "door"}, "door": {"lock": {"driver": "mock"}}})
    first = next(iter(people(config, state, recognizer)))
    return first.ok, first.text


def test_ok__no_gallery_yet(tmp_path: Path, recognizer: Recognizer) -> None:
    ok, text = told(tmp_path, recognizer)
    assert ok is None
    assert "`sereno enrol` makes it; nobody is known" in text


def test_fail__gallery_or_key_gone(tmp_path: Path, recognizer: Recognizer) -> None:
    path = tmp_path / "gallery.db"
    Gallery.open(path, find_key(path, create=True), recognizer.model_sha256, create=True).close()
    ok, text = told(tmp_path, recognizer)
    assert (ok, "nobody is in" in text) == (None, True)
    key = tmp_path / "gallery.db.key"
    key.rename(tmp_path / "away")
    ok, text = told(tmp_path, recognizer)
    assert ok is False
    assert f"the key {key} is missing: put it back from where you keep a copy" in text
    (tmp_path / "away").rename(key)
    path.unlink()
    ok, text = told(tmp_path, recognizer)
    assert ok is False
    assert f"{path} is gone, but its key {key} is there: put it back from a copy" in text
    assert not path.exists()


def test_fail__somebody_changed_the_gallery(tmp_path: Path, recognizer: Recognizer) -> None:
    path = tmp_path / "gallery.db"
    gallery = Gallery.open(path, find_key(path, create=True), recognizer.model_sha256, create=True)
    gallery.close()
    path.write_bytes(np.random.default_rng(1).bytes(8192))
    ok, text = told(tmp_path, recognizer)
    assert ok is False
    assert "is damaged" in text
