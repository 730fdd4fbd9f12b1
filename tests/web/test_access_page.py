"""The log and the people of a door: pages, CSV, JSON, and who may."""

from __future__ import annotations

import csv
import io
import re
import sqlite3
from dataclasses import replace
from datetime import datetime
from typing import Any

import numpy as np
import pytest
from flask.testing import FlaskClient

from device.access.audit import FILE, read
from device.datatypes import Image
from device.errors import InputError
from device.web.access import PAGE
from tests.web.conftest import Site, csrf
from tests.web.doorhouse import DoorHouse, data_url

ORIGIN = {"Origin": "http://localhost"}


def rows(text: str) -> list[str]:
    """The table's rows as words."""
    body = text.partition("<tbody>")[2].partition("</tbody>")[0]
    return [" ".join(re.sub(r"<[^>]*>", " ", row).split()) for row in body.split("</tr>")[:-1]]


@pytest.fixture
def past(house: DoorHouse) -> list[str]:
    """Names of the three people, whose log has four decisions."""
    first, second, third = house.ids
    house.decide(True, "recognised", first, similarity=0.71)
    house.audit.append("lock", {"decision": 2, "state": "unlocked", "lock_ms": 31.5})
    house.decide(False, "schedule", second, similarity=0.66)
    house.decide(False, "unknown", similarity=0.1, summed=3)
    house.decide(True, "recognised", first, similarity=0.69)
    return [first, second, third]


def test_ok__newest_first_with_names(vera: FlaskClient, past: list[str]) -> None:
    first, second, _ = past
    shown = rows(vera.get("/access").text)
    assert [row.startswith(name) for row, name in zip(shown, [first, "Unknown", second, first], strict=True)] == [
        True
    ] * 4
    assert "Access granted" in shown[0]
    assert "Access denied Outside the permitted hours" in shown[2]
    assert "3 times" in shown[1]
    spanish = rows(vera.get("/access?lang=es").text)
    assert "Acceso permitido" in spanish[0]
    assert "Acceso denegado Fuera del horario permitido" in spanish[2]


def test_ok__filters(house: DoorHouse, vera: FlaskClient, past: list[str]) -> None:
    first, second, third = (house.ids[name] for name in past)
    today, tomorrow = datetime.now().date().isoformat(), "2999-01-01"
    counts = {
        "decision=granted": 2,
        "decision=denied": 2,
        f"person={first}": 2,
        f"person={second}&decision=granted": 0,
        f"person={third}": 0,
        "reason=unknown": 1,
        f"from={today}&to={today}": 4,
        f"from={tomorrow}": 0,
        "to=2020-01-01": 0,
        "": 4,
    }
    for query, count in counts.items():
        assert len(vera.get(f"/api/access?{query}").json["decisions"]) == count, query
        assert len(rows(vera.get(f"/access?{query}").text)) == count, query


@pytest.mark.parametrize(
    "query",
    [
        "decision=maybe",
        "reason=weather",
        "from=yesterday",
        "to=2026-13-01",
        "before=x",
        "before=0",
        "before=" + "9" * 30,
        "limit=0",
        "colour=red",
    ],
)
def test_fail__wrong_filters(vera: FlaskClient, query: str) -> None:
    answer = vera.get(f"/api/access?{query}")
    assert answer.status_code == 400
    assert query.partition("=")[0] in answer.json["error"]


def test_ok__program_reads_what_mqtt_tells(
    visitor: FlaskClient, door: Site, bearer: dict[str, str], past: list[str]
) -> None:
    first = past[0]
    [newest, *_, oldest] = door.app.test_client().get("/api/access", headers=bearer).json["decisions"]
    assert (newest["name"], newest["decision"], newest["similarity"], newest["lock_ms"]) == (
        first,
        "granted",
        0.69,
        None,
    )
    assert (oldest["name"], oldest["lock_ms"], oldest["frames"], oldest["summed"]) == (first, 31.5, 3, 1)
    assert visitor.get("/api/access").status_code == 401


def test_ok__numbers_are_no_ladder(house: DoorHouse, vera: FlaskClient, ana: FlaskClient) -> None:
    """Small changes of a similarity would tell, try by try, how to come nearer; the log itself has every digit."""
    house.decide(False, "unknown", similarity=0.712345)
    assert '"similarity":0.712345' in list(read(house.audit.path))[-1].body
    for client in (vera, ana):
        assert client.get("/api/access").json["decisions"][0]["similarity"] == 0.71
        for address in ("/api/access", "/access", "/access.csv"):
            text = client.get(address).text
            assert "0.71" in text
            assert "0.71234" not in text


