"""The table of weights, and the command that fetches them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from device.capture.footage import FOOTAGE
from device.errors import InputError
from device.system.fetch import sha256_of
from export.weights import ON_REQUEST, WEIGHTS, main, weights


@pytest.mark.parametrize("asset", [*WEIGHTS, *ON_REQUEST, *FOOTAGE], ids=lambda asset: asset.name)
def test_ok__every_file_can_be_recognised_and_found(asset) -> None:  # type: ignore[no-untyped-def]
    assert re.fullmatch(r"[0-9a-f]{64}" if asset in (*WEIGHTS, *FOOTAGE) else r"[0-9a-f]{32,64}", asset.checksum[1])
    assert asset.size > 100_000
    assert asset.licence
    assert asset.about
    assert asset.urls or (asset.package and asset.member)
    assert all(url.startswith("https://") for url in asset.urls)


def test_ok__fetched_from_the_mirror(root: Path, shared_data: Path, tmp_path: Path) -> None:
    mirror = shared_data.parent / "models"
    if not (mirror / "yolov8n.pt").exists():
        pytest.skip(f"no mirror of weights at {mirror}")
    path = weights("yolov8n.pt", tmp_path)
    assert sha256_of(path) == next(asset.sha256 for asset in WEIGHTS if asset.name == "yolov8n.pt")
    assert path.is_relative_to(tmp_path)
    assert not path.is_relative_to(root)


def test_ok__table_is_shown() -> None:
    result = CliRunner().invoke(main, ["--list"])
    assert result.exit_code == 0
    for asset in (*WEIGHTS, *ON_REQUEST):
        assert " ".join(asset.checksum) in result.output


def test_fail__unknown_name() -> None:
    with pytest.raises(InputError, match=r"no weights called 'yolo\.pt' are known; there are yolov8n\.pt"):
        weights("yolo.pt")
    result = CliRunner().invoke(main, ["yolo.pt"])
    assert result.exit_code == 2


def test_fail__no_source_has_it_is_exit_1(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SERENO_MODELS_MIRROR", str(tmp_path))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    result = CliRunner().invoke(main, ["bikes.mp4", "--cache", str(tmp_path / "cache")])
    assert result.exit_code == 1
    assert "could not be fetched" in result.output
    assert [path.name for path in (tmp_path / "cache").iterdir()] == [".bikes.mp4.lock"], "no half of it"
