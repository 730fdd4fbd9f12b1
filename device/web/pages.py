"""Pages for people: the status page, login and logout."""

from __future__ import annotations

import logging
import math

from flask import Blueprint, current_app, g, redirect, render_template, request, session, url_for
from flask.typing import ResponseReturnValue

from device.web.auth import csrf_token, form_is_ours
from device.web.parts import parts

log = logging.getLogger(__name__)
blueprint = Blueprint("pages", __name__)


@blueprint.get("/")
def index() -> ResponseReturnValue:
    """The status page; of a door, what it sees and decides."""
    own = parts()
    return render_template(
        "index.html" if own.door is None else "door.html",
        device=own.device,
        cameras=own.live.cameras(),
        user=g.identity.name,
        csrf=csrf_token(),
    )


@blueprint.route("/login", methods=["GET", "POST"])
def login() -> ResponseReturnValue:
    """The form, and what it sends."""
    own = parts()
    if request.method == "GET":
        if g.identity is not None:
            return redirect(url_for("pages.index"))
        return _form(200, "")
    if not form_is_ours():
        return _form(403, g.language.text("login.expired"))
    if own.users.empty():
        return _form(403, "")
    user = request.form.get("user", "").strip().casefold()
    address = request.remote_addr or ""
    wait_s = own.throttle.begin(address, user)
    if wait_s > 0:
        response = current_app.make_response(_form(429, g.language.text("login.wait", seconds=math.ceil(wait_s))))
        response.headers["Retry-After"] = str(math.ceil(wait_s))
        return response
    if not own.users.verify(user, request.form.get("password", "")):
        log.warning("login refused, from %s", address)
        return _form(401, g.language.text("login.wrong"))
    own.throttle.succeeded(address, user)
    _open_session(user)
    log.info("login of %s from %s", user, address)
    return redirect(url_for("pages.index"), 303)


@blueprint.post("/logout")
def logout() -> ResponseReturnValue:
    """End the session, here and in the browser."""
    session_id = session.get("id")
    if isinstance(session_id, str):
        parts().users.close_session(session_id)
    session.clear()
    return redirect(url_for("pages.login"), 303)


def _open_session(user: str) -> None:
    """A new session: nothing from before the login is carried over."""
    session.clear()
    session.permanent = True
    session["id"] = parts().users.open_session(user)
    csrf_token()


def _form(code: int, message: str) -> tuple[str, int]:
    own = parts()
    page = render_template(
        "login.html",
        device=own.device,
        csrf=csrf_token(),
        message=message,
        closed=own.users.empty(),
        user=request.form.get("user", "")[:32],
    )
    return page, code
