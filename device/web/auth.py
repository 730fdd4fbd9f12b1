"""Who is asking, and may they: host names, sessions, bearer tokens, and what other sites' pages would like to send."""

from __future__ import annotations

import hmac
import ipaddress
import logging
import secrets
import socket
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Literal

from flask import Flask, g, redirect, request, session, url_for
from flask.typing import ResponseReturnValue
from werkzeug.exceptions import BadRequest, Forbidden, RequestEntityTooLarge, Unauthorized, UnsupportedMediaType

from device.errors import InputError
from device.web.bodies import PICTURE_PATHS
from device.web.users import UserStore

log = logging.getLogger(__name__)

OPEN_ENDPOINTS = {"healthz", "pages.login", "static"}
PROGRAM_PATHS = ("/api/", "/metrics", "/readyz", "/live/", "/snapshot/")
"""Answered with JSON errors and 401, not with pages and a way to the login."""
PROGRAM_POSTS = {"/reconocer"}
"""Pages that are also asked by programs, by POST."""
SAFE_METHODS = {"GET", "HEAD", "OPTIONS"}
FORM_TYPES = {"application/x-www-form-urlencoded", "multipart/form-data"}
CSRF_FIELD = "csrf"
RECHECK_S = 2.0
"""So often an open stream looks whether its session or token is still good."""


@dataclass(frozen=True, slots=True)
class Identity:
    """Who is asking: a user by a session, or a program by a token. `holds` looks up whether that is still so."""

    name: str
    by: Literal["session", "token"]
    holds: Callable[[], bool] = field(repr=False, compare=False)
    admin: bool = False
    """A token never is: what changes people asks for a person."""


class Permission:
    """The right to an answer that goes on after its request was let pass. Works outside of the request, too."""

    def __init__(self, identity: Identity, clock: Callable[[], float] = time.monotonic) -> None:
        """`identity` has just been found good. `clock`: monotonic seconds."""
        self._identity = identity
        self._clock = clock
        self._looked_at = clock()
        self._lost = False

    def lost(self) -> bool:
        """Whether the session or token has ended, looked up every `RECHECK_S` seconds; what is lost stays lost."""
        if not self._lost and self._clock() - self._looked_at >= RECHECK_S:
            self._lost = not self._still_holds()
            self._looked_at = self._clock()
        return self._lost

    def _still_holds(self) -> bool:
        """False also where it cannot be told: who asks anew is then answered why."""
        try:
            return self._identity.holds()
        except InputError as error:
            log.error("a stream of %s ends: %s", self._identity.name, error)
            return False


class Guard:
    """Looks at every request before anything else does."""

    def __init__(self, users: UserStore, hosts: Iterable[str]) -> None:
        """`hosts`: names for the device that are good, beside addresses, `localhost`, `*.local` and its own."""
        self._users = users
        self._hosts = {host.casefold() for host in hosts} | {"localhost", socket.gethostname().casefold()}

    def install(self, app: Flask) -> None:
        """Have `app` ask for each request."""
        app.before_request(self.check)

    def check(self) -> ResponseReturnValue | None:
        """None to let the request pass, or the answer. Raises what `werkzeug.exceptions` has for the rest."""
        g.identity = None
        if request.endpoint == "healthz":
            return None
        self._check_host()
        if (request.content_length or 0) > (request.max_content_length or 0):
            raise RequestEntityTooLarge(
                f"the body has {request.content_length:,} bytes; {request.max_content_length:,} are the most"
            )
        g.identity = self._identity()
        if g.identity is None and request.endpoint not in OPEN_ENDPOINTS:
            return _ask_to_log_in()
        if request.method not in SAFE_METHODS:
            _check_origin_of_change()
        return None

    def _check_host(self) -> None:
        """A page of another site can point its own name at this address; requests under foreign names are refused."""
        if not self._known_host(_host_name(request.host)):
            raise BadRequest(
                "this device is not known by that name; use its address, or add the name to web.allowed_hosts"
            )

    def _known_host(self, name: str) -> bool:
        if name in self._hosts or name.endswith((".local", ".localhost")):
            return True
        try:
            ipaddress.ip_address(name)
        except ValueError:
            return False
        return True

    def _identity(self) -> Identity | None:
        """By bearer token where one is given (a wrong one is refused, whatever else there is), else by session."""
        given = request.headers.get("Authorization")
        if given is not None:
            scheme, _, token = given.partition(" ")
            name = self._users.verify_token(token.strip()) if scheme.casefold() == "bearer" else None
            if name is None:
                raise Unauthorized("the token is not valid; `sereno token list` shows those that are")
            return Identity(name, "token", lambda: self._users.verify_token(token.strip()) == name)
        session_id = session.get("id")
        if not isinstance(session_id, str) or (user := self._users.session_user(session_id)) is None:
            return None
        holds = lambda: self._users.session_user(session_id) == user  # noqa: E731
        return Identity(user, "session", holds, self._users.is_admin(user))


def for_program() -> bool:
    """Whether the answer is for a program (JSON) rather than for a person (a page)."""
    return request.path.startswith(PROGRAM_PATHS) or (request.method == "POST" and request.path in PROGRAM_POSTS)


def require_admin() -> str:
    """The name of the administrator who asks; answers 403 to everybody else."""
    identity: Identity = g.identity
    if not identity.admin:
        raise Forbidden("this is for administrators; `sereno users role NAME admin` makes one")
    return identity.name


def csrf_token() -> str:
    """The secret that forms of this session carry; another site cannot read it."""
    if not isinstance(session.get(CSRF_FIELD), str):
        session[CSRF_FIELD] = secrets.token_urlsafe(32)
    return str(session[CSRF_FIELD])


def form_is_ours() -> bool:
    """Whether a posted form carries the secret of this session."""
    given, own = request.form.get(CSRF_FIELD, ""), session.get(CSRF_FIELD)
    return isinstance(own, str) and hmac.compare_digest(given.encode(), own.encode())


def _ask_to_log_in() -> ResponseReturnValue:
    if for_program() or request.method not in SAFE_METHODS:
        raise Unauthorized("log in, or send a token: Authorization: Bearer …")
    return redirect(url_for("pages.login"))


def _check_origin_of_change() -> None:
    """Refuse what a page of another site could have sent: a change needs a token, our own JSON call or our own form."""
    if g.identity is not None and g.identity.by == "token":
        return
    origin = request.headers.get("Origin")
    if origin is not None and not _is_ours(origin):
        raise Forbidden("this request comes from a page of another site")
    if request.mimetype == "application/json":
        if origin is None:
            raise Forbidden("a JSON request needs an Origin header of this site, or a token")
        return
    if request.mimetype not in FORM_TYPES or request.path in PICTURE_PATHS:
        raise UnsupportedMediaType("send application/json")
    # The login page answers a form that has expired itself, with a fresh one.
    if request.endpoint != "pages.login" and not form_is_ours():
        raise Forbidden("the form has expired; load the page again")


def _is_ours(origin: str) -> bool:
    """Whether an Origin header names this very address; https, too, which a proxy may have unwrapped."""
    scheme, _, place = origin.casefold().partition("://")
    return scheme in ("http", "https") and place == request.host.casefold()


def _host_name(host: str) -> str:
    """The name or address in a Host header, without port and brackets."""
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.rpartition(":")[0].casefold() if ":" in host else host.casefold()
