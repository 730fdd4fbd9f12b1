"""The units, as systemd itself judges them."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

EXPOSURE_MAX = 1.5


def analyze(*arguments: str) -> subprocess.CompletedProcess[str]:
    program = shutil.which("systemd-analyze")
    assert program is not None, "these tests need systemd-analyze: apt install systemd"
    return subprocess.run([program, *arguments], text=True, capture_output=True, check=False)


@pytest.fixture
def unit_root(root: Path, tmp_path: Path) -> Path:
    """A root with systemd's own units, ours, and something to execute."""
    shutil.copytree("/usr/lib/systemd/system", tmp_path / "usr/lib/systemd/system", symlinks=True)
    units = tmp_path / "usr/local/lib/systemd/system"
    units.mkdir(parents=True)
    shutil.copy(root / "systemd/sereno@.service", units)
    for name in ("sereno", "python"):
        command = tmp_path / "opt/sereno/venv/bin" / name
        command.parent.mkdir(parents=True, exist_ok=True)
        command.write_text("#!/bin/sh\n")
        command.chmod(0o755)
    return tmp_path


@pytest.mark.parametrize("role", ["camera", "door"])
def test_ok__verify_is_silent(unit_root: Path, role: str) -> None:
    done = analyze("verify", "--man=no", f"--root={unit_root}", f"sereno@{role}.service")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_ok__verify_would_tell_of_a_slip(unit_root: Path) -> None:
    unit = unit_root / "usr/local/lib/systemd/system/sereno@.service"
    unit.write_text(unit.read_text().replace("NoNewPrivileges", "NoNewPrivilegs"))
    done = analyze("verify", "--man=no", f"--root={unit_root}", "sereno@camera.service")
    assert "NoNewPrivilegs" in done.stdout + done.stderr


def test_ok__exposure(root: Path) -> None:
    done = analyze("security", "--offline=true", "--no-pager", str(root / "systemd/sereno@.service"))
    found = re.search(r"Overall exposure level for \S+: ([0-9.]+)", done.stdout)
    assert found is not None, done.stdout + done.stderr
    assert float(found[1]) <= EXPOSURE_MAX


def test_ok__the_configurations_folder_is_where_credentials_are_read(root: Path) -> None:
    from device.system.credentials import CREDENTIALS

    unit = (root / "systemd/sereno@.service").read_text()
    assert f"LoadCredential=sereno:{CREDENTIALS}" in unit
    assert f"d {CREDENTIALS} 0700 root root" in (root / "systemd/sereno.tmpfiles").read_text()
