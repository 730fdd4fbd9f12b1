"""Who may: sessions, tokens, other sites, other names."""

from __future__ import annotations

import re
import statistics
import time

import pytest
from flask import Flask, jsonify
from flask.testing import FlaskClient

from device.config import Web
from tests.web.conftest import PASSWORD, Site, csrf, log_in

PROGRAM = [
    "/api/status",
    "/api/events",
    "/api/events/stream",
    "/api/events/1.0-a/snapshot.jpg",
    "/metrics",
    "/readyz",
    "/live/front",
    "/live/nowhere",
    "/snapshot/front.jpg",
    "/api/nothing",
]


@pytest.mark.parametrize("path", PROGRAM)
def test_fail__programs_without_a_token(visitor: FlaskClient, path: str) -> None:
    answer = visitor.get(path)
    assert answer.status_code == 401
    assert answer.json == {"error": "log in, or send a token: Authorization: Bearer …"}
    assert answer.headers["WWW-Authenticate"] == 'Bearer realm="sereno"'


@pytest.mark.parametrize("path", ["/", "/nothing", "/people"])
def test_ok__pages_lead_to_the_login(visitor: FlaskClient, path: str) -> None:
    answer = visitor.get(path)
    assert (answer.status_code, answer.headers["Location"]) == (302, "/login")


@pytest.mark.parametrize("path", ["/healthz", "/login", "/static/sereno.css"])
def test_ok__open_to_everyone(visitor: FlaskClient, path: str) -> None:
    assert visitor.get(path).status_code == 200


def test_ok__every_other_route_is_closed(site: Site, visitor: FlaskClient) -> None:
    asked = set()
    for rule in site.app.url_map.iter_rules():
        if rule.endpoint in ("healthz", "pages.login", "static"):
            continue
        path = re.sub(r"<[^>]+>", "x", rule.rule)
        for method in rule.methods - {"OPTIONS"}:
            assert visitor.open(path, method=method).status_code in (302, 401), (method, path)
            asked.add(rule.endpoint)
    assert len(asked) >= 9


def test_ok__token_opens_everything(visitor: FlaskClient, bearer: dict[str, str]) -> None:
    assert visitor.get("/api/status", headers=bearer).status_code == 200
    assert visitor.get("/", headers=bearer).status_code == 200


@pytest.mark.parametrize("value", ["Bearer sereno_wrong", "Bearer ", "Basic YW5hOng=", "nonsense", "Bearer ñ"])
def test_fail__wrong_token_beats_a_good_session(ana: FlaskClient, value: str) -> None:
    answer = ana.get("/api/status", headers={"Authorization": value})
    assert answer.status_code == 401
    assert "token is not valid" in answer.json["error"]


def test_fail__revoked_token(site: Site, visitor: FlaskClient, bearer: dict[str, str]) -> None:
    site.users.revoke_token("tests")
    assert visitor.get("/api/status", headers=bearer).status_code == 401


def test_ok__session_cookie_is_guarded(site: Site) -> None:
    client = site.app.test_client()
    cookie = log_in(client, "ana", PASSWORD).headers["Set-Cookie"]
    assert cookie.startswith("sereno-porch=")
    assert "HttpOnly" in cookie
    assert "SameSite=Strict" in cookie


def test_fail__cookie_changed_or_signed_by_another_device(site: Site, ana: FlaskClient, visitor: FlaskClient) -> None:
    cookie = ana.get_cookie("sereno-porch")
    assert cookie is not None
    visitor.set_cookie("sereno-porch", cookie.value[:-3] + "abc")
    assert visitor.get("/api/status").status_code == 401
    visitor.set_cookie("sereno-porch", cookie.value)
    assert visitor.get("/api/status").status_code == 200
    (site.folder / "session.key").unlink()
    elsewhere = site.make().test_client()
    elsewhere.set_cookie("sereno-porch", cookie.value)
    assert elsewhere.get("/api/status").status_code == 401


def test_ok__session_outlives_a_restart(site: Site, ana: FlaskClient) -> None:
    cookie = ana.get_cookie("sereno-porch")
    assert cookie is not None
    after = site.make().test_client()
    after.set_cookie("sereno-porch", cookie.value)
    assert after.get("/api/status").status_code == 200


def test_ok__login_starts_a_new_session(site: Site) -> None:
    client = site.app.test_client()
    before = csrf(client)
    log_in(client, "ana", PASSWORD)
    assert csrf(client, "/") != before


def test_ok__new_password_ends_open_sessions(site: Site, ana: FlaskClient) -> None:
    assert ana.get("/api/status").status_code == 200
    site.users.set_password("ana", "another long one")
    assert ana.get("/api/status").status_code == 401
    assert ana.get("/").headers["Location"] == "/login"


