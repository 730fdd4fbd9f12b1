"""Models of faces that the commands find by name, and a gallery of two people."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests import facemodels
from tests.commands.enrolling import ANA, EVA, photos
from tests.daemon import sereno


@pytest.fixture(scope="session")
def detectors(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the bundles yunet and blazeface."""
    return facemodels.write_detectors(tmp_path_factory.mktemp("bundles"))


@pytest.fixture(scope="session")
def embedder() -> Path:
    """The bundle of the embedder that ships."""
    return facemodels.embedder()


@pytest.fixture
def face_models(embedder: Path, detectors: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """That bundle; and both detectors where commands look them up."""
    monkeypatch.setenv("SERENO_MODELS", str(detectors))
    return embedder


@pytest.fixture
def db(tmp_path: Path, face_models: Path) -> Path:
    """Where a gallery may be made; the models are where commands look for them."""
    assert face_models.is_dir()
    return tmp_path / "state" / "gallery.db"


@pytest.fixture(scope="session")
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
