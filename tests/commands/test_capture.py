"""`sereno capture`, as a person runs it."""

from __future__ import annotations

import json
import os
import pty
import re
import signal
import subprocess
from pathlib import Path

import cv2
import numpy as np
import pytest

from tests import facemodels
from tests.daemon import PROGRAM, sereno


@pytest.fixture(autouse=True)
def found(detectors: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The detectors, where the command looks them up."""
    monkeypatch.setenv("SERENO_MODELS", str(detectors))


@pytest.fixture
def clip() -> Path:
    return facemodels.clip()


def crops(dataset: Path, name: str) -> list[Path]:
    return sorted((dataset / name).glob("*.jpg"))


def test_ok__crops_differ_and_a_sheet_shows_them(tmp_path: Path, clip: Path) -> None:
    done = sereno("capture", "Ana María", "--source", clip, "--out", tmp_path, "--fps", 15, "--yes")
    assert done.returncode == 0, done.stderr
    kept = crops(tmp_path, "Ana María")
    assert len(kept) > 10
    assert kept[0].name == "Ana_María_0001.jpg"
    assert f"{len(kept)} new crops, {len(kept)} of 300 in all" in done.stdout
    assert "like an earlier one" in done.stdout
    pictures = [cv2.imread(str(path)) for path in kept]
    assert all(picture.shape[0] == picture.shape[1] > 70 for picture in pictures)
    small = np.array([cv2.resize(picture, (16, 16)).ravel() for picture in pictures], np.float32)
    small -= small.mean(axis=1, keepdims=True)
    small /= np.linalg.norm(small, axis=1, keepdims=True)
    assert (small @ small.T - np.eye(len(small))).max() < 0.995
    sheet = cv2.imread(str(tmp_path / "Ana María.contact-sheet.jpg"))
    assert sheet.shape == (96 * -(-len(kept) // 10), 960, 3)
    record = json.loads((tmp_path / "Ana María" / "capture.json").read_text())
    assert record["name"] == "Ana María"
    assert "must know this and agree" in record["consents"][0]["text"]


def test_ok__goes_on_where_it_stopped_and_overwrites_nothing(tmp_path: Path, clip: Path) -> None:
    command = ("capture", "Ana", "--source", clip, "--out", tmp_path, "--yes", "--fps", 15)
    assert "3 of 3 in all" in sereno(*command, "--count", 3).stdout
    before = {path.name: path.read_bytes() for path in crops(tmp_path, "Ana")}
    assert list(before) == ["Ana_0001.jpg", "Ana_0002.jpg", "Ana_0003.jpg"]
    again = sereno(*command, "--count", 3)
    assert again.returncode == 0
    assert "3 crops are there already" in again.stdout
    assert "2 new crops, 5 of 5 in all" in sereno(*command, "--count", 5).stdout
    after = {path.name: path.read_bytes() for path in crops(tmp_path, "Ana")}
    assert list(after) == [f"Ana_{number:04d}.jpg" for number in range(1, 6)]
    assert before.items() <= after.items()
    assert len(set(after.values())) == 5


def test_ok__the_same_video_again_gives_nothing_new(tmp_path: Path, clip: Path) -> None:
    command = ("capture", "Ana", "--source", clip, "--out", tmp_path, "--yes", "--fps", 10)
    first = int(re.search(r"(\d+) new", sereno(*command).stdout)[1])  # type: ignore[index]
    second = int(re.search(r"(\d+) new", sereno(*command).stdout)[1])  # type: ignore[index]
    assert first > 8
    assert second <= 1


def test_ok__ctrl_c_keeps_what_is_there(tmp_path: Path, clip: Path) -> None:
    command = [PROGRAM, "capture", "Ana", "--source", clip, "--out", tmp_path, "--yes", "--fps", "30"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        while not crops(tmp_path, "Ana"):
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        out, errors = process.communicate(timeout=30)
    kept = crops(tmp_path, "Ana")
    if process.returncode == 130:
        assert errors.splitlines()[-1] == "stopped"
    else:
        assert process.returncode == 0, "the clip was over first"
    assert f"{len(kept)} new crops" in out
    assert (tmp_path / "Ana.contact-sheet.jpg").exists()
    assert "Traceback" not in errors
    assert not list((tmp_path / "Ana").glob(".*"))


def test_fail__without_consent(tmp_path: Path, clip: Path) -> None:
    command = [PROGRAM, "capture", "Ana", "--source", clip, "--out", tmp_path / "faces"]
    silent = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    assert silent.returncode == 2
    assert "--yes states that the person agrees" in silent.stderr
    ours, theirs = pty.openpty()
    os.write(ours, b"n\n")
    refused = subprocess.run(command, stdin=theirs, capture_output=True, text=True, check=False)
    assert refused.returncode == 2
    assert "consent can be taken back" in refused.stderr.replace("\n", " ")
    assert "without consent nothing is captured" in refused.stderr
    assert not (tmp_path / "faces").exists()


def test_ok__consent_at_a_terminal(tmp_path: Path, clip: Path) -> None:
    ours, theirs = pty.openpty()
    os.write(ours, b"y\n")
    command = [PROGRAM, "capture", "Ana", "--source", clip, "--out", tmp_path, "--count", "1"]
    done = subprocess.run(command, stdin=theirs, capture_output=True, text=True, check=False)
    assert done.returncode == 0
    assert len(crops(tmp_path, "Ana")) == 1


def test_fail__a_persons_folder_is_no_dataset(tmp_path: Path, clip: Path) -> None:
    sereno("capture", "Ana", "--source", clip, "--out", tmp_path, "--count", 1, "--yes")
    inside = sereno("capture", "Bea", "--source", clip, "--out", tmp_path / "Ana", "--yes")
    assert inside.returncode == 1
    assert "holds the crops of one person (Ana)" in inside.stderr
    assert not (tmp_path / "Ana" / "Bea").exists()


def test_fail__somebody_elses_crops(tmp_path: Path, clip: Path, shared_data: Path, face_models: Path) -> None:
    other = shared_data / "videos" / "obama.mp4"
    source = ("--out", tmp_path, "--model", face_models, "--yes", "--count", 8)
    assert sereno("capture", "Ana", "--source", clip, *source).returncode == 0
    kept = crops(tmp_path, "Ana")
    stranger = sereno("capture", "Ana", "--source", other, *source, "--count", 20)
    assert stranger.returncode == 1
    assert "crops of Ana that are there show another person" in stranger.stderr
    second = sereno("capture", "Bea", "--source", clip, *source)
    assert second.returncode == 1
    assert "looks like Ana" in second.stderr
    assert crops(tmp_path, "Ana") == kept
    assert not (tmp_path / "Bea").exists()


def test_fail__nobody_in_view(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "wall.png"), np.full((200, 300, 3), 120, np.uint8))
    done = sereno("capture", "Ana", "--source", tmp_path / "wall.png", "--out", tmp_path / "faces", "--yes")
    assert done.returncode == 1
    assert "not kept: 1 no face" in done.stdout
    assert not (tmp_path / "faces").exists()


@pytest.mark.parametrize("name", ["../Ana", "a/b", ".ana", "", " ", "Ana\n", "con:", "x" * 70])
def test_fail__names_that_no_folder_can_have(tmp_path: Path, clip: Path, name: str) -> None:
    done = sereno("capture", "--source", clip, "--out", tmp_path / "faces", "--yes", "--", name)
    if name == "Ana\n":
        assert done.returncode == 0, "what surrounds a name is taken off"
    else:
        assert done.returncode == 2
        assert "cannot be a person's name" in done.stderr


@pytest.mark.parametrize(("source", "word"), [("gone.mp4", "not there"), ("ftp://host/x", "cannot begin with ftp")])
def test_fail__sources_that_are_none(tmp_path: Path, source: str, word: str) -> None:
    done = sereno("capture", "Ana", "--source", source, "--out", tmp_path, "--yes")
    assert done.returncode == 1
    assert word in done.stderr
    assert "Traceback" not in done.stderr


def test_fail__nowhere_to_write(tmp_path: Path, clip: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    done = sereno("capture", "Ana", "--source", clip, "--out", tmp_path / "file" / "faces", "--yes")
    assert done.returncode == 1
    assert "cannot be written" in done.stderr
    assert "Traceback" not in done.stderr
