"""The page as a Flask application: put together from its parts, with the headers and errors that all answers share."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from functools import partial

from flask import Flask, Response, abort, g, jsonify, render_template, request
from flask.typing import ResponseReturnValue
from werkzeug.exceptions import HTTPException

from device.config import Device, Web
from device.errors import SerenoError
from device.web import access, api, media, pages, people, recognition
from device.web.auth import Guard, for_program
from device.web.bodies import PICTURE_PATHS
from device.web.doorsources import DoorSources
from device.web.language import COOKIE, LANGUAGES, Language, language_of, moment
from device.web.parts import EXTENSION, DoorParts, Parts, parts
from device.web.pictures import Feed
from device.web.rate import Rate
from device.web.secretfile import session_key
from device.web.sources import EventSource, LiveSource, StatusSource
from device.web.streams import Streams
from device.web.throttle import LoginThrottle
from device.web.uploads import MAX_PICTURE_BODY
from device.web.users import SESSION_S, UserStore

log = logging.getLogger(__name__)

MAX_STREAMS = 12
"""Live pictures and event streams at the same time. Each holds a thread of the server."""
MAX_BODY_BYTES = 64 * 1024
YEAR_S = 365 * 24 * 3600
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        "frame-ancestors 'none'; base-uri 'none'; form-action 'self'"
    ),
    "X-Content-Type-Options": "nosniff",
    # Not no-referrer: browsers would then send `Origin: null` with our own forms.
    "Referrer-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=(), payment=(), usb=()",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}

CAMERA_PAGES = {"recognition.page", "people.index"}
"""These pages, and nothing that they could hold, may ask for the browser's camera."""


def create_app(
    *,
    device: Device,
    web: Web,
    live: LiveSource,
    events: EventSource,
    status: StatusSource,
    users: UserStore,
    door: DoorSources | None = None,
    max_streams: int = MAX_STREAMS,
    clock: Callable[[], float] = time.monotonic,
) -> Flask:
    """The application, to be served by `device.web.server.WebServer`.

    Args:
        door: what a door unit has beside; None for a camera box.
        users: its folder also gets `session.key`, the key of the session cookies.
        max_streams: how many viewers and listeners at once; those beyond are answered 503.
        clock: monotonic seconds, for the waits after failed logins.
    Raises:
        InputError: the session key cannot be read or made.
    """
    app = Flask(__name__)
    app.config.update(
        SECRET_KEY=session_key(users.path.parent / "session.key"),
        # Of its own for each device: cookies do not tell ports of a host apart, and a Pi may run two.
        SESSION_COOKIE_NAME=f"sereno-{device.id}",
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SAMESITE="Strict",
        SESSION_REFRESH_EACH_REQUEST=False,
        PERMANENT_SESSION_LIFETIME=SESSION_S,
        MAX_CONTENT_LENGTH=MAX_BODY_BYTES,
        TRAP_HTTP_EXCEPTIONS=False,
        PROPAGATE_EXCEPTIONS=False,
    )
    app.json.ensure_ascii = False  # type: ignore[attr-defined]
    streams = Streams(max_streams)
    feeds = {
        (camera, code): Feed(camera, live, Language(code).label, web.live_fps, streams, clock)
        for camera in live.cameras()
        for code in LANGUAGES
    }
    app.extensions[EXTENSION] = Parts(
        device, live, events, status, users, LoginThrottle(clock), streams, feeds, _door_parts(door, clock)
    )
    app.before_request(_choose_language)
    app.before_request(_bound_body)
    Guard(users, {web.host, *web.allowed_hosts}).install(app)
    app.add_url_rule("/healthz", "healthz", _healthz)
    for blueprint in (
        pages.blueprint,
        api.blueprint,
        media.blueprint,
        recognition.blueprint,
        access.blueprint,
        people.blueprint,
    ):
        app.register_blueprint(blueprint)
    app.register_error_handler(HTTPException, _http_error)
    app.register_error_handler(SerenoError, _foreseen_error)
    app.register_error_handler(Exception, _unforeseen_error)
    app.after_request(_finish)
    app.context_processor(_template_names)
    return app


def _door_parts(door: DoorSources | None, clock: Callable[[], float]) -> DoorParts | None:
    if door is None:
        return None
    rate = Rate(clock, recognition.BURST, recognition.PER_S)
    return DoorParts(door.recognises, door.log, door.people, door.board, rate)


def _healthz() -> ResponseReturnValue:
    """The process lives. Open to everyone, says nothing else."""
    return Response("ok", content_type="text/plain; charset=utf-8")


def _choose_language() -> None:
    g.language = language_of(request)
    wish = request.args.get("lang")
    if wish is not None and wish not in LANGUAGES:
        abort(400, f"lang is {wish[:40]!r}; it must be {' or '.join(LANGUAGES)}")


def _bound_body() -> None:
    """Pictures are larger than anything else that is sent."""
    if request.path in PICTURE_PATHS:
        request.max_content_length = MAX_PICTURE_BODY


def _template_names() -> dict[str, object]:
    chosen: Language = g.language
    return {
        "t": chosen.text,
        "language": chosen,
        "languages": LANGUAGES,
        "verdict": partial(access.verdict_text, chosen),
        "reason": partial(access.reason_text, chosen),
        "moment": moment,
        "admin": getattr(g.get("identity"), "admin", False),
        "is_door": parts().door is not None,
    }


def _finish(response: Response) -> Response:
    """Headers of every answer: pictures and pages are never kept anywhere, pages of other sites may do nothing."""
    response.headers.update(HEADERS)
    if request.endpoint in CAMERA_PAGES:
        response.headers["Permissions-Policy"] = HEADERS["Permissions-Policy"].replace("camera=()", "camera=(self)")
    if request.endpoint != "static":
        response.headers["Cache-Control"] = "no-store"
        response.headers.add("Vary", "Cookie, Accept-Language")
    if request.args.get("lang") in LANGUAGES:
        response.set_cookie(COOKIE, request.args["lang"], max_age=YEAR_S, httponly=True, samesite="Strict")
    return response


def _http_error(error: HTTPException) -> ResponseReturnValue:
    if error.response is not None or error.code is None or error.code < 400:
        return error
    answer = _answer(error.code, _sentence(error))
    for name, value in error.get_headers():
        if name not in ("Content-Type", "Content-Length"):
            answer.headers[name] = value
    if error.code == 401:
        answer.headers["WWW-Authenticate"] = 'Bearer realm="sereno"'
    return answer


def _foreseen_error(error: SerenoError) -> ResponseReturnValue:
    log.error("%s", error)
    return _answer(503, str(error))


def _unforeseen_error(error: Exception) -> ResponseReturnValue:
    log.error("%s %s failed", request.method, request.path, exc_info=error)
    return _answer(500, "something went wrong here; the log of the device says what")


def _sentence(error: HTTPException) -> str:
    """Our own words where a route gave some, else those of the catalogue, for pages and programs alike."""
    if error.description and error.description != type(error).description:
        return error.description
    return (error.name or "error").lower()


def _answer(code: int, sentence: str) -> Response:
    """The error as JSON for programs and as a page for people."""
    if for_program():
        response = jsonify(error=sentence)
    else:
        texts = g.language.texts
        known = f"error.{code}" if f"error.{code}" in texts else "error.other"
        response = Response(
            render_template("error.html", code=code, title=texts[known], sentence=sentence), content_type="text/html"
        )
    response.status_code = code
    return response
