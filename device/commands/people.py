"""`sereno people`: who is in the gallery, when they may enter, and how they are forgotten."""

from __future__ import annotations

import json
import re
import time
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from device.commands.galleryfile import GalleryFile, file_options
from device.commands.peoplearchive import export_people, import_people, reembed

if TYPE_CHECKING:
    from device.access.galleryrecords import Person
    from device.access.policy.schedule import Schedule

json_option = click.option("--json", "as_json", is_flag=True, help="One JSON object a line: one a person.")
NONE = "none"


@click.group()
def people() -> None:
    """Who may be recognised at the door. `sereno enrol` adds people."""


people.add_command(export_people)
people.add_command(import_people)
people.add_command(reembed)


@people.command("list")
@file_options
@json_option
def list_people(file: GalleryFile, as_json: bool) -> None:
    """List everybody, by name."""
    everybody = file.look_after().people()
    for person in everybody:
        click.echo(json.dumps(row(person), ensure_ascii=False) if as_json else _line(person))
    if not everybody and not as_json:
        click.echo("The gallery is empty: `sereno enrol NAME photos/` adds somebody.")


@people.command()
@click.argument("name")
@file_options
@json_option
def show(name: str, file: GalleryFile, as_json: bool) -> None:
    """All that is known of NAME (a name or an id), but for the template itself."""
    gallery = file.look_after()
    person = gallery.find(name)
    details = row(person) | {
        "crops": len(gallery.crops(person.id)),
        "model": gallery.vault.model,
        "consents": [
            {"text": consent.text, "at": round(consent.at, 3), "stated": consent.stated, "crops": consent.crops}
            for consent in person.consents
        ],
    }
    if as_json:
        click.echo(json.dumps(details, ensure_ascii=False))
        return
    click.echo(_line(person))
    if person.schedule.kind == "weekly":
        click.echo(f"schedule: {json.dumps(person.schedule.as_data())}")
    click.echo(f"kept pictures: {details['crops']}")
    for consent in person.consents:
        click.echo(f"consent of {_day(consent.at)} ({consent.stated}): {consent.text}")


@people.command("set")
@click.argument("name")
@file_options
@click.option("--name", "new_name", help="Call them so from now on.")
@click.option("--groups", help="Groups they belong to, with commas between; `none` for no group.")
@click.option(
    "--valid-from", help="Not before this day or moment (2026-12-24, 2026-12-24T08:00, local time), or `none`."
)
@click.option("--valid-until", help="Not after this day, or from this moment on, or `none`.")
@click.option("--schedule", help="`always`, `never`, or a YAML or JSON file with timezone, windows and holidays.")
def set_person(
    name: str,
    file: GalleryFile,
    new_name: str | None,
    groups: str | None,
    valid_from: str | None,
    valid_until: str | None,
    schedule: str | None,
) -> None:
    """Say when NAME (a name or an id) may enter. What isn't named stays as it is."""
    from device.access.gallery import checked_name
    from device.access.registration import differences
    from device.errors import ConfigError

    changes: dict[str, Any] = {}
    if new_name is not None:
        changes["name"] = checked_name(new_name)
    if groups is not None:
        changes["groups"] = _groups(groups)
    if valid_from is not None:
        changes["valid_from"] = moment(valid_from, "--valid-from")
    if valid_until is not None:
        changes["valid_until"] = moment(valid_until, "--valid-until", end=True)
    if schedule is not None:
        changes["schedule"] = _schedule(schedule)
    if not changes:
        raise ConfigError("nothing to set: `sereno people set --help` lists what can be")
    gallery = file.look_after()
    before = gallery.find(name)
    person = replace(before, **changes)
    with file.recorded("people.set", person.id, changed=differences(before, person)):
        gallery.update(person)
    click.echo(_line(person))


