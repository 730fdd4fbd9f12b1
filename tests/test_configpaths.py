"""Paths of a configuration that cannot be, and characters that no setting may hold."""

from __future__ import annotations

from pathlib import Path

import pytest

from device.config import Config
from device.configfile import resolve_source, storage_path
from device.errors import ConfigError
from tests.test_configfile import HEAD, faults


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("storage: {path: ~nosuch/state}", "storage.path"),
        ("model: {path: ~nosuch/bundle}", "model.path"),
        ("cameras: [{source: ~nosuch/clip.mp4}]", "cameras[0].source"),
    ],
)
def test_fail__home_of_nobody(tmp_path: Path, text: str, key: str) -> None:
    (told,) = faults(tmp_path, HEAD + text + "\n")
    assert told.startswith(f"camera.yaml:2: {key}: ~nosuch/")
    assert "nobody knows the home ~nosuch" in told


def test_fail__secret_in_the_home_of_nobody(tmp_path: Path) -> None:
    (told,) = faults(tmp_path, HEAD + "mqtt: {password: !file ~nosuch/password}\n")
    assert "cannot read" in told
    assert "~nosuch/password" in told


@pytest.mark.parametrize(
    "text",
    [
        'storage: {path: "a\\0b"}',
        'cameras: [{source: "a\\0b.mp4"}]',
        'web: {host: "a\\0b"}',
        'mqtt: {password: !file "a\\0b"}',
        'web: {"po\\0rt": 1}',
    ],
)
def test_fail__nul_character(tmp_path: Path, text: str) -> None:
    told = faults(tmp_path, HEAD + text + "\n")
    assert any("NUL character" in line and line.startswith("camera.yaml:2: ") for line in told)


def test_fail__secret_with_a_nul_character(tmp_path: Path) -> None:
    (tmp_path / "password").write_bytes(b"a\0b\n")
    (told,) = faults(tmp_path, HEAD + "mqtt: {password: !file password}\n")
    assert "NUL character" in told
    assert "a\0b" not in told


@pytest.mark.parametrize("source", ["file:///a%00b", "file://[", "~nosuch/clip.mp4"])
def test_fail__source_of_the_command_line_that_is_no_path(tmp_path: Path, source: str) -> None:
    with pytest.raises(ConfigError):
        resolve_source(source, tmp_path)


def test_fail__user_without_a_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def homeless() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", homeless)
    config = Config.model_validate({"device": {"role": "camera"}})
    with pytest.raises(ConfigError, match=r"set storage\.path"):
        storage_path(config, tmp_path, {})
    assert storage_path(config, tmp_path, {"XDG_STATE_HOME": "/x"}) == Path("/x/sereno")
