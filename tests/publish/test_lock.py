"""A state folder is one process's."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

import pytest

from device.errors import InputError
from device.publish.lock import FILE, FolderLock, holder


def refused(folder: Path) -> str:
    with pytest.raises(InputError, match="already in use by another sereno") as refusal:
        FolderLock(folder)
    return str(refusal.value)


def test_ok__one_after_the_other(tmp_path: Path) -> None:
    assert holder(tmp_path) is None
    first = FolderLock(tmp_path)
    assert holder(tmp_path) == str(os.getpid())
    assert f"pid {os.getpid()}" in refused(tmp_path)
    first.release()
    first.release()
    assert holder(tmp_path) is None
    FolderLock(tmp_path).release()


@pytest.mark.parametrize("another", [False, True])
def test_fail__the_locks_file_was_deleted_or_replaced(tmp_path: Path, another: bool) -> None:
    first = FolderLock(tmp_path)
    (tmp_path / FILE).unlink()
    if another:
        (tmp_path / FILE).write_text("")
    assert "pid unknown" in refused(tmp_path)
    assert holder(tmp_path) == "unknown"
    assert (tmp_path / FILE).exists() == another, "who is refused leaves nothing"
    first.release()
    FolderLock(tmp_path).release()


def test_fail__the_file_alone_is_held(tmp_path: Path) -> None:
    """As on a share that locks files only."""
    with (tmp_path / FILE).open("w") as file:
        file.write("77\n")
        file.flush()
        fcntl.flock(file, fcntl.LOCK_EX)
        assert "pid 77" in refused(tmp_path)
        assert holder(tmp_path) == "77"
    assert holder(tmp_path) is None


def test_fail__the_file_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / FILE).mkdir()
    with pytest.raises(InputError, match="cannot write to the storage folder"):
        FolderLock(tmp_path)
    (tmp_path / FILE).rmdir()
    FolderLock(tmp_path).release()
