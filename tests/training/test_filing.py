"""Files whole or not at all: a full disk, a kill, a folder that cannot be written."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from device.errors import InputError
from training.filing import replacing
from training.runs import Run

MEGABYTE = 1 << 20


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of one megabyte: a real one where root may mount it, else the limit of a file's size."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "none", str(folder)], capture_output=True)
    if mounted.returncode == 0:
        yield folder
        subprocess.run(["umount", str(folder)], check=True)
        return
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (MEGABYTE, limits[1]))
    yield folder
    resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def names(folder: Path) -> list[str]:
    """Of all files in it."""
    return sorted(path.name for path in folder.iterdir())


def tensors(megabytes: float) -> dict[str, torch.Tensor]:
    """A checkpoint of that size."""
    return {"weights": torch.ones(int(megabytes * MEGABYTE / 4))}


def test_ok__new_file_takes_the_old_ones_place(tmp_path: Path) -> None:
    target = tmp_path / "deep" / "model.keras"
    for content in (b"first", b"second"):
        with replacing(target) as scratch:
            assert scratch.suffix == ".keras"
            assert scratch.parent == target.parent
            scratch.write_bytes(content)
            assert not target.exists() or target.read_bytes() == b"first"
        assert target.read_bytes() == content
    assert names(target.parent) == ["model.keras"]


def test_fail__disk_full_in_mid_checkpoint(small_disk: Path) -> None:
    run = Run(small_disk / "run", {"family": "arcface"}, resume=False)
    with run.writing("checkpoint.pt") as scratch:
        torch.save(tensors(0.4), scratch)
    good = (small_disk / "run" / "checkpoint.pt").read_bytes()
    before = names(run.path)
    sentence = (
        r"no space left on the disk for .*checkpoint.pt; the checkpoint.pt written before is still there: free some"
    )
    with pytest.raises(InputError, match=sentence), run.writing("checkpoint.pt") as scratch:
        torch.save(tensors(2), scratch)
    assert names(run.path) == before
    assert (run.path / "checkpoint.pt").read_bytes() == good
    loaded = torch.load(run.path / "checkpoint.pt", weights_only=True)
    assert torch.equal(loaded["weights"], tensors(0.4)["weights"])


def test_fail__next_checkpoint_cannot_fit_and_is_not_begun(small_disk: Path) -> None:
    if not os.path.ismount(small_disk):
        pytest.skip("the disk can only be filled where root may mount one")
    (small_disk / "model.keras").write_bytes(b"\1" * (MEGABYTE * 6 // 10))
    with pytest.raises(InputError, match="written before is still there"), replacing(small_disk / "model.keras"):
        pytest.fail("there is no room for it")
    assert names(small_disk) == ["model.keras"]


def write_bytes(path: Path) -> None:
    """By Python itself."""
    path.write_bytes(b"\1" * 2 * MEGABYTE)


def write_array(path: Path) -> None:
    """By NumPy, which says it in words."""
    with path.open("wb") as stream:
        np.save(stream, np.ones(2 * MEGABYTE))


def write_tensors(path: Path) -> None:
    """By PyTorch, which does not say why."""
    torch.save(tensors(2), path)


@pytest.mark.parametrize("write", [write_bytes, write_array, write_tensors])
def test_fail__disk_full_whoever_writes(small_disk: Path, write: Callable[[Path], None]) -> None:
    sentence = r"^no space left on the disk for .*file.bin: free some"
    with pytest.raises(InputError, match=sentence), replacing(small_disk / "file.bin") as scratch:
        write(scratch)
    assert names(small_disk) == []


def test_ok__log_on_a_full_disk_does_not_end_the_run(small_disk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    if not os.path.ismount(small_disk):
        pytest.skip("the disk can only be filled where root may mount one")
    run = Run(small_disk / "run", {"family": "cnn"}, resume=False)
    fill = small_disk / "fill"
    with pytest.raises(OSError, match="No space left"):
        fill.write_bytes(b"\1" * 2 * MEGABYTE)
    for number in range(200):
        run.log.info("line %d of a long log that has no room on the disk", number)
    said = capsys.readouterr().err
    assert "line 199 of" in said
    assert "Traceback" not in said


def test_fail__other_faults_stay_what_they_are(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"before")
    for fault in (ZeroDivisionError("by zero"), RuntimeError("shapes"), KeyboardInterrupt()):
        with pytest.raises(type(fault)), replacing(tmp_path / "file") as scratch:
            raise_after(scratch, fault)
    assert (tmp_path / "file").read_bytes() == b"before"
    assert names(tmp_path) == ["file"]


def raise_after(scratch: Path, fault: BaseException) -> None:
    """What goes wrong in the middle of writing."""
    scratch.write_bytes(b"half")
    raise fault


def test_fail__folder_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"cannot write .*file/model.pt: File exists"):
        with_nothing(tmp_path / "file" / "model.pt")
    (tmp_path / "folder").mkdir()
    with pytest.raises(InputError, match=r"cannot write .*/folder: Is a directory"):
        with_nothing(tmp_path / "folder")


def with_nothing(target: Path) -> None:
    """Write an empty file."""
    with replacing(target) as scratch:
        scratch.write_bytes(b"")


KILLED = """
import sys, itertools
from pathlib import Path
from training.filing import replacing
print("ready", flush=True)
for number in itertools.count():
    with replacing(Path(sys.argv[1])) as scratch:
        with scratch.open("wb") as stream:
            for _ in range(64):
                stream.write(bytes([number % 251]) * 65536)
"""


def test_ok__killed_while_writing_leaves_a_whole_file(tmp_path: Path) -> None:
    target = tmp_path / "checkpoint.bin"
    process = subprocess.Popen([sys.executable, "-c", KILLED, str(target)], stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"
    deadline = time.monotonic() + 30
    while not target.exists() and time.monotonic() < deadline:
        os.sched_yield()
    process.send_signal(signal.SIGKILL)
    process.wait(10)
    content = target.read_bytes()
    assert len(content) == 64 * 65536
    assert len(set(content)) == 1
    with replacing(target) as scratch:  # What the kill left half written is in nobody's way.
        scratch.write_bytes(b"next")
    assert names(tmp_path) == ["checkpoint.bin"]
