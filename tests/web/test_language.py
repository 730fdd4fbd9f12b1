"""English and Spanish: complete, and nothing said outside the catalogues."""

from __future__ import annotations

import re
from pathlib import Path
from string import Formatter
from typing import get_args

import pytest
from flask.testing import FlaskClient

from device.access.quality import Reason
from device.datatypes import ACCESS_REASONS, DoorAlarm
from device.web.language import Language
from tests.web.conftest import PASSWORD, Site, csrf, log_in
from tests.web.house import a_track, an_observation

WEB = Path(__file__).parents[2] / "device" / "web"
TEMPLATES = sorted((WEB / "templates").glob("*.html"))
OF_DOOR = ("reason.", "prompt.", "lock.", "contact.", "alarm.", "quality.", "trouble.", "label.")
SCRIPTS = sorted((WEB / "static").glob("*.js"))


def test_ok__every_text_is_there_in_every_language() -> None:
    english, spanish = Language("en"), Language("es")
    assert set(english.texts) == set(spanish.texts)
    assert set(english.labels) == set(spanish.labels)
    assert len(english.labels) == 80
    for key, text in english.texts.items():
        fields = {name for _, name, _, _ in Formatter().parse(text) if name}
        assert fields == {name for _, name, _, _ in Formatter().parse(spanish.texts[key]) if name}, key
        assert text.strip(), key
        assert spanish.texts[key].strip(), key


def test_ok__labels_are_those_of_the_models(root: Path) -> None:
    listed = list(root.glob("models/*coco*/labels.txt"))
    assert listed, "no COCO model is in models/"
    for path in listed:
        assert list(Language("en").labels) == path.read_text(encoding="utf-8").split("\n")[:80]


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.name)
def test_ok__templates_say_nothing_themselves(path: Path) -> None:
    text = re.sub(r"\{% block body %\}.*?\{% endblock %\}", "", path.read_text("utf-8"))
    text = re.sub(r"\{%.*?%\}|\{\{.*?\}\}|\{#.*?#\}", "", text, flags=re.DOTALL)
    text = text.replace("<code>sereno users passwd</code>", "")
    for attribute in re.findall(r'(?:alt|title|aria-label|placeholder)="([^"]*)"', text):
        assert not re.search(r"[A-Za-z]", attribute), attribute
    words = re.findall(r"[A-Za-z]{2,}", re.sub(r"<[^>]*>", " ", text))
    assert words == []


def test_ok__every_text_that_is_asked_for_exists_and_none_is_left_over() -> None:
    source = "\n".join(path.read_text("utf-8") for path in [*TEMPLATES, *SCRIPTS, *WEB.glob("*.py")])
    known = set(Language("en").texts)
    families = ("camera.", "mqtt.", "facts.", "error.", *OF_DOOR)
    asked = set(re.findall(r"""\b(?:t|text)\(["']([a-z._]+)["']""", source))
    assert asked <= known, asked - known
    unused = {key for key in known if f'"{key}"' not in source and f"'{key}'" not in source}
    assert {key for key in unused if not key.startswith(families)} == set()


def test_ok__reasons_are_those_of_the_policy(root: Path) -> None:
    page = (root / "docs" / "access-policy.md").read_text("utf-8").partition("## Reasons")[2].partition("\n## ")[0]
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")] for line in page.splitlines() if line.startswith("| `")
    ]
    table = {row[0].strip("`"): (row[-2], row[-1]) for row in rows}
    assert set(table) == set(ACCESS_REASONS)
    for reason, texts in table.items():
        assert (Language("en").texts[f"reason.{reason}"], Language("es").texts[f"reason.{reason}"]) == texts


def test_ok__what_the_door_says_of_a_picture_has_a_translation() -> None:
    for words in (get_args(Reason), get_args(DoorAlarm)):
        family = "quality" if words == get_args(Reason) else "alarm"
        assert {f"{family}.{word}" for word in words} <= set(Language("es").texts)


@pytest.mark.parametrize(
    ("wish", "language"),
    [("es-MX,es;q=0.9", "es"), ("en-GB", "en"), ("fr,es;q=0.5", "es"), ("fr", "en"), ("", "en"), ("*;q=x,,;", "en")],
)
def test_ok__by_the_browsers_wish(visitor: FlaskClient, wish: str, language: str) -> None:
    assert f'<html lang="{language}">' in visitor.get("/login", headers={"Accept-Language": wish}).text


def test_ok__choice_is_remembered(visitor: FlaskClient) -> None:
    answer = visitor.get("/login?lang=es", headers={"Accept-Language": "en"})
    assert "Contraseña" in answer.text
    cookie = next(value for value in answer.headers.getlist("Set-Cookie") if value.startswith("sereno-language="))
    assert "SameSite=Strict" in cookie
    assert "Contraseña" in visitor.get("/login", headers={"Accept-Language": "en"}).text
    assert "Password" in visitor.get("/login?lang=en").text


@pytest.mark.parametrize("given", ["fr", "../en", ""])
def test_fail__language_that_is_not_there(visitor: FlaskClient, given: str) -> None:
    answer = visitor.get("/login", query_string={"lang": given})
    assert answer.status_code == 400
    assert "lang is" in answer.text
    visitor.set_cookie("sereno-language", "xx")
    assert visitor.get("/login").status_code == 200


def test_ok__spanish_messages(site: Site) -> None:
    client = site.app.test_client()
    client.get("/login?lang=es")
    assert "no son correctos" in log_in(client, "ana", "wrong password").text
    for _ in range(5):
        log_in(client, "ana", "wrong password")
    assert "Inténtelo de nuevo dentro de 2 s" in log_in(client, "ana", PASSWORD).text
    site.clock.now += 2
    log_in(client, "ana", PASSWORD)
    assert "Aquí no hay nada" in client.get("/nothing").text
    assert csrf(client, "/")


def test_ok__labels_in_the_picture_are_translated(site: Site, ana: FlaskClient) -> None:
    site.live.show(an_observation(1, a_track(label="dog")))
    english = ana.get("/snapshot/front.jpg").data
    assert ana.get("/snapshot/front.jpg?lang=es").data != english
