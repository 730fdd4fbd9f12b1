"""The settings themselves, and what is generated from them."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from device import configdoc
from device.config import Config
from device.configfile import load, schema

ROOT = Path(__file__).resolve().parent.parent


@pytest.mark.parametrize(
    ("name", "text"), [("docs/config.md", configdoc.page()), ("config/schema.json", configdoc.schema_text())]
)
def test_ok__generated_files_are_current(name: str, text: str) -> None:
    assert (ROOT / name).read_text(encoding="utf-8") == text, f"{name} is out of date: run `make docs`"


def test_ok__every_setting_has_a_sentence_and_all_but_the_role_a_default() -> None:
    described = schema()
    without_default = []
    for name, section in described["$defs"].items():
        assert section["description"]
        for key, setting in section["properties"].items():
            assert setting.get("description") or "$ref" in setting, f"{name}.{key} has no sentence"
        without_default += [f"{name}.{key}" for key in section.get("required", [])]
    assert sorted(without_default) == ["Device.role", "Zone.polygon"]
    assert described["required"] == ["device"]


@pytest.mark.parametrize(("name", "role"), [("demo", "camera"), ("camera", "camera"), ("door", "door")])
def test_ok__shipped_configurations_load(name: str, role: str) -> None:
    config = load(ROOT / "config" / f"{name}.yaml", environment={})
    assert config.device.role == role
    assert config.web.host == "127.0.0.1"
    assert config.mqtt.embedded is (name == "demo")


def test_ok__the_template_loads_with_everything_in_comments_switched_on(tmp_path: Path) -> None:
    text = (ROOT / "config" / "camera.yaml").read_text(encoding="utf-8")
    head, body = text.split("\ndevice:", 1)
    switched_on = head + "\ndevice:" + re.sub(r"(?m)^( *)# ", r"\1", body)
    (tmp_path / "mqtt-password").write_text("x")
    path = tmp_path / "camera.yaml"
    path.write_text(switched_on, encoding="utf-8")
    config = load(path, environment={"CREDENTIALS_DIRECTORY": str(tmp_path)})
    assert config.mqtt.tls.enabled
    assert list(config.cameras[0].zones) == ["walk"]
    assert len(config.cameras[0].masks) == 1


def test_ok__examples_in_the_docs_load(tmp_path: Path) -> None:
    page = (ROOT / "docs" / "config.md").read_text(encoding="utf-8")
    blocks = [block for block in re.findall(r"```yaml\n(.*?)```", page, re.S) if "device:" in block]
    assert len(blocks) == 2
    (tmp_path / "mqtt-password").write_text("x")
    for block in blocks:
        path = tmp_path / "c.yaml"
        path.write_text(block, encoding="utf-8")
        load(path, environment={"CAMERA_PASSWORD": "x", "CREDENTIALS_DIRECTORY": str(tmp_path)})


def test_ok__the_schema_is_json_and_knows_every_section() -> None:
    described = json.loads((ROOT / "config" / "schema.json").read_text(encoding="utf-8"))
    assert set(described["properties"]) == set(Config.model_fields)
