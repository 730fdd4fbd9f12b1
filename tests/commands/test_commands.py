"""The commands for people: what they refuse, and what they print of odd input."""

from __future__ import annotations

import json
import os
import socket
import subprocess
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from device.commands.inputs import expand, pictures
from device.commands.models import score_line
from device.errors import InputError
from device.publish.lock import FolderLock
from tests.daemon import PROGRAM, sereno, write_config


def make_clip(path: Path) -> Path:
    """Fifty frames of noise; an AVI says at its beginning how many there are."""
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 10, (160, 120))
    random = np.random.default_rng(0)
    for _ in range(50):
        writer.write(random.integers(0, 255, (120, 160, 3), np.uint8))
    writer.release()
    return path


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "photo.jpg"
    cv2.imwrite(str(path), np.full((120, 160, 3), 90, np.uint8))
    return path


def test_fail__video_that_is_cut_short(tmp_path: Path) -> None:
    path = make_clip(tmp_path / "clip.avi")
    assert [picture.error for picture in pictures(path)] == [""] * 50
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    *good, last = pictures(path)
    assert 10 < len(good) < 40
    assert last.image is None
    assert "cut short" in last.error
    done = sereno("detect", path, "--json")
    assert done.returncode == 1
    assert "cut short" in json.loads(done.stdout.splitlines()[-1])["error"]


def test_ok__folders_hold_what_can_be_read(tmp_path: Path, photo: Path) -> None:
    (tmp_path / "scan.tif").write_bytes(b"II*\0")
    assert expand((tmp_path,), videos=False) == [photo]


@pytest.mark.parametrize("value", ["nan", "-nan", "1.5", "x"])
def test_fail__confidence_that_is_none(photo: Path, value: str) -> None:
    done = sereno("detect", photo, f"--confidence={value}")
    assert done.returncode == 2
    assert "--confidence" in done.stderr


def test_ok__a_name_that_is_not_utf_8_is_valid_json(tmp_path: Path, photo: Path) -> None:
    odd = Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.jpg"))
    odd.write_bytes(photo.read_bytes())
    missing = os.fsdecode(os.fsencode(tmp_path) + b"/gone\xff.jpg")
    done = subprocess.run([PROGRAM, "detect", odd, missing, "--json"], capture_output=True, check=False)
    assert done.returncode == 1
    first, second = (json.loads(line) for line in done.stdout.decode("utf-8").splitlines())
    assert first["path"] == f"{tmp_path}/caf\\xe9.jpg"
    assert second["path"] == f"{tmp_path}/gone\\xff.jpg"
    assert "gone\\xff.jpg" in second["error"]
    plain = subprocess.run([PROGRAM, "detect", odd, missing], capture_output=True, check=False)
    assert b"caf\\xe9.jpg: " in plain.stdout
    assert b"Traceback" not in plain.stderr


@pytest.mark.parametrize("command", [("config", "schema"), ("--help",), ("models", "list")])
def test_fail__full_stdout(command: tuple[str, ...]) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run([PROGRAM, *command], stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr == "sereno: cannot write the output: No space left on device\n"


@pytest.mark.parametrize("command", [("users", "list"), ("users", "first"), ("token", "add", "x")])
def test_fail__users_in_a_folder_that_cannot_be(tmp_path: Path, command: tuple[str, ...]) -> None:
    (tmp_path / "file").write_text("in the way")
    config = write_config(tmp_path, "demo", storage={"path": str(tmp_path / "file" / "state")})
    done = sereno(*command, "--config", config)
    assert done.returncode == 1
    assert done.stderr.startswith("sereno: cannot write to the storage folder ")
    assert "Traceback" not in done.stderr


def test_ok__rows_of_one_metric_say_what_they_were_taken_on() -> None:
    row: dict[str, Any] = {"dataset": "COCO", "split": "val", "metric": "mAP50", "float": 5.0, "quantized": 4.0}
    assert score_line(row) == "COCO val: mAP50 4.0 (float 5.0)"
    assert (
        score_line(row | {"images": 64, "view": "mirrored"}) == "COCO val, 64 images, mirrored: mAP50 4.0 (float 5.0)"
    )


BOW_TIE = [[0.1, 0.1], [0.9, 0.9], [0.9, 0.1], [0.1, 0.9]]


@pytest.mark.parametrize(
    ("sections", "word"),
    [
        ({"camera": {"zones": {"a": {"polygon": BOW_TIE}}}}, "zone 'a'"),
        ({"camera": {"masks": [[[0.1, 0.1], [0.5, 0.5], [0.9, 0.9]]]}}, "mask 1"),
        ({"device": {"role": "door"}}, "door.lock.pin"),
        ({"device": {"role": "door"}, "door": {"lock": {"driver": "mock"}, "zone": BOW_TIE}}, "door.zone"),
    ],
    ids=["zone", "mask", "a door without a pin", "a door without a zone"],
)
def test_fail__check_and_config_show_refuse_what_run_refuses(
    tmp_path: Path, sections: dict[str, Any], word: str
) -> None:
    config = write_config(tmp_path, "demo", **sections)
    done = [sereno(*command, "--config", config) for command in (["run"], ["check"], ["config", "show"])]
    assert [one.returncode for one in done] == [2, 2, 2]
    assert len({one.stderr.strip().splitlines()[-1] for one in done}) == 1
    assert word in done[0].stderr


def findings(config: Path) -> dict[str, list[str]]:
    """What `check` prints, by its first word."""
    found: dict[str, list[str]] = {}
    for line in sereno("check", "--config", config).stdout.splitlines():
        found.setdefault(line.split()[0], []).append(line)
    return found


@pytest.mark.parametrize(
    ("host", "words"), [("192.0.2.1", "does not have the address"), ("a..b", "cannot find the address 'a..b'")]
)
def test_fail__check_tells_an_address_that_cannot_be_had(tmp_path: Path, host: str, words: str) -> None:
    config = write_config(tmp_path, "/dev/video97", web={"enabled": True, "host": host})
    (line,) = findings(config)["page"]
    assert "FAILED" in line
    assert words in line


def test_ok__check_beside_a_running_one_and_without_objects(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        web = {"enabled": True, "port": server.getsockname()[1]}
        config = write_config(tmp_path, "/dev/video97", web=web, camera={"objects": []})
        assert "FAILED" in findings(config)["page"][0]
        lock = FolderLock(tmp_path / "state")
        found = findings(config)
        lock.release()
    assert "FAILED" not in found["running"][0] + found["page"][0] + found["camera"][1]
    assert str(os.getpid()) in found["running"][0]
    assert "objects" in found["camera"][1]
    assert "running" not in findings(config)


def test_fail__an_empty_folder(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no image"):
        expand((tmp_path,), videos=False)


@pytest.mark.parametrize("command", [("users", "list"), ("check",)])
def test_ok__the_storage_folder_is_nobody_elses(tmp_path: Path, command: tuple[str, ...]) -> None:
    sereno(*command, "--config", write_config(tmp_path, "/dev/video97"))
    assert (tmp_path / "state").stat().st_mode & 0o777 == 0o700


def test_ok__a_list_of_models_shows_one_score_each_unless_asked() -> None:
    short, long = sereno("models", "list").stdout, sereno("models", "list", "--scores").stdout
    assert "sereno-coco-320" in short
    assert "mean of four: mAP50-95" in short
    assert "mAP50 " not in short
    assert "mirrored: mAP50 " in long
