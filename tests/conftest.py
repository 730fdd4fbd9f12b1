"""Fixtures that every package's tests share."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from device.inference.manifest import Bundle, load_bundle
from tests.mosquitto import Mosquitto

ROOT = Path(__file__).parent.parent

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # A shell's `&` has it ignored, and whatever the tests start would inherit that: Ctrl-C could not be tried.
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def root() -> Path:
    """The checkout."""
    return ROOT


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Real data beside the checkout, or `$SERENO_DATA`: photos, clips and labels that are never committed."""
    path = Path(os.environ.get("SERENO_DATA", ROOT.parent / "shared" / "data"))
    if not path.is_dir():
        if os.environ.get("CI") and "SERENO_DATA" in os.environ:
            pytest.fail(f"SERENO_DATA names {path}, which is not there")
        pytest.skip(f"no test data at {path}; set SERENO_DATA to where it is")
    return path


@pytest.fixture(scope="session")
def lfw(shared_data: Path) -> Path:
    """Photos of people by name; those that the embedder was trained on, never the test's."""
    folder = shared_data / "lfw" / "train"
    if not folder.is_dir():
        pytest.skip(f"no photos of people at {folder}")
    return folder


@pytest.fixture(scope="session")
def shapes_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run of a tiny classifier: its photos beside it, its bundles in it, made by an unchanged checkout.

    For the workstation's environment. Who changes it copies it first.
    """
    from export import classifier
    from tests.tinyclassifier import COMMIT, exported, make_run

    run = make_run(tmp_path_factory.mktemp("shapes"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(classifier, "git_commit", lambda: COMMIT)
        exported(run)
    return run


@pytest.fixture(scope="session")
def shapes_bundle(shapes_run: Path) -> Bundle:
    """Its int8 bundle."""
    return load_bundle(shapes_run / "bundle" / "shapes")


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    """A Mosquitto that runs."""
    mosquitto = Mosquitto(tmp_path / "broker").start()
    yield mosquitto
    mosquitto.stop()