def test_ok__logout_ends_the_session_for_good(ana: FlaskClient, visitor: FlaskClient) -> None:
    stolen = ana.get_cookie("sereno-porch")
    assert stolen is not None
    assert ana.post("/logout", data={"csrf": csrf(ana, "/")}).status_code == 303
    assert ana.get("/api/status").status_code == 401
    visitor.set_cookie("sereno-porch", stolen.value)
    assert visitor.get("/api/status").status_code == 401


def test_fail__logout_by_another_sites_form(ana: FlaskClient) -> None:
    assert ana.post("/logout", data={"csrf": "guessed"}).status_code == 403
    assert ana.post("/logout").status_code in (403, 415)
    assert ana.get("/logout").status_code == 405
    answer = ana.post("/logout", data={"csrf": csrf(ana, "/")}, headers={"Origin": "http://evil.example"})
    assert answer.status_code == 403
    assert ana.get("/api/status").status_code == 200


def test_fail__login_without_the_forms_secret(visitor: FlaskClient) -> None:
    answer = visitor.post("/login", data={"user": "ana", "password": PASSWORD})
    assert answer.status_code == 403
    assert "The form had expired" in answer.text
    answer = visitor.post("/login", data={"user": "ana", "password": PASSWORD, "csrf": "ñ"})
    assert answer.status_code == 403
    assert visitor.get("/api/status").status_code == 401


def test_fail__login_sent_by_another_site(visitor: FlaskClient) -> None:
    answer = log_in(visitor, "ana", PASSWORD, headers={"Origin": "http://evil.example"})
    assert answer.status_code == 403
    assert log_in(visitor, "ana", PASSWORD, headers={"Origin": "null"}).status_code == 403
    assert log_in(visitor, "ana", PASSWORD, headers={"Origin": "http://localhost"}).status_code == 303


@pytest.mark.parametrize(
    ("user", "password"), [("ana", "wrong password"), ("nobody", PASSWORD), ("", ""), ("ana\0", "x")]
)
def test_fail__wrong_login_says_not_which_part(visitor: FlaskClient, user: str, password: str) -> None:
    answer = log_in(visitor, user, password)
    assert answer.status_code == 401
    assert "User or password is not right." in answer.text
    assert visitor.get("/api/status").status_code == 401


def test_ok__login_forgives_capitals_and_spaces_in_the_name(visitor: FlaskClient) -> None:
    assert log_in(visitor, " Ana ", PASSWORD).status_code == 303


def test_ok__what_was_typed_is_escaped(visitor: FlaskClient) -> None:
    answer = log_in(visitor, '"><script>', "wrong password")
    assert "<script>" not in answer.text
    assert "&#34;&gt;&lt;script&gt;" in answer.text


def test_fail__too_many_logins_wait(site: Site, visitor: FlaskClient) -> None:
    for _ in range(6):
        assert log_in(visitor, "ana", "wrong password").status_code == 401
    answer = log_in(visitor, "ana", PASSWORD)
    assert answer.status_code == 429
    assert answer.headers["Retry-After"] == "2"
    assert "Try again in 2 s" in answer.text
    site.clock.now += 2
    assert log_in(visitor, "ana", PASSWORD).status_code == 303


def test_ok__unknown_users_take_as_long(site: Site) -> None:
    def median_s(user: str) -> float:
        times = []
        for _ in range(7):
            start = time.perf_counter()
            site.users.verify(user, "wrong password")
            times.append(time.perf_counter() - start)
        return statistics.median(times)

    assert 0.4 < median_s("nobody") / median_s("ana") < 2.5


def test_ok__without_users_the_login_is_closed(site: Site) -> None:
    site.users.remove("ana")
    client = site.app.test_client()
    page = client.get("/login").text
    assert "sereno users passwd" in page
    assert "<form" not in page
    assert client.post("/login", data={"user": "admin", "password": "admin"}).status_code == 403


UNSAFE = ["POST", "PUT", "PATCH", "DELETE"]


@pytest.fixture
def posting(site: Site) -> Flask:
    """The application with a route that takes JSON, as later ones will."""
    app = site.make()
    app.add_url_rule("/api/echo", "echo", lambda: jsonify(done=True), methods=UNSAFE)
    return app


def test_ok__json_from_our_own_page(posting: Flask) -> None:
    client = posting.test_client()
    log_in(client, "ana", PASSWORD)
    assert client.post("/api/echo", json={}, headers={"Origin": "http://localhost"}).status_code == 200


