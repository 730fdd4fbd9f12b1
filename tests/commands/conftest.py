"""Models of faces that the commands find by name."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests import facemodels


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
