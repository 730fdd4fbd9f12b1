"""When a person may enter, changed on the page: by administrators alone, on record, in either language."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest
from flask.testing import FlaskClient

from device.access.audit import FILE, read
from device.access.policy.schedule import Schedule
from tests.web.conftest import Site, csrf
from tests.web.doorhouse import DoorHouse

WEEK = {
    "timezone": "Europe/Madrid",
    "windows": [
        {"days": ["mon", "tue", "wed"], "from": "08:00", "to": "18:30"},
        {"days": ["sat"], "from": "22:00", "to": "24:00"},
    ],
    "holidays": ["2026-12-25", "2027-01-01"],
}
ENGLISH = {
    "may": "weekly",
    "windows": "mon, tue wed 08:00-18:30\n\nSAT 22:00-24:00",
    "holidays": "2026-12-25, 2027-01-01",
    "timezone": "Europe/Madrid",
}


@pytest.fixture
def person(house: DoorHouse) -> str:
    """The id of somebody who may always come in."""
    return next(iter(house.ids.values()))


def acts(house: DoorHouse) -> list[dict[str, Any]]:
    return [record.content for record in read(house.folder / "audit" / FILE) if record.kind == "admin"]


def save(client: FlaskClient, person: str, language: str = "en", **fields: str) -> Any:
    page = f"/people/{person}"
    return client.post(f"{page}/permit?lang={language}", data={"csrf": csrf(client, page), **fields})


def shown(client: FlaskClient, person: str, language: str = "en") -> dict[str, str]:
    """The form's fields as the page has them."""
    text = client.get(f"/people/{person}?lang={language}").text
    form = text[text.index('<form class="stack" method="post" action="/people/') :].partition("</form>")[0]
    fields = dict(re.findall(r'<input id="\w+" name="(\w+)"[^>]*? value="([^"]*)"', form))
    fields["windows"] = re.findall(r"<textarea [^>]*>([^<]*)</textarea>", form)[0]
    fields["may"] = re.findall(r'<option value="(\w+)" selected>', form)[0]
    return {name: html.unescape(value) for name, value in fields.items()}


def test_ok__validity_and_schedule_are_changed_and_on_record(house: DoorHouse, admin: FlaskClient, person: str) -> None:
    answer = save(admin, person, **ENGLISH, **{"from": "2026-12-01T08:00", "until": "2027-06-30T00:00"})
    assert (answer.status_code, answer.location) == (303, f"/people/{person}?saved=yes")
    changed = house.gallery.person(person)
    assert changed is not None
    assert changed.schedule.as_data() == WEEK
    assert changed.valid_from == datetime(2026, 12, 1, 8).timestamp()
    assert changed.valid_until == datetime(2027, 6, 30).timestamp()
    told = {"act": "people.set", "person": person, "changed": ["schedule", "valid_from", "valid_until"], "by": "ana"}
    assert acts(house) == [told]
    assert "It counts from now on" in admin.get(answer.location).text


@pytest.mark.parametrize("language", ["en", "es"])
def test_ok__what_is_shown_is_what_was_saved(house: DoorHouse, admin: FlaskClient, person: str, language: str) -> None:
    """Saved again untouched it changes nothing, down to the second, and makes no record."""
    before = house.gallery.find(person)
    house.gallery.update(replace(before, schedule=Schedule.parse(WEEK), valid_until=1_800_000_017.5))
    fields = shown(admin, person, language)
    days = {"en": "mon tue wed 08:00-18:30\nsat 22:00-24:00", "es": "lun mar mié 08:00-18:30\nsáb 22:00-24:00"}
    assert (fields["windows"], fields["may"], fields["from"]) == (days[language], "weekly", "")
    assert save(admin, person, language, **fields).status_code == 303
    assert house.gallery.find(person).schedule.as_data() == WEEK
    assert house.gallery.find(person).valid_until == 1_800_000_017.5
    assert acts(house) == []


@pytest.mark.parametrize("word", ["always", "never"])
def test_ok__limits_are_lifted(house: DoorHouse, admin: FlaskClient, person: str, word: str) -> None:
    """What stands in the windows' fields does not count then."""
    house.gallery.update(replace(house.gallery.find(person), schedule=Schedule.parse(WEEK), valid_from=1.0))
    assert save(admin, person, **(ENGLISH | {"may": word})).status_code == 303
    changed = house.gallery.find(person)
    assert (changed.schedule.as_data(), changed.valid_from) == (word, None)


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"may": "sometimes"}, "a schedule is always, never, or windows"),
        ({}, "a schedule is always, never, or windows"),
        (ENGLISH | {"timezone": "Madrid"}, "is not a time zone of this machine"),
        (ENGLISH | {"windows": "mon 8-18"}, "is not a time in quotes"),
        (ENGLISH | {"windows": "08:00-18:00"}, "days: []"),
        (ENGLISH | {"windows": "lun 08:00-18:00"}, "is not one of mon, tue"),
        (ENGLISH | {"windows": ", ,"}, "is not a time"),
        (ENGLISH | {"windows": "mon" * 2000}, "more than 4000 characters"),
        (ENGLISH | {"holidays": "Christmas"}, "is not a date such as 2026-12-25"),
        ({"may": "always", "from": "tomorrow"}, "is no moment such as"),
        ({"may": "always", "until": "9999-99-99T00:00"}, "is no moment such as"),
        ({"may": "always", "from": "2027-01-01T00:00", "until": "2026-01-01T00:00"}, "would never be valid"),
    ],
)
def test_fail__what_cannot_be(
    house: DoorHouse, admin: FlaskClient, person: str, fields: dict[str, str], told: str
) -> None:
    answer = save(admin, person, **fields)
    assert answer.status_code == 400
    assert "nothing was changed" in html.unescape(answer.text)
    assert told in html.unescape(answer.text)
    assert house.gallery.find(person).schedule.as_data() == "always"
    assert acts(house) == []


def test_fail__not_by_others_nor_without_our_form(
    door: Site, house: DoorHouse, admin: FlaskClient, vera: FlaskClient, bearer: dict[str, str], person: str
) -> None:
    form = {"csrf": csrf(vera, "/access"), "may": "never"}
    assert vera.post(f"/people/{person}/permit", data=form).status_code == 403
    program = door.app.test_client()
    assert program.post(f"/people/{person}/permit", data=form, headers=bearer).status_code == 403
    assert save(admin, person, may="never", csrf="guessed").status_code == 403
    nobody = {"csrf": csrf(admin, "/people"), "may": "never"}
    assert admin.post("/people/0000000000000000/permit", data=nobody).status_code == 404
    assert house.gallery.find(person).schedule.as_data() == "always"


@pytest.fixture
def without_disk(house: DoorHouse) -> Iterator[None]:
    """The log takes no records."""
    house.audit._connection.execute("PRAGMA query_only=ON")
    yield
    house.audit._connection.execute("PRAGMA query_only=OFF")


@pytest.mark.usefixtures("without_disk")
def test_fail__nothing_is_changed_that_cannot_be_recorded(house: DoorHouse, admin: FlaskClient, person: str) -> None:
    assert save(admin, person, may="never").status_code == 503
    assert house.gallery.find(person).schedule.as_data() == "always"
