"""`sereno users`: who may look, and who may change the people of a door."""

from __future__ import annotations

from pathlib import Path

from click.testing import CliRunner, Result

from device.__main__ import sereno as program
from device.errors import InputError

PASSWORD = "lantern and keys\n"


def users(folder: Path, *arguments: str, given: str = PASSWORD) -> Result:
    config = folder / "sereno.yaml"
    config.write_text(f"device: {{role: camera}}\nstorage: {{path: {folder / 'state'}}}\n", "utf-8")
    return CliRunner().invoke(program, ["users", *arguments, "--config", str(config)], input=given)


def roles(folder: Path) -> dict[str, str]:
    """Name and role of each line of the list."""
    return {line.split()[0]: line.split()[1] for line in users(folder, "list").stdout.splitlines()}


def test_ok__first_user_and_chosen_ones_are_administrators(tmp_path: Path) -> None:
    said = [
        users(tmp_path, "add", "ana", "--password-stdin").stdout,
        users(tmp_path, "add", "vera", "--password-stdin").stdout,
        users(tmp_path, "add", "eva", "--admin", "--password-stdin").stdout,
    ]
    assert said == [
        "ana can log in as an administrator.\n",
        "vera can log in.\n",
        "eva can log in as an administrator.\n",
    ]
    assert roles(tmp_path) == {"ana": "admin", "vera": "viewer", "eva": "admin"}


def test_ok__role_is_changed(tmp_path: Path) -> None:
    users(tmp_path, "add", "ana", "--password-stdin")
    users(tmp_path, "add", "vera", "--password-stdin")
    assert users(tmp_path, "role", "vera", "admin").stdout == "vera is an administrator.\n"
    assert users(tmp_path, "role", "ana", "viewer").stdout == "ana is a viewer.\n"
    assert roles(tmp_path) == {"ana": "viewer", "vera": "admin"}


def test_fail__role_of_nobody_and_no_role(tmp_path: Path) -> None:
    nobody = users(tmp_path, "role", "nobody", "admin")
    assert isinstance(nobody.exception, InputError)
    assert "there is no user 'nobody'" in str(nobody.exception)
    assert users(tmp_path, "role", "ana", "root").exit_code == 2
