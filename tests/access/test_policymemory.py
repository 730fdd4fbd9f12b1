"""What the policy keeps, when somebody is at the file while the door runs."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from device.access.policymemory import FILE, PolicyMemory
from device.errors import InputError

LOCKED = {"schema": 1, "strikes": 9}


def put_back(path: Path, old: bytes) -> None:
    """A copy from before, in the same file."""
    path.write_bytes(old)
    os.utime(path, (1e9, 1e9))


@pytest.mark.parametrize(
    "harm",
    [
        lambda path, _: path.unlink(),
        put_back,
        lambda path, _: path.write_bytes(b""),
        lambda path, old: (path.with_name("x").write_bytes(old), path.with_name("x").replace(path)),
        lambda path, old: (path.with_name("x").write_bytes(old), path.unlink(), path.symlink_to(path.with_name("x"))),
    ],
)
@pytest.mark.parametrize("restarted", [False, True])
def test_ok__a_lockout_that_is_taken_away_is_written_again(
    tmp_path: Path, harm: Callable[[Path, bytes], object], restarted: bool
) -> None:
    path, memory = tmp_path / FILE, PolicyMemory(tmp_path)
    memory.keep({"schema": 1, "strikes": 1})
    old = path.read_bytes()
    memory.keep(LOCKED)
    if restarted:
        memory = PolicyMemory(tmp_path)
        assert memory.load() == LOCKED
    harm(path, old)
    memory.keep(LOCKED)
    assert PolicyMemory(tmp_path).load() == LOCKED
    first = path.stat()
    memory.keep(LOCKED)
    assert os.path.samestat(first, path.stat()), "nothing is written where nothing is wrong"


def test_fail__what_could_not_be_written_is_tried_again(tmp_path: Path) -> None:
    memory = PolicyMemory(tmp_path)
    memory.keep(LOCKED)
    part = tmp_path / f".{FILE}.part"
    part.mkdir()
    with pytest.raises(InputError, match="cannot write"):
        memory.keep({})
    part.rmdir()
    memory.keep({})
    assert PolicyMemory(tmp_path).load() == {}