def test_ok__pages_through_a_long_log(house: DoorHouse, vera: FlaskClient) -> None:
    numbers = [house.decide(False, "unknown") for _ in range(PAGE * 2 + 7)]
    seen: list[int] = []
    address: str | None = "/access?decision=denied"
    pages = 0
    while address:
        text = vera.get(address).text
        seen += [int(row.split()[-1]) for row in rows(text)]
        found = re.search(r'rel="next" href="([^"]*)"', text)
        address = found[1].replace("&amp;", "&") if found else None
        pages += 1
    assert (seen, pages) == (numbers[::-1], 3)
    first = vera.get("/api/access?limit=100").json
    second = vera.get(f"/api/access?limit=100&before={first['next']}").json
    assert [row["record"] for row in first["decisions"] + second["decisions"]] == numbers[::-1]
    assert second["next"] is None


def test_ok__csv_holds_no_formula(house: DoorHouse, vera: FlaskClient, past: list[str]) -> None:
    person = house.gallery.person(house.ids[past[0]])
    assert person is not None
    house.gallery.update(replace(person, name="=HYPERLINK(1)"))
    answer = vera.get("/access.csv?lang=es")
    assert answer.content_type == "text/csv; charset=utf-8"
    table = list(csv.DictReader(io.StringIO(answer.text)))
    assert [row["result"] for row in table] == [
        "Acceso permitido",
        "Acceso denegado",
        "Acceso denegado",
        "Acceso permitido",
    ]
    assert table[0]["name"] == "'=HYPERLINK(1)"
    assert datetime.fromisoformat(table[0]["time"]).tzinfo is not None
    assert table[2]["reason_text"] == "Fuera del horario permitido"


def test_ok__who_was_forgotten_has_no_name(house: DoorHouse, admin: FlaskClient, past: list[str]) -> None:
    person_id = house.ids[past[0]]
    assert forget(admin, person_id).status_code == 303
    text = admin.get("/access").text
    assert past[0] not in text
    assert person_id in text
    assert "Somebody who was removed" in text


@pytest.mark.usefixtures("past")
def test_ok__log_of_a_damaged_record_is_shown(house: DoorHouse, vera: FlaskClient) -> None:
    """Tampered with: `sereno audit verify` says so; the page must not fall over it."""
    with sqlite3.connect(house.folder / "audit" / FILE) as file:
        file.execute("DROP TRIGGER record_is_final")
        file.execute("UPDATE record SET body = '{broken' WHERE seq = 2")
    assert len(rows(vera.get("/access").text)) == 4
    assert len(rows(vera.get("/access?decision=granted").text)) == 1


@pytest.mark.usefixtures("past")
def test_ok__log_is_there_without_the_gallery(house: DoorHouse, vera: FlaskClient, admin: FlaskClient) -> None:
    house.path.rename(house.path.with_name("elsewhere.db"))
    assert len(rows(vera.get("/access").text)) == 4
    assert admin.get("/people").status_code == 503


# People


def forget(client: FlaskClient, person_id: str, **changes: str) -> Any:
    form = {"csrf": csrf(client, f"/people/{person_id}"), "sure": "yes", **changes}
    return client.post(f"/people/{person_id}/forget", data=form)


def enrol(client: FlaskClient, name: object, photos: list[Image], consent: object = True) -> Any:
    body = {"name": name, "consent": consent, "images": [data_url(photo) for photo in photos]}
    return client.post("/api/people", json=body, headers=ORIGIN)


def admin_acts(house: DoorHouse) -> list[dict[str, Any]]:
    return [record.content for record in read(house.folder / "audit" / FILE) if record.kind == "admin"]


def test_ok__forgotten_for_good_and_on_record(house: DoorHouse, admin: FlaskClient, past: list[str]) -> None:
    person_id = house.ids[past[1]]
    assert past[1] in admin.get("/people").text
    answer = forget(admin, person_id)
    assert (answer.status_code, answer.location) == (303, "/people?forgotten=yes")
    assert house.gallery.person(person_id) is None
    assert house.erased == [past[1]]
    assert admin_acts(house) == [{"act": "people.forget", "person": person_id, "by": "ana"}]
    assert forget_again(admin, person_id) == 404


def test_fail__forgetting_that_failed_is_on_record_as_such(
    house: DoorHouse, past: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_name: str, _person: str) -> int:
        raise InputError("events.db cannot be written: disk full")

    monkeypatch.setattr(house, "_erase", refuse)
    desk = house.sources().people
    person_id = house.ids[past[0]]
    with pytest.raises(InputError, match="disk full"):
        desk.forget(person_id, "ana")
    assert [act.get("failed", False) for act in admin_acts(house)] == [False, True]


def forget_again(client: FlaskClient, person_id: str) -> int:
    form = {"csrf": csrf(client, "/people"), "sure": "yes"}
    return int(client.post(f"/people/{person_id}/forget", data=form).status_code)


def test_fail__forget_without_the_tick_or_our_form(house: DoorHouse, admin: FlaskClient, past: list[str]) -> None:
    person_id = house.ids[past[0]]
    assert forget(admin, person_id, sure="").status_code == 400
    assert forget(admin, person_id, csrf="guessed").status_code == 403
    assert house.gallery.person(person_id) is not None
    assert admin_acts(house) == []


