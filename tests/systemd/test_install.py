"""`make install` into an empty root, and what it refuses."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

Install = Callable[..., "subprocess.CompletedProcess[str]"]
TEMPLATE = "device:\n  id: porch"


def install(root: Path, destdir: Path | None, **settings: str) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "ROLE": "camera", **settings}
    if destdir is not None:
        env["DESTDIR"] = str(destdir)
    return subprocess.run(
        [root / "systemd/install.sh"], env=env, text=True, capture_output=True, check=False, timeout=600
    )


@pytest.fixture(scope="module")
def installed(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty root with Sereno in it; the folder's name holds what a careless script would trip over."""
    destdir = tmp_path_factory.mktemp("an empty & root")
    done = install(root, destdir)
    assert done.returncode == 0, done.stderr
    return destdir


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"ROLE": ""}, "say which unit: make install ROLE=camera, or ROLE=door"),
        ({"ROLE": "camrea"}, "ROLE=camrea: wanted camera or door"),
        ({"DESTDIR": "here"}, "wanted a path that begins with /"),
        ({"PYTHON": "/no/python"}, "there is no Python"),
    ],
)
def test_fail__what_cannot_be_installed(root: Path, tmp_path: Path, settings: dict[str, str], sentence: str) -> None:
    done = install(root, None, **{"DESTDIR": str(tmp_path / "root"), **settings})
    assert done.returncode == 2
    assert sentence in done.stderr
    assert not (tmp_path / "root").exists(), "nothing may be half-installed"


@pytest.mark.parametrize(
    ("tool", "answer", "sentence"), [("getconf", "32", "32-bit system"), ("uname", "riscv64", "riscv64")]
)
def test_fail__machines_without_packages(root: Path, tmp_path: Path, tool: str, answer: str, sentence: str) -> None:
    stub = tmp_path / "bin" / tool
    stub.parent.mkdir()
    stub.write_text(f"#!/bin/sh\necho {answer}\n")
    stub.chmod(0o755)
    done = install(root, tmp_path / "root", PATH=f"{stub.parent}:{os.environ['PATH']}")
    assert done.returncode == 2
    assert sentence in done.stderr
    assert not (tmp_path / "root").exists()


def test_ok__everything_names_its_final_place(installed: Path) -> None:
    scripts = installed / "opt/sereno/venv/bin"
    assert (scripts / "sereno").read_text().startswith("#!/opt/sereno/venv/bin/python3\n")
    assert (installed / "usr/local/bin/sereno").readlink() == Path("/opt/sereno/venv/bin/sereno")
    wanted_by = installed / "etc/systemd/system/multi-user.target.wants/sereno@camera.service"
    assert wanted_by.readlink() == Path("/usr/local/lib/systemd/system/sereno@.service")
    bytecode = next((installed / "opt/sereno/device/__pycache__").glob("app.*.pyc"))
    assert b"/opt/sereno/device/app.py" in bytecode.read_bytes()
    naming = subprocess.run(
        ["grep", "-rlF", str(installed), str(installed)], text=True, capture_output=True, check=False
    )
    assert naming.stdout == "", "files that name the root they were made in"


def test_ok__the_program_starts_and_every_module_is_there(installed: Path) -> None:
    python = installed / "opt/sereno/venv/bin/python3"
    code = (
        "import device.__main__, ai_edge_litert.interpreter, cv2, onnxruntime, gpiozero, simplejpeg, paho.mqtt.client"
    )
    env = {"PYTHONPATH": str(installed / "opt/sereno"), "PATH": "/usr/bin"}
    done = subprocess.run([python, "-c", code], env=env, text=True, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    version = subprocess.run(
        [python, "-m", "device", "--version"], env=env, text=True, capture_output=True, check=False
    )
    assert version.stdout.startswith("sereno"), version.stderr


def test_ok__secrets_and_the_configuration_are_not_for_everyone(installed: Path) -> None:
    assert (installed / "etc/sereno/camera.yaml").stat().st_mode & 0o777 == 0o640
    assert (installed / "etc/sereno/credentials").stat().st_mode & 0o777 == 0o700


def test_ok__an_upgrade_keeps_the_configuration_and_leaves_nothing_stale(root: Path, installed: Path) -> None:
    config = installed / "etc/sereno/camera.yaml"
    mine = "device: {id: mine, role: camera}\n"
    config.write_text(mine)
    stale = [installed / "opt/sereno/device/gone.py", installed / "opt/sereno/venv/lib/gone"]
    for path in stale:
        path.write_text("")
    kept = installed / "var/lib/sereno/events.db"
    kept.parent.mkdir(parents=True)
    kept.write_text("data")
    done = install(root, installed)
    assert done.returncode == 0, done.stderr
    assert config.read_text() == mine
    assert TEMPLATE in config.with_suffix(".yaml.new").read_text()
    assert "kept your /etc/sereno/camera.yaml" in done.stdout
    assert [path for path in stale if path.exists()] == []
    assert kept.read_text() == "data"
    assert [path.name for path in (installed / "opt/sereno").glob("*.*")] == [".cache"], "nothing old or half-made"


@pytest.fixture
def checkout(root: Path, tmp_path: Path) -> Path:
    """A checkout of its own, without face models."""
    shutil.copytree(root / "systemd", tmp_path / "checkout/systemd")
    for part in ("device", "models", "docs", "config", "requirements", "LICENSE"):
        (tmp_path / "checkout" / part).symlink_to(root / part)
    return tmp_path / "checkout"


def test_fail__a_door_without_a_face_detector(checkout: Path, tmp_path: Path) -> None:
    done = install(checkout, tmp_path / "root", ROLE="door")
    assert done.returncode == 2
    assert "no face detector" in done.stderr
    assert "`make models` fetches one" in done.stderr
    assert not (tmp_path / "root").exists()


def test_ok__a_door_brings_its_face_models_along(checkout: Path, installed: Path) -> None:
    detector = checkout / ".cache/bundles/blazeface"
    detector.mkdir(parents=True)
    (detector / "manifest.json").write_text("{}")
    done = install(checkout, installed, ROLE="door")
    assert done.returncode == 0, done.stderr
    assert "without them this door denies everyone" in done.stdout
    assert (installed / "opt/sereno/.cache/bundles/blazeface/manifest.json").read_text() == "{}"
    assert "role: door" in (installed / "etc/sereno/door.yaml").read_text()
    assert (installed / "etc/systemd/system/multi-user.target.wants/sereno@door.service").is_symlink()
    assert (installed / "etc/sereno/camera.yaml").exists()
