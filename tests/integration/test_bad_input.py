"""Bad input: one clear sentence on stderr, the exit code of the contract, no traceback, nothing half-written."""

from __future__ import annotations

import errno
import json
import os
import shutil
import socket
import struct
import subprocess
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from device.inference.manifest import find_bundle
from tests.daemon import Daemon, sereno, write_config
from tests.mosquitto import free_port


def refused(config: Path, code: int, *words: str) -> str:
    """`sereno run` ends with this exit code and says all of `words`, each problem in one line, without a traceback."""
    done = sereno("run", "--config", config)
    _assert_sentence(done, code, *words)
    return done.stderr


def _assert_sentence(done: subprocess.CompletedProcess[str], code: int, *words: str) -> None:
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    told = done.stderr.strip().splitlines()[-1]
    assert told.startswith("sereno: "), done.stderr
    for word in words:
        assert word in told, told


def _config(folder: Path, text: str) -> Path:
    path = folder / "sereno.yaml"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("web: {prot: 80}", ("sereno.yaml:2", "web.prot", "port")),
        ("web: {port: abc}", ("web.port", "'abc'", "65535")),
        ("cameras: [{zones: {a: {polygon: [[0, 0], [1.2, 0.5], [1, 1]]}}}]", ("cameras[0].zones.a.polygon", "1.2")),
        ("cameras: [{objects: [persn]}]", ("cameras[0].objects", "persn", "person")),
    ],
    ids=["unknown key", "wrong type", "polygon outside the picture", "unknown label"],
)
def test_fail__configuration(tmp_path: Path, line: str, words: tuple[str, ...]) -> None:
    refused(_config(tmp_path, f"device: {{role: camera}}\n{line}\nstorage: {{path: state}}\n"), 2, *words)


def test_fail__missing_model(tmp_path: Path, tiny: Path) -> None:
    refused(write_config(tmp_path, tiny, model={"path": "nosuch"}), 1, "nosuch", "make export")


def _flip_a_byte(bundle: Path) -> None:
    content = bytearray((bundle / "model.tflite").read_bytes())
    content[len(content) // 2] ^= 1
    (bundle / "model.tflite").write_bytes(content)


def _schema_99(bundle: Path) -> None:
    manifest = json.loads((bundle / "manifest.json").read_text())
    (bundle / "manifest.json").write_text(json.dumps(manifest | {"schema": 99}))


def _truncate(bundle: Path) -> None:
    content = (bundle / "model.tflite").read_bytes()
    (bundle / "model.tflite").write_bytes(content[:1000])


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (_flip_a_byte, ("model.tflite", "sha256")),
        (_schema_99, ("schema 99", "schema 1")),
        (_truncate, ("model.tflite", "1000")),
    ],
)
def test_fail__damaged_bundle(
    tmp_path: Path, tiny: Path, damage: Callable[[Path], None], words: tuple[str, ...]
) -> None:
    bundle = tmp_path / "bundle"
    shutil.copytree(find_bundle("sereno-coco-320"), bundle)
    damage(bundle)
    refused(write_config(tmp_path, tiny, model={"path": "./bundle"}), 1, *words)


