"""The access log: a page with filters, the same as CSV, and for programs."""

from __future__ import annotations

import csv
import io
import logging
from collections.abc import Iterator
from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import Any

from flask import Blueprint, Response, abort, g, jsonify, render_template, request
from flask.typing import ResponseReturnValue

from device.datatypes import ACCESS_REASONS, AccessDecision
from device.errors import InputError
from device.web.auth import csrf_token
from device.web.doorsources import AccessFilter, People
from device.web.language import Language, moment
from device.web.parts import door, parts

log = logging.getLogger(__name__)
blueprint = Blueprint("access", __name__)

PAGE = 50
LIMIT_DEFAULT, LIMIT_MAX = 20, 200
CSV_MAX = 50_000
"""Rows of a CSV; `sereno audit export` has no bound."""
FILTERS = ("decision", "person", "reason", "from", "to")
COLUMNS = (
    "time",
    "name",
    "result",
    "decision",
    "reason",
    "reason_text",
    "person",
    "similarity",
    "liveness",
    "frames",
    "lock_ms",
    "summed",
    "camera",
    "record",
    "id",
)


@blueprint.get("/access")
def page() -> ResponseReturnValue:
    """Who came when, and what was decided."""
    own = door()
    before = _before()
    found = own.log.page(_wanted(), PAGE + 1, before)
    kept = {name: request.args.get(name, "") for name in FILTERS if request.args.get(name)}
    return render_template(
        "access.html",
        device=parts().device,
        user=g.identity.name,
        csrf=csrf_token(),
        rows=found[:PAGE],
        older=found[PAGE - 1].record if len(found) > PAGE else None,
        first=before is None,
        names=_names(own.people),
        reasons=ACCESS_REASONS,
        kept=kept,
    )


@blueprint.get("/access.csv")
def as_csv() -> ResponseReturnValue:
    """The same decisions for a spreadsheet: UTF-8, times with the device's offset."""
    wanted, own, language = _wanted(), door(), g.language
    first = own.log.page(wanted, 1000)

    def rows() -> Iterator[AccessDecision]:
        page, count = first, 0
        while page and count < CSV_MAX:
            yield from page
            count += len(page)
            page = own.log.page(wanted, 1000, page[-1].record)

    response = Response(_csv(rows(), language), content_type="text/csv; charset=utf-8")
    response.headers["Content-Disposition"] = f'attachment; filename="access-{parts().device.id}.csv"'
    return response


@blueprint.get("/api/access")
def api() -> ResponseReturnValue:
    """A page of decisions, newest first; `next` is the `before` of the following page."""
    for name in request.args:
        if name not in {*FILTERS, "limit", "before", "lang"}:
            abort(400, f"there is no parameter {name!r}; there are limit, before, {', '.join(FILTERS)}")
    limit = _whole("limit", LIMIT_DEFAULT, 1, LIMIT_MAX) or LIMIT_DEFAULT
    found = door().log.page(_wanted(), limit, _before())
    return jsonify(
        decisions=[as_json(decision) for decision in found], next=found[-1].record if len(found) == limit else None
    )


@blueprint.get("/api/door")
def state() -> ResponseReturnValue:
    """What the door shows now, and what is wrong with it."""
    own = door()
    how = parts().status.status().get("door") or {}
    return jsonify({**own.board.state().as_json(), "fault": how.get("fault", ""), "warnings": how.get("warnings", [])})


def _names(people: People) -> dict[str, str]:
    """Whom the log can be asked for. The log is there also where the gallery is not."""
    try:
        return {person.id: person.name for person in people.people()}
    except InputError as error:
        log.error("%s", error)
        return {}


def as_json(decision: AccessDecision) -> dict[str, Any]:
    """A decision with the field names of MQTT's `door/access`, and the name; its numbers as coarse as there."""
    return {
        "id": decision.id,
        "record": decision.record,
        "time": round(decision.wall, 3),
        "camera": decision.camera,
        "decision": "granted" if decision.granted else "denied",
        "reason": decision.reason,
        "person": decision.person or None,
        "name": decision.name or None,
        "similarity": None if decision.similarity is None else round(decision.similarity, 2),
        "liveness": None if decision.liveness is None else round(decision.liveness, 2),
        "frames": decision.frames,
        "lock_ms": decision.lock_ms,
        "summed": decision.summed,
    }


def verdict_text(language: Language, granted: bool) -> str:
    """`Access granted` or `Access denied`."""
    return language.text("verdict.granted" if granted else "verdict.denied")


def reason_text(language: Language, reason: str) -> str:
    """A reason in words; the reason itself where the catalogue has none."""
    return language.texts.get(f"reason.{reason}", reason)


def _wanted() -> AccessFilter:
    """The filter of the query. Answers 400 with a sentence for what is none."""
    decision, reason = request.args.get("decision", ""), request.args.get("reason", "")
    if decision not in ("", "granted", "denied"):
        abort(400, f"decision is {decision[:40]!r}; it must be granted or denied")
    if reason and reason not in ACCESS_REASONS:
        abort(400, f"there is no reason {reason[:40]!r}; there are {', '.join(ACCESS_REASONS)}")
    wanted = AccessFilter(person=request.args.get("person", "")[:64], reason=reason)
    if decision:
        wanted = replace(wanted, granted=decision == "granted")
    return replace(wanted, since=_day("from", 0), until=_day("to", 1))


def _day(name: str, days_later: int) -> float | None:
    """The beginning of a day of the query, by the device's clock, or of a later one: seconds since 1970."""
    given = request.args.get(name)
    if not given:
        return None
    try:
        day = date.fromisoformat(given) + timedelta(days=days_later)
        return datetime(day.year, day.month, day.day).timestamp()
    except (ValueError, OverflowError):
        abort(400, f"{name} is {given[:40]!r}; it must be a day such as 2026-12-24")


def _before() -> int | None:
    return _whole("before", None, 1, 2**62)


def _whole(name: str, default: int | None, least: int, most: int) -> int | None:
    """A whole number of the query. Answers 400 for anything else."""
    given = request.args.get(name)
    if not given:
        return default
    if not (given.isascii() and given.isdigit()) or not least <= int(given[:20]) <= most:
        abort(400, f"{name} is {given[:40]!r}; it must be a whole number from {least} to {most}")
    return int(given)


def _csv(decisions: Iterator[AccessDecision], language: Language) -> Iterator[str]:
    buffer = io.StringIO()
    writer = csv.writer(buffer)
    writer.writerow(COLUMNS)
    for decision in decisions:
        body = as_json(decision)
        body["time"] = moment(decision.wall).isoformat(timespec="milliseconds")
        body["result"] = verdict_text(language, decision.granted)
        body["reason_text"] = reason_text(language, decision.reason)
        writer.writerow([_cell(body[column]) for column in COLUMNS])
        yield buffer.getvalue()
        buffer.seek(0)
        buffer.truncate()
    yield buffer.getvalue()


def _cell(value: object) -> object:
    """A text that a spreadsheet would take for a formula is marked as a text."""
    if isinstance(value, str) and value.startswith(("=", "+", "-", "@", "\t", "\r")):
        return f"'{value}"
    return "" if value is None else value
