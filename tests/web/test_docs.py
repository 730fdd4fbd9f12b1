"""docs/http.md: it names every address, and what it shows is what happens."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from device.web.live import LiveView
from tests.web.conftest import Site
from tests.web.house import START, a_jpeg, a_state, an_observation


@pytest.fixture
def page(root: Path) -> str:
    return (root / "docs" / "http.md").read_text(encoding="utf-8")


def test_ok__every_address_is_named_and_no_other(site: Site, page: str) -> None:
    rules = {re.sub(r"<(?:\w+:)?(\w+)>", r"<\1>", rule.rule) for rule in site.app.url_map.iter_rules()}
    known = {re.sub("<(event|person)_id>", "<id>", rule).replace("<filename>", "…") for rule in rules}
    named = set(re.findall(r"^\| .*?(/[^`\s]*)` \|", page, re.MULTILINE))
    assert named == known


def examples(page: str) -> list[tuple[str, str]]:
    """Command and output of each `$` line of the console blocks."""
    found = []
    for block in re.findall(r"```console\n(.*?)```", page, re.DOTALL):
        for example in block.split("$ curl ")[1:]:
            command, _, output = example.partition("\n")
            found.append((command, output.strip()))
    return found


def curl(client: FlaskClient, command: str, token: str) -> str:
    """What curl would print."""
    words = shlex.split(command.replace("$URL", "http://localhost").replace("$TOKEN", token))
    headers, pattern, url = {}, None, ""
    while words:
        word = words.pop(0)
        if word == "-H":
            name, _, value = words.pop(0).partition(": ")
            headers[name] = value
        elif word == "-w":
            pattern = words.pop(0)
        elif word == "-o":
            words.pop(0)
        elif not word.startswith("-"):
            url = word
    answer = client.get(url.removeprefix("http://localhost"), headers=headers)
    if pattern:
        return pattern.replace("%{http_code}", str(answer.status_code)).replace("%{content_type}", answer.content_type)
    return answer.text.strip()


def matches(shown: str, printed: str) -> bool:
    """Whether `printed` is what is shown; … stands for anything, but for the one that Sereno itself prints."""
    parts = shown.replace("Bearer …", "Bearer \0").split("…")
    return re.fullmatch(".*".join(re.escape(part) for part in parts), printed.replace("…", "\0"), re.DOTALL) is not None


def test_ok__examples_are_true(site: Site, page: str) -> None:
    site.live = LiveView(["front"])
    client = site.make().test_client()
    token = site.users.add_token("docs")
    site.events.happen("end", a_state(1, end_time=START + 9), a_jpeg())
    site.live.show(an_observation(1))
    shown = examples(page)
    assert len(shown) >= 9
    for command, output in shown:
        if "/stream" not in command:
            printed = curl(client, command, token)
            assert matches(output, printed), f"{command}\n{printed}"