@people.command()
@click.argument("name")
@file_options
def forget(name: str, file: GalleryFile) -> None:
    """Remove NAME (a name or an id) for good: templates, pictures and name, also where they wait to be sent.

    The access log keeps the random id, which then stands for nobody. Exports, copies of the disk and what was sent
    already are beyond reach; on an SD card, old cells may hold deleted bytes until they are written again.
    """
    from device.erasure import erase
    from device.errors import InputError

    known_as, person_id, missing = name, "", None
    try:
        person = file.look_after().find(name)
        known_as, person_id = person.name, person.id
    except InputError as error:
        if not file.path.exists():
            raise
        # Whose record is damaged is forgotten by id. What nobody has for an id may be a name: it is not recorded.
        gallery = file.look_after(repair=True)
        person_id = name if gallery.store.rows("SELECT id FROM person WHERE id = ?", name) else ""
        missing = error
    with file.recorded("people.forget", person_id):
        if person_id:
            file.look_after(repair=True).forget(person_id)
        cleared = erase(file.storage, known_as, person_id or name)
        if missing is not None and not person_id and not cleared:
            raise missing
    click.echo(f"{known_as} is forgotten." + (f" The name stood in {cleared} messages and events." if cleared else ""))


def row(person: Person) -> dict[str, Any]:
    """The JSON object of one person; times are seconds since 1970."""
    return {
        "id": person.id,
        "name": person.name,
        "photos": person.photos,
        "groups": list(person.groups),
        "valid_from": person.valid_from,
        "valid_until": person.valid_until,
        "schedule": person.schedule.as_data(),
        "created": round(person.created, 3),
    }


def moment(text: str, option: str, *, end: bool = False) -> float | None:
    """Seconds since 1970 of a local date or time; None for `none`. A day means its beginning or, for `end`, its end.

    Raises:
        ConfigError: it is neither.
    """
    from device.errors import ConfigError

    if text == NONE:
        return None
    try:
        when = datetime.fromisoformat(text)
    except ValueError:
        raise ConfigError(f"{option}: {text!r} is no date such as 2026-12-24 or 2026-12-24T08:00, nor `none`") from None
    try:
        if end and re.fullmatch(r"\d{4}-?\d\d-?\d\d", text):
            when += timedelta(days=1)
        return when.timestamp()
    except (ValueError, OverflowError):
        raise ConfigError(f"{option}: {text!r} is too far away; `none` is for no limit") from None


def _groups(text: str) -> tuple[str, ...]:
    from device.access.gallery import checked_word

    return () if text == NONE else tuple(dict.fromkeys(checked_word(part, "a group") for part in text.split(",")))


def _schedule(given: str) -> Schedule:
    """From a word or a file. Raises ConfigError."""
    import yaml

    from device.access.policy.schedule import Schedule
    from device.errors import ConfigError

    if given in ("always", "never"):
        return Schedule.parse(given)
    try:
        return Schedule.parse(yaml.safe_load(Path(given).read_text("utf-8")))
    except OSError as error:
        raise ConfigError(
            f"--schedule {given}: {error.strerror}; wanted `always`, `never`, or a YAML or JSON file"
        ) from None
    except RecursionError:
        raise ConfigError(f"--schedule {given}: lists in lists in lists, without end") from None
    except (ValueError, yaml.YAMLError) as error:
        raise ConfigError(f"--schedule {given}: {' '.join(str(error).split())}") from None


def _line(person: Person) -> str:
    """One person on one line."""
    words = [f"{person.name}  {person.id}  {person.photos} photos", f"since {_day(person.created)}"]
    if person.groups:
        words.append(f"in {', '.join(person.groups)}")
    if person.valid_from is not None:
        words.append(f"from {_day(person.valid_from)}")
    if person.valid_until is not None:
        words.append(f"until {_day(person.valid_until)}")
    if person.schedule.kind != "always":
        words.append("never let in" if person.schedule.kind == "never" else "by schedule")
    return ", ".join(words)


def _day(wall: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(wall))