def test_fail__viewers_and_tokens_see_and_change_nobody(
    door: Site, house: DoorHouse, vera: FlaskClient, bearer: dict[str, str], stranger: list[Image]
) -> None:
    person_id = next(iter(house.ids.values()))
    program = door.app.test_client()
    for path in ("/people", f"/people/{person_id}"):
        assert vera.get(path).status_code == 403
        assert program.get(path, headers=bearer).status_code == 403
    form = {"csrf": csrf(vera, "/access"), "sure": "yes"}
    assert vera.post(f"/people/{person_id}/forget", data=form).status_code == 403
    assert program.post(f"/people/{person_id}/forget", data=form, headers=bearer).status_code == 403
    assert enrol(vera, "Mallory", stranger[:3]).status_code == 403
    body = {"name": "Mallory", "consent": True, "images": [data_url(photo) for photo in stranger[:3]]}
    assert program.post("/api/people", json=body, headers=bearer).status_code == 403
    assert [person.name for person in house.gallery.people()] == list(house.ids)


def test_ok__role_counts_at_once(door: Site, vera: FlaskClient) -> None:
    door.users.set_role("vera", "admin")
    assert vera.get("/people").status_code == 200
    door.users.set_role("vera", "viewer")
    assert vera.get("/people").status_code == 403


def test_ok__enrolled_is_recognised(house: DoorHouse, admin: FlaskClient, stranger: list[Image]) -> None:
    answer = enrol(admin, "  Begoña ", stranger[:3])
    assert answer.status_code == 201, answer.json
    assert (answer.json["accepted"], answer.json["photos"], answer.json["refused"]) == (3, 3, [])
    person = house.gallery.find("begoña")
    assert person.id == answer.json["person"]["id"]
    [consent] = person.consents
    assert consent.text.startswith("Begoña knows and agrees")
    assert consent.stated == "page, by ana"
    assert admin_acts(house) == [{"act": "enrol", "person": person.id, "photos": 3, "by": "ana"}]
    found = admin.post("/reconocer", json={"image": data_url(stranger[3])}, headers=ORIGIN).json
    assert found == {"resultados": ["Begoña"]}


def test_ok__more_photos_of_somebody_who_is_there(
    house: DoorHouse, admin: FlaskClient, known: dict[str, list[Image]]
) -> None:
    name, photos = next(iter(known.items()))
    answer = enrol(admin, name.upper(), photos[3:])
    assert (answer.status_code, answer.json["photos"]) == (201, 4)
    assert house.gallery.find(name).photos == 4


def test_fail__photos_that_are_no_good(
    house: DoorHouse, admin: FlaskClient, stranger: list[Image], known: dict[str, list[Image]]
) -> None:
    grey = np.full((200, 200, 3), 90, np.uint8)
    name, photos = next(iter(known.items()))
    cases: list[tuple[list[Image], dict[int, str]]] = [
        ([stranger[0], grey, stranger[0]], {2: "no face", 3: "the same picture"}),
        ([stranger[0], stranger[1], photos[3]], {3: "another person"}),
        (photos[:3], {1: f"looks like {name}", 2: f"looks like {name}", 3: f"looks like {name}"}),
    ]
    for images, reasons in cases:
        answer = enrol(admin, "Begoña", images)
        assert answer.status_code == 422, answer.json
        assert "are needed" in answer.json["error"]
        refused = {one["photo"]: one["reason"] for one in answer.json["refused"]}
        assert refused.keys() == reasons.keys(), refused
        assert all(reasons[number] in refused[number] for number in reasons)
    assert [person.name for person in house.gallery.people()] == list(house.ids)
    assert admin_acts(house) == []


def test_fail__enrolment_that_cannot_be(admin: FlaskClient, stranger: list[Image]) -> None:
    one = stranger[:1]
    for answer, words in (
        (enrol(admin, "", one), "no name"),
        (enrol(admin, 7, one), "no name"),
        (enrol(admin, "\u202e", one), "cannot be a person's name"),
        (enrol(admin, "Begoña", one, consent=False), "consent"),
        (enrol(admin, "Begoña", one, consent="yes"), "consent"),
        (enrol(admin, "Begoña", []), "1 to 12"),
        (enrol(admin, "Begoña", one * 13), "1 to 12"),
    ):
        assert answer.status_code == 400, answer.text
        assert words in answer.json["error"]


def test_fail__nothing_is_done_that_cannot_be_recorded(
    house: DoorHouse, admin: FlaskClient, stranger: list[Image]
) -> None:
    person_id = next(iter(house.ids.values()))
    token = csrf(admin, f"/people/{person_id}")
    house.audit._connection.execute("PRAGMA query_only=ON")
    answer = admin.post(f"/people/{person_id}/forget", data={"csrf": token, "sure": "yes"})
    assert answer.status_code == 503
    assert enrol(admin, "Begoña", stranger[:3]).status_code == 503
    assert [person.name for person in house.gallery.people()] == list(house.ids)
