"""The people of a door, for administrators: who is enrolled, since when and on what consent; enrol, permit, forget."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

from flask import Blueprint, abort, g, jsonify, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from device.datatypes import Image
from device.errors import ConfigError
from device.web.auth import csrf_token, require_admin
from device.web.doorsources import PersonView
from device.web.parts import door, parts
from device.web.permits import as_form, from_form
from device.web.uploads import decode, jpeg_of, json_object

log = logging.getLogger(__name__)
blueprint = Blueprint("people", __name__)

PHOTOS_LEAST, PHOTOS_MOST = 1, 12
"""Of one request. A new person needs three good ones; who is there already may get one more."""
BUSY_S = 5.0


@blueprint.get("/people")
def index() -> ResponseReturnValue:
    """Everybody, and how to enrol somebody."""
    own = door()
    require_admin()
    return _render("people.html", people=own.people.people(), forgotten=request.args.get("forgotten", "")[:8])


@blueprint.get("/people/<person_id>")
def show(person_id: str) -> ResponseReturnValue:
    """All that is known of one person."""
    door()
    require_admin()
    person = _person(person_id)
    form = as_form(person, g.language)
    return _render("person.html", person=person, form=form, saved=request.args.get("saved", "")[:8])


@blueprint.post("/people/<person_id>/permit")
def permit(person_id: str) -> ResponseReturnValue:
    """Say from when, until when and at which hours somebody may enter."""
    own, by = door(), require_admin()
    person = _person(person_id)
    try:
        wanted = from_form(request.form, person, g.language)
        own.people.permit(person.id, wanted.valid_from, wanted.valid_until, wanted.schedule, by)
    except ConfigError as error:
        abort(400, f"nothing was changed: {error}")
    return redirect(url_for("people.show", person_id=person.id, saved="yes"), 303)


@blueprint.post("/people/<person_id>/forget")
def forget(person_id: str) -> ResponseReturnValue:
    """Remove somebody for good, once that was confirmed."""
    own, by = door(), require_admin()
    if request.form.get("sure") != "yes":
        abort(400, "nobody was removed: the box that confirms it was not ticked")
    person = _person(person_id)
    own.people.forget(person.id, by)
    log.info("person %s was removed by %s", person.id, by)
    return redirect(url_for("people.index", forgotten="yes"), 303)


@blueprint.post("/api/people")
def enrol() -> ResponseReturnValue:
    """`{"name", "consent": true, "images": ["data:image/jpeg;base64,…", …]}` to a person: 201, or 422 and why not.

    `consent` must be true: the text that the page showed, in the language of the request, is kept with it.
    """
    own, by = door(), require_admin()
    body = json_object()
    name, images = body.get("name"), body.get("images")
    if not isinstance(name, str) or not name.strip():
        abort(400, "there is no name")
    if body.get("consent") is not True:
        abort(400, "without consent nobody is enrolled: consent must be true")
    if not isinstance(images, list) or not PHOTOS_LEAST <= len(images) <= PHOTOS_MOST:
        abort(400, f"images must be a list of {PHOTOS_LEAST} to {PHOTOS_MOST} pictures")
    urls = [jpeg_of(image) for image in images]
    if not own.turn.acquire(timeout=BUSY_S):
        abort(503, "other pictures are being looked at; try again")
    try:
        consent = g.language.text("enrol.consent", name=name.strip())
        result = own.people.enrol(name, _decoded(urls), consent, by)
    except ConfigError as error:
        abort(400, str(error))
    finally:
        own.turn.release()
    answer: dict[str, Any] = {
        "person": None if result.person is None else {"id": result.person.id, "name": result.person.name},
        "photos": 0 if result.person is None else result.person.photos,
        "accepted": result.accepted,
        "refused": [{"photo": number, "reason": reason} for number, reason in result.refused],
    }
    if result.person is None:
        return jsonify({**answer, "error": result.reason}), 422
    log.info("person %s was enrolled by %s", result.person.id, by)
    return jsonify(answer), 201


def _decoded(jpegs: list[bytes]) -> Iterator[Image]:
    """One after the other, so that only one is unpacked at a time."""
    return (decode(jpeg) for jpeg in jpegs)


def _person(person_id: str) -> PersonView:
    person = door().people.person(person_id)
    if person is None:
        abort(404, "there is nobody of this id")
    return person


def _render(template: str, **values: Any) -> str:
    return render_template(template, device=parts().device, user=g.identity.name, csrf=csrf_token(), **values)