@pytest.mark.parametrize(
    "origin",
    [
        None,
        "",
        "null",
        "http://evil.example",
        "http://localhost:81",
        "http://localhost.evil.example",
        "http://localhost@evil.example",
        "http://evil.example/localhost",
        "file://localhost",
        "//localhost",
        "localhost",
        "http://[",
    ],
)
def test_fail__json_from_elsewhere(posting: Flask, origin: str | None) -> None:
    client = posting.test_client()
    log_in(client, "ana", PASSWORD)
    headers = {} if origin is None else {"Origin": origin}
    for method in UNSAFE:
        answer = client.open("/api/echo", method=method, json={}, headers=headers)
        assert answer.status_code == 403, answer.text
        assert "error" in answer.json


@pytest.mark.parametrize("origin", [None, "http://localhost"])
@pytest.mark.parametrize(
    "kind", [None, "", "text/plain", "text/plain; a=application/json", "application/xml", "text/json", "image/jpeg"]
)
def test_fail__other_content_types(posting: Flask, kind: str | None, origin: str | None) -> None:
    client = posting.test_client()
    log_in(client, "ana", PASSWORD)
    headers = {} if origin is None else {"Origin": origin}
    for method in UNSAFE:
        answer = client.open("/api/echo", method=method, data=b"{}", content_type=kind, headers=headers)
        assert answer.status_code == 415
        assert answer.json == {"error": "send application/json"}


@pytest.mark.parametrize("kind", ["application/x-www-form-urlencoded", "multipart/form-data"])
def test_fail__forms_without_the_secret(posting: Flask, kind: str) -> None:
    client = posting.test_client()
    log_in(client, "ana", PASSWORD)
    for headers in ({}, {"Origin": "http://localhost"}):
        for secret in ("", "guessed", "ñ"):
            answer = client.post("/api/echo", data={"csrf": secret}, content_type=kind, headers=headers)
            assert answer.status_code == 403
            assert "the form has expired" in answer.json["error"]


@pytest.mark.parametrize("origin", ["", "null", "http://evil.example", "http://localhost:81", "http://["])
def test_fail__forms_from_elsewhere_even_with_the_secret(posting: Flask, origin: str) -> None:
    client = posting.test_client()
    log_in(client, "ana", PASSWORD)
    answer = client.post("/api/echo", data={"csrf": csrf(client, "/")}, headers={"Origin": origin})
    assert answer.status_code == 403
    assert "another site" in answer.json["error"]


@pytest.mark.parametrize("origin", [None, "http://localhost", "HTTP://LOCALHOST", "https://localhost"])
def test_ok__our_own_form(posting: Flask, origin: str | None) -> None:
    client = posting.test_client()
    log_in(client, "ana", PASSWORD)
    headers = {} if origin is None else {"Origin": origin}
    assert client.post("/api/echo", data={"csrf": csrf(client, "/")}, headers=headers).status_code == 200


def test_ok__token_needs_no_origin(posting: Flask, bearer: dict[str, str]) -> None:
    client = posting.test_client()
    assert client.post("/api/echo", json={}, headers=bearer).status_code == 200


def test_fail__wrong_token_from_our_own_page(posting: Flask) -> None:
    client = posting.test_client()
    log_in(client, "ana", PASSWORD)
    headers = {"Authorization": "Bearer sereno_wrong", "Origin": "http://localhost"}
    assert client.post("/api/echo", json={}, headers=headers).status_code == 401


@pytest.mark.parametrize("path", ["/api/echo", "/api/status", "/"])
def test_ok__other_sites_are_granted_nothing_beforehand(posting: Flask, path: str) -> None:
    client = posting.test_client()
    log_in(client, "ana", PASSWORD)
    asked = {"Origin": "http://evil.example", "Access-Control-Request-Method": "POST"}
    answer = client.options(path, headers=asked)
    assert not [name for name, _ in answer.headers if name.startswith("Access-Control-")]


@pytest.mark.parametrize(
    "host",
    ["localhost", "127.0.0.1:8080", "[::1]:8080", "192.168.1.20", "porch.local", "Porch.local:80", "cam.lan:8080"],
)
def test_ok__names_of_this_device(site: Site, host: str) -> None:
    app = site.make(web=Web(allowed_hosts=["cam.lan"]))
    assert app.test_client().get("/login", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8080", "local", "localhost.evil.example", "127.0.0.1.evil.example"]
)
def test_fail__foreign_names(ana: FlaskClient, bearer: dict[str, str], host: str) -> None:
    answer = ana.get("/api/status", headers={"Host": host, **bearer})
    assert answer.status_code == 400
    assert "web.allowed_hosts" in answer.json["error"]
    assert ana.get("/login", headers={"Host": host}).status_code == 400
    assert ana.get("/healthz", headers={"Host": host}).status_code == 200
