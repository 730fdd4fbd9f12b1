"""`sereno people`: who is in the gallery."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from device.commands.galleryfile import choose, gallery_options

if TYPE_CHECKING:
    from device.access.galleryrecords import Person

json_option = click.option("--json", "as_json", is_flag=True, help="One JSON object a line: one a person.")


@click.group()
def people() -> None:
    """Who may be recognised at the door. `sereno enrol` adds people."""


@people.command("list")
@gallery_options
@json_option
def list_people(
    gallery: Path | None, key_file: Path | None, config_path: Path | None, model: str | None, as_json: bool
) -> None:
    """List everybody, by name."""
    everybody = choose(gallery, key_file, config_path).open(model).people()
    for person in everybody:
        click.echo(json.dumps(row(person), ensure_ascii=False) if as_json else _line(person))
    if not everybody and not as_json:
        click.echo("The gallery is empty: `sereno enrol NAME photos/` adds somebody.")


def row(person: Person) -> dict[str, Any]:
    """The JSON object of one person; times are seconds since 1970."""
    return {
        "id": person.id,
        "name": person.name,
        "photos": person.photos,
        "groups": list(person.groups),
        "valid_from": person.valid_from,
        "valid_until": person.valid_until,
        "schedule": person.schedule,
        "created": round(person.created, 3),
        "keeps_crops": any(consent.crops for consent in person.consents),
    }


def _line(person: Person) -> str:
    """One person on one line."""
    words = [f"{person.name}  {person.id}  {person.photos} photos", f"since {_day(person.created)}"]
    if person.groups:
        words.append(f"in {', '.join(person.groups)}")
    if person.valid_from is not None:
        words.append(f"from {_day(person.valid_from)}")
    if person.valid_until is not None:
        words.append(f"until {_day(person.valid_until)}")
    if person.schedule is not None:
        words.append("by schedule")
    return ", ".join(words)


def _day(wall: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(wall))
