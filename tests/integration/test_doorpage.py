"""The door's page on a real daemon, with real footage before its camera: asked over HTTP as a browser would."""

from __future__ import annotations

import http.client
import itertools
import json
import re
import secrets
import signal
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import cv2
import pytest

from device.access.audit import read
from device.errors import InputError
from device.inference.manifest import find_bundle
from tests import facemodels
from tests.daemon import DEV, Daemon, sereno, write_config
from tests.mosquitto import free_port
from tests.web.conftest import PASSWORD
from tests.web.doorhouse import data_url


class Browser:
    """Keeps the cookie and sends the Origin, as browsers do."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.cookie = ""

    def ask(self, method: str, path: str, body: bytes = b"", kind: str = "") -> tuple[int, str]:
        """Status and body."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        headers = {"Cookie": self.cookie, "Origin": f"http://127.0.0.1:{self.port}"} | (
            {"Content-Type": kind} if kind else {}
        )
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        for cookie in answer.headers.get_all("Set-Cookie", []):
            self.cookie = cookie.partition(";")[0]
        text = answer.read().decode()
        connection.close()
        return answer.status, text

    def get(self, path: str) -> str:
        status, text = self.ask("GET", path)
        assert status == 200, f"{path}: {status} {text}"
        return text

    def send_form(self, page: str, path: str, **fields: str) -> int:
        """A form of `page` with its secret."""
        found = re.search(r'name="csrf" value="([^"]+)"', self.get(page))
        assert found
        body = urlencode({"csrf": found[1], **fields}).encode()
        return self.ask("POST", path, body, "application/x-www-form-urlencoded")[0]

    def send_json(self, path: str, body: Any) -> tuple[int, Any]:
        status, text = self.ask("POST", path, json.dumps(body).encode(), "application/json")
        return status, json.loads(text)


@pytest.fixture(scope="module")
def clip() -> Path:
    """A man who talks in a car."""
    for name in ("yunet", "minifasnet-v2", "minifasnet-v1se"):
        try:
            find_bundle(name)
        except InputError as error:
            pytest.skip(str(error))
    return facemodels.clip()


def test_ok__somebody_comes_in_is_named_and_is_forgotten(tmp_path: Path, clip: Path) -> None:
    name, port = secrets.token_hex(8), free_port()
    config = write_config(
        tmp_path,
        clip,
        device={"role": "door"},
        camera={"pace": "real", "loop": True},
        door={"lock": {"driver": "mock"}, "min_face_px": 40},
        web={"enabled": True, "port": port},
    )
    frames = list(facemodels.frames(clip))
    photos = tmp_path / "photos"
    photos.mkdir()
    for number, image in enumerate(itertools.islice(frames, 7, None, 12)):
        cv2.imwrite(str(photos / f"{number}.png"), cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
    done = sereno("enrol", name, photos, "--config", config, "--yes", program=DEV)
    assert done.returncode == 0, done.stderr
    made = sereno("users", "add", "ana", "--password-stdin", "--config", config, stdin=PASSWORD + "\n", program=DEV)
    assert made.stdout == "ana can log in as an administrator.\n"
    state = tmp_path / "state"
    with Daemon(config, program=DEV) as daemon:
        daemon.wait_for("access granted")
        browser = Browser(port)
        assert browser.send_form("/login", "/login", user="ana", password=PASSWORD) == 303
        # What the door has decided is on the page, with the name.
        decisions = json.loads(browser.get("/api/access?decision=granted"))["decisions"]
        assert {decision["name"] for decision in decisions} == {name}
        assert name in browser.get("/access")
        door = json.loads(browser.get("/api/door"))
        assert (door["fault"], door["record"] >= decisions[-1]["record"]) == ("", True)
        # The textbook's request, with a frame that was not enrolled.
        picture = {"image": data_url(frames[4])}
        assert browser.send_json("/reconocer", picture) == (200, {"resultados": [name]})
        # Forgotten on the page: nobody is known any more, and the door goes on.
        person = decisions[0]["person"]
        assert browser.send_form(f"/people/{person}", f"/people/{person}/forget", sure="yes") == 303
        assert browser.send_json("/reconocer", picture) == (200, {"resultados": ["Desconocido"]})
        assert name not in browser.get("/access")
        assert daemon.end(signal.SIGTERM) == 0, daemon.said
    for path in state.rglob("*"):
        assert not path.is_file() or name.encode() not in path.read_bytes(), path
    records = list(read(state / "audit" / "audit.db"))
    assert [record.content["act"] for record in records if record.kind == "admin"][-1] == "people.forget"
    seq = next(record.seq for record in records if record.content.get("act") == "people.forget")
    assert all(
        record.content["decision"] == "denied" for record in records if record.kind == "decision" and record.seq > seq
    )
    assert sereno("audit", "verify", "--config", config, program=DEV).returncode == 0
