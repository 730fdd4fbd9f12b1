"""Users, tokens and sessions in their file."""

from __future__ import annotations

import os
import sqlite3
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from device.errors import ConfigError, InputError
from device.web.secretfile import session_key
from device.web.users import HASHER, SESSION_S, UserStore


@pytest.fixture
def users(tmp_path: Path) -> UserStore:
    return UserStore(tmp_path / "state" / "users.db")


def test_ok__password_is_verified(users: UserStore) -> None:
    users.add("ana", "lantern and keys")
    assert users.verify("ana", "lantern and keys")
    assert not users.verify("ana", "lantern and keyz")
    assert not users.verify("ana", "")
    assert not users.verify("eva", "lantern and keys")
    assert [user.name for user in users.list()] == ["ana"]


def test_ok__letters_composed_differently_are_the_same(users: UserStore) -> None:
    users.add("ana", "contraseña larga")
    assert users.verify("ana", "contraseña larga")


def test_ok__nothing_secret_is_in_the_file(users: UserStore) -> None:
    users.add("ana", "lantern and keys")
    token = users.add_token("ha")
    session = users.open_session("ana")
    content = users.path.read_bytes()
    assert b"$argon2id$" in content
    for secret in ("lantern and keys", token, token.removeprefix("sereno_"), session):
        assert secret.encode() not in content


def test_ok__files_are_private(users: UserStore) -> None:
    key = session_key(users.path.parent / "session.key")
    assert len(key) == 32
    assert session_key(users.path.parent / "session.key") == key
    for name in ("users.db", "session.key"):
        assert stat.S_IMODE((users.path.parent / name).stat().st_mode) == 0o600
    assert stat.S_IMODE(users.path.parent.stat().st_mode) == 0o700


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_ok__file_made_by_root_belongs_to_the_folders_owner(tmp_path: Path) -> None:
    os.chown(tmp_path, 1234, 1234)
    store = UserStore(tmp_path / "users.db")
    assert store.path.stat().st_uid == 1234


def test_fail__file_that_others_may_read(users: UserStore) -> None:
    users.path.chmod(0o644)
    with pytest.raises(InputError, match=r"mode 644.*chmod 600"):
        UserStore(users.path)


def test_fail__file_of_something_else(tmp_path: Path) -> None:
    path = tmp_path / "users.db"
    path.write_bytes(b"not a database at all" * 100)
    path.chmod(0o600)
    with pytest.raises(InputError, match=r"cannot use .*users\.db"):
        UserStore(path)


def test_fail__folder_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot create"):
        UserStore(tmp_path / "file" / "users.db")


def test_fail__damaged_session_key(tmp_path: Path) -> None:
    path = tmp_path / "session.key"
    path.touch(0o600)
    with pytest.raises(InputError, match="0 bytes instead of 32; remove it"):
        session_key(path)


def test_ok__first_password_once(users: UserStore) -> None:
    assert users.empty()
    made = users.first_password()
    assert made is not None
    name, password = made
    assert name == "admin"
    assert len(password.replace("-", "")) == 20
    assert users.verify(name, password)
    assert users.first_password() is None


