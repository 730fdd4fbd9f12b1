"""A tiny run of a classifier: coloured shapes, a small Keras network trained for seconds, exported."""

from __future__ import annotations

from pathlib import Path

import pytest

from device.inference.manifest import Bundle
from tests.tinyclassifier import exported, make_run


@pytest.fixture(scope="session")
def shapes_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run with its photos beside it and its bundles in it."""
    run = make_run(tmp_path_factory.mktemp("shapes"))
    exported(run)
    return run


@pytest.fixture(scope="session")
def shapes_bundle(shapes_run: Path) -> Bundle:
    """Its int8 bundle."""
    from device.inference.manifest import load_bundle

    return load_bundle(shapes_run / "bundle" / "shapes")