def _huge_png(path: Path) -> None:
    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", 30_000, 30_000, 8, 2, 0, 0, 0)
    body = zlib.compress(bytes(30_000 * 90_001 // 1000), 1)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", body) + chunk(b"IEND", b""))


@pytest.mark.parametrize(
    "name", ["empty.jpg", "text.jpg", "cut.jpg", "huge.png", "missing.jpg", "empty.mp4", "cut.mp4"]
)
def test_fail__picture_or_video(tmp_path: Path, tiny: Path, name: str) -> None:
    """Each is told in one sentence, the good one beside it is still done, and the exit code is 1."""
    bad, photo = tmp_path / name, tmp_path / "good.jpg"
    cv2.imwrite(str(photo), np.random.default_rng(0).integers(0, 255, (120, 200, 3), np.uint8))
    makers: dict[str, Callable[[], object]] = {
        "empty": bad.touch,
        "text": lambda: bad.write_text("a shopping list\n"),
        "cut": lambda: bad.write_bytes((tiny if bad.suffix == ".mp4" else photo).read_bytes()[:700]),
        "huge": lambda: _huge_png(bad),
        "missing": lambda: None,
    }
    makers[bad.stem]()
    done = sereno("detect", bad, photo, "--json")
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    first, last = (json.loads(line) for line in (done.stdout.splitlines()[0], done.stdout.splitlines()[-1]))
    assert first["path"] == str(bad)
    assert name in first["error"]
    assert "detections" in last


@pytest.mark.parametrize("name", ["empty.mp4", "text.mp4", "missing.mp4"])
def test_fail__source_file(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    if name != "missing.mp4":
        path.write_text("" if name == "empty.mp4" else "a shopping list\n" * 99)
    refused(write_config(tmp_path, path), 1, name)


def test_fail__camera_that_is_not_there(tmp_path: Path) -> None:
    refused(write_config(tmp_path, "/dev/video97"), 1, "/dev/video97")


@pytest.fixture
def silent() -> Iterator[int]:
    """A port where connections are accepted and nothing is ever said."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def test_fail__stream_that_does_not_answer(tmp_path: Path, silent: int) -> None:
    refused(write_config(tmp_path, f"rtsp://user:secret@127.0.0.1:{free_port()}/live"), 1, "127.0.0.1", "reached")
    told = refused(write_config(tmp_path, f"rtsp://user:secret@127.0.0.1:{silent}/live"), 1, "127.0.0.1")
    assert "secret" not in told


def test_fail__port_taken(tmp_path: Path, tiny: Path, silent: int) -> None:
    web = {"enabled": True, "port": silent}
    refused(write_config(tmp_path, tiny, web=web), 1, str(silent), "web.port")


def test_fail__host_that_is_no_name(tmp_path: Path, tiny: Path) -> None:
    refused(write_config(tmp_path, tiny, web={"enabled": True, "host": "a..b"}), 1, "'a..b'", "web.host")


def test_fail__second_instance(tmp_path: Path, tiny: Path) -> None:
    config = write_config(tmp_path, tiny, camera={"pace": "real", "loop": True})
    with Daemon(config) as first:
        first.wait_for("first look")
        refused(config, 1, str(first.process.pid), "storage.path")
        assert first.process.poll() is None


def test_fail__storage_is_a_file(tmp_path: Path, tiny: Path) -> None:
    (tmp_path / "state").write_text("in the way")
    refused(write_config(tmp_path, tiny), 1, "storage.path")


@pytest.fixture
def mounted(tmp_path: Path) -> Iterator[Callable[[str], Path]]:
    """Makes small file systems of their own, with mount options."""
    made: list[Path] = []

    def mount(options: str) -> Path:
        folder = tmp_path / f"disk{len(made)}"
        folder.mkdir()
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", options, "none", folder], capture_output=True, check=False)
        if done.returncode:
            pytest.skip("mounting a small file system needs root")
        made.append(folder)
        return folder

    yield mount
    for folder in made:
        subprocess.run(["umount", "-l", folder], check=True)


def test_fail__read_only_state(tmp_path: Path, tiny: Path, mounted: Callable[[str], Path]) -> None:
    storage = {"path": str(mounted("ro,size=1m"))}
    refused(write_config(tmp_path, tiny, storage=storage), 1, "Read-only", "storage.path")


def test_fail__full_disk_at_the_start(tmp_path: Path, tiny: Path, mounted: Callable[[str], Path]) -> None:
    disk = mounted("size=64k")
    _fill(disk / "filler")
    refused(write_config(tmp_path, tiny, storage={"path": str(disk)}), 1, "storage.path")


def _fill(path: Path) -> None:
    """Write until the disk is full."""
    handle = os.open(path, os.O_WRONLY | os.O_CREAT)
    try:
        while os.write(handle, bytes(4096)):
            pass
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
    finally:
        os.close(handle)


def test_ok__broker_that_refuses_is_told_once_and_waited_for(tmp_path: Path, tiny: Path) -> None:
    port = free_port()
    config = write_config(tmp_path, tiny, mqtt={"enabled": True, "port": port})
    with Daemon(config, "--max-frames", "5") as daemon:
        assert daemon.end(timeout_s=40) == 0, daemon.said
    told = [line for line in daemon.said.splitlines() if f"127.0.0.1:{port}" in line]
    assert len(told) == 1, daemon.said


def test_fail__usage() -> None:
    done = sereno("runn")
    assert done.returncode == 2
    assert "did you mean 'run'" in done.stderr
    assert sereno("run").returncode == 2
    assert sereno("detect").returncode == 2


def test_fail__watch_without_a_broker() -> None:
    done = sereno("watch", "--port", free_port())
    _assert_sentence(done, 1, "127.0.0.1")


def test_ok__check_tells_what_is_missing(tmp_path: Path, tiny: Path) -> None:
    good = sereno("check", "--config", write_config(tmp_path, tiny))
    assert good.returncode == 0, good.stdout
    assert "FAILED" not in good.stdout
    bad = sereno(
        "check", "--config", write_config(tmp_path, "/dev/video97", mqtt={"enabled": True, "port": free_port()})
    )
    assert bad.returncode == 1
    failed = [line.split()[0] for line in bad.stdout.splitlines() if "FAILED" in line]
    assert failed == ["camera", "broker"]


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One second of a moving square."""
    path = tmp_path_factory.mktemp("clip") / "tiny.mp4"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), 10, (160, 120))
    for step in range(10):
        picture: Any = np.full((120, 160, 3), 90, np.uint8)
        picture[40:80, 10 * step : 10 * step + 40] = 220
        writer.write(picture)
    writer.release()
    return path


def test_ok__help_is_instant_and_the_device_is_light() -> None:
    """Import time of `sereno --help` under 0.3 s of CPU; nothing heavy is installed."""
    before = os.times()
    assert sereno("--help").returncode == 0
    after = os.times()
    assert after.children_user + after.children_system - before.children_user - before.children_system < 0.3
    site = next((Path(__file__).parent.parent.parent / ".venv" / "lib").glob("python3*")) / "site-packages"
    installed = {path.name.split("-")[0].lower() for path in site.glob("*.dist-info")}
    assert not installed & {
        "tensorflow",
        "tensorflow_cpu",
        "torch",
        "ultralytics",
        "matplotlib",
        "insightface",
        "keras",
    }
    size = sum(path.stat().st_size for path in site.rglob("*") if path.is_file() and not path.is_symlink())
    assert size < 450e6