@pytest.mark.parametrize(
    ("password", "sentence"),
    [
        ("too short", "9 characters; it needs at least 10"),
        ("x" * 257, "256 is the most"),
        ("aaaaaaaaaaaaaaa", "too easy"),
        ("ana1234567", "too easy"),
    ],
)
def test_fail__weak_password(users: UserStore, password: str, sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        users.add("ana", password)
    assert users.empty()


@pytest.mark.parametrize("name", ["", "Ana", "a b", "-a", "a" * 33, "ñu", "a\n", "../a"])
def test_fail__name_that_cannot_be_one(users: UserStore, name: str) -> None:
    with pytest.raises(ConfigError, match="cannot be the name"):
        users.add(name, "lantern and keys")
    with pytest.raises(ConfigError, match="cannot be the name"):
        users.add_token(name)


def test_fail__user_twice_and_unknown_users(users: UserStore) -> None:
    users.add("ana", "lantern and keys")
    with pytest.raises(InputError, match="already"):
        users.add("ana", "another long one")
    assert users.verify("ana", "lantern and keys")
    for attempt in (lambda: users.set_password("eva", "another long one"), lambda: users.remove("eva")):
        with pytest.raises(InputError, match="no user 'eva'"):
            attempt()


def test_ok__sessions_end_with_the_password_and_the_user(users: UserStore) -> None:
    users.add("ana", "lantern and keys")
    users.add("eva", "keys and lantern")
    anas, evas = users.open_session("ana"), users.open_session("eva")
    assert users.session_user(anas) == "ana"
    users.set_password("ana", "another long one")
    assert users.session_user(anas) is None
    assert users.verify("ana", "another long one")
    assert not users.verify("ana", "lantern and keys")
    assert users.session_user(evas) == "eva"
    users.remove("eva")
    assert users.session_user(evas) is None


def test_ok__session_runs_out(tmp_path: Path) -> None:
    now = [1_000_000.0]
    users = UserStore(tmp_path / "users.db", clock=lambda: now[0])
    users.add("ana", "lantern and keys")
    session = users.open_session("ana")
    now[0] += SESSION_S - 1
    assert users.session_user(session) == "ana"
    now[0] += 1
    assert users.session_user(session) is None


def test_ok__tokens(users: UserStore) -> None:
    token = users.add_token("ha")
    assert token.startswith("sereno_")
    assert len(token) >= 7 + 43
    assert users.verify_token(token) == "ha"
    assert users.verify_token(token + "x") is None
    assert users.verify_token("") is None
    with pytest.raises(InputError, match="already"):
        users.add_token("ha")
    assert [known.name for known in users.list_tokens()] == ["ha"]
    users.revoke_token("ha")
    assert users.verify_token(token) is None
    with pytest.raises(InputError, match="no token 'ha'"):
        users.revoke_token("ha")


def test_ok__another_process_changes_the_file(users: UserStore) -> None:
    users.add("ana", "lantern and keys")
    session = users.open_session("ana")
    other = UserStore(users.path)
    other.set_password("ana", "another long one")
    other.close()
    assert users.verify("ana", "another long one")
    assert users.session_user(session) is None


def test_ok__checking_passwords_keeps_no_memory(tmp_path: Path) -> None:
    """Each of the server's threads may check one: what it took must go back to the system."""
    program = """
import sys, threading
from pathlib import Path
from device.web.users import UserStore

def resident_mb():
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096 / 2**20

users = UserStore(Path(sys.argv[1]))
users.add("ana", "lantern and keys")
before, threads = resident_mb(), []
# All alive at once, so that each has an arena of its own.
done = threading.Barrier(7)
for _ in range(6):
    thread = threading.Thread(target=lambda: (users.verify("ana", "wrong"), users.verify("eva", "wrong"), done.wait()))
    thread.start()
done.wait()
print(resident_mb() - before)
"""
    done = subprocess.run(
        [sys.executable, "-c", program, tmp_path / "users.db"], capture_output=True, text=True, check=True, timeout=60
    )
    assert float(done.stdout) < 12


def test_ok__first_user_is_the_administrator(users: UserStore) -> None:
    users.add("ana", "lantern and keys")
    users.add("vera", "lantern and keys")
    users.add("eva", "lantern and keys", admin=True)
    assert {user.name: user.role for user in users.list()} == {"ana": "admin", "eva": "admin", "vera": "viewer"}
    users.set_role("vera", "admin")
    users.set_role("ana", "viewer")
    assert [users.is_admin(name) for name in ("ana", "eva", "vera", "nobody")] == [False, True, True, False]
    with pytest.raises(ConfigError, match="there is no role 'root'"):
        users.set_role("ana", "root")
    with pytest.raises(InputError, match="there is no user 'nobody'"):
        users.set_role("nobody", "admin")


def test_ok__file_of_before_there_were_roles(tmp_path: Path) -> None:
    """Whoever was added first is the administrator, whatever the names; everybody can log in as before."""
    path = tmp_path / "users.db"
    path.touch(mode=0o600)
    with sqlite3.connect(path) as old:
        old.execute("CREATE TABLE users (name TEXT PRIMARY KEY, hash TEXT NOT NULL, changed REAL NOT NULL) STRICT")
        for name in ("vera", "ana"):
            old.execute("INSERT INTO users VALUES (?, ?, ?)", (name, HASHER.hash("lantern and keys"), 1.0))
    for _ in range(2):
        users = UserStore(path)
        assert {user.name: user.role for user in users.list()} == {"ana": "viewer", "vera": "admin"}
        assert users.verify("ana", "lantern and keys")
        users.close()


def test_ok__changed_password_keeps_the_role(users: UserStore) -> None:
    users.add("ana", "lantern and keys")
    users.set_password("ana", "another long one")
    assert users.is_admin("ana")
