"""`sereno users`: who may look, and who may change the people of a door."""

from __future__ import annotations

from pathlib import Path

from click.testing import CliRunner, Result

from device.__main__ import sereno as program
from device.access.audit import read
from device.errors import InputError

PASSWORD = "lantern and keys\n"


def users(folder: Path, *arguments: str, given: str = PASSWORD) -> Result:
    config = folder / "sereno.yaml"
    config.write_text(f"device: {{role: camera}}\nstorage: {{path: {folder / 'state'}}}\n", "utf-8")
    return CliRunner().invoke(program, ["users", *arguments, "--config", str(config)], input=given)


def door_config(folder: Path) -> Path:
    door = folder / "door.yaml"
    door.write_text(
        "device: {role: door}\ncameras: [{id: front, source: demo}]\ndoor: {lock: {driver: mock}}\n"
        f"storage: {{path: {folder / 'state'}}}\n",
        "utf-8",
    )
    return door


def test_ok__acts_upon_a_doors_users_are_on_record(tmp_path: Path) -> None:
    door = door_config(tmp_path)

    def run(*arguments: str) -> Result:
        return CliRunner().invoke(program, ["users", *arguments, "--config", str(door)], input=PASSWORD)

    for arguments in (
        ("add", "ana", "--password-stdin"),
        ("add", "vera", "--admin", "--password-stdin"),
        ("role", "vera", "viewer"),
        ("passwd", "vera", "--password-stdin"),
        ("remove", "vera"),
    ):
        done = run(*arguments)
        assert done.exit_code == 0, done.output
    assert isinstance(run("add", "ana", "--password-stdin").exception, InputError)
    log = tmp_path / "state" / "audit" / "audit.db"
    acts = [record.content for record in read(log) if record.kind == "admin"]
    assert acts == [
        {"act": "users.add", "person": "", "user": "ana", "admin": False},
        {"act": "users.add", "person": "", "user": "vera", "admin": True},
        {"act": "users.role", "person": "", "user": "vera", "role": "viewer"},
        {"act": "users.passwd", "person": "", "user": "vera"},
        {"act": "users.remove", "person": "", "user": "vera"},
        {"act": "users.add", "person": "", "user": "ana", "admin": False},
        {"act": "users.add", "person": "", "failed": True},
    ]
    assert PASSWORD.strip().encode() not in log.read_bytes()
    # Where it cannot be recorded it is not done.
    log.parent.rename(tmp_path / "elsewhere")
    log.parent.write_text("in the way")
    assert isinstance(run("role", "ana", "viewer").exception, InputError)
    assert roles(tmp_path) == {"ana": "admin"}


def test_ok__the_first_user_and_programs_keys_are_on_record(tmp_path: Path) -> None:
    """Neither password nor key is in the log; what a store that has users declines to do is not on record."""
    door = door_config(tmp_path)

    def run(*arguments: str) -> Result:
        return CliRunner().invoke(program, [*arguments, "--config", str(door)])

    password = run("users", "first").stdout.split("password ")[1].split(":")[0]
    assert "There are users already" in run("users", "first").stdout
    key = run("token", "add", "hass").stdout.strip()
    assert isinstance(run("token", "add", "hass").exception, InputError)
    assert run("token", "revoke", "hass").exit_code == 0
    log = tmp_path / "state" / "audit" / "audit.db"
    assert [record.content for record in read(log) if record.kind == "admin"] == [
        {"act": "users.add", "person": "", "user": "admin", "admin": True},
        {"act": "token.add", "person": "", "user": "hass"},
        {"act": "token.add", "person": "", "user": "hass"},
        {"act": "token.add", "person": "", "failed": True},
        {"act": "token.revoke", "person": "", "user": "hass"},
    ]
    for secret in (password, key):
        assert secret
        assert secret.encode() not in log.read_bytes()


def test_ok__a_camera_box_has_no_log(tmp_path: Path) -> None:
    assert users(tmp_path, "add", "ana", "--password-stdin").exit_code == 0
    assert not (tmp_path / "state" / "audit").exists()


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
