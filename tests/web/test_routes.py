"""What each address answers."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import simplejpeg
from flask.testing import FlaskClient

from device.errors import InputError
from device.web.app import HEADERS
from tests.web.conftest import PASSWORD, Site, log_in
from tests.web.house import START, a_jpeg, a_state, a_track, an_observation


def test_ok__healthz(visitor: FlaskClient) -> None:
    answer = visitor.get("/healthz")
    assert (answer.status_code, answer.text) == (200, "ok")
    assert "Set-Cookie" not in answer.headers


def test_ok__readyz(site: Site, ana: FlaskClient) -> None:
    answer = ana.get("/readyz")
    assert (answer.status_code, answer.json) == (200, {"ready": True, "reasons": []})
    site.status.reasons = ["camera front: lost"]
    answer = ana.get("/readyz")
    assert (answer.status_code, answer.json) == (503, {"ready": False, "reasons": ["camera front: lost"]})


def test_ok__metrics(ana: FlaskClient) -> None:
    answer = ana.get("/metrics")
    assert answer.content_type == "text/plain; version=0.0.4; charset=utf-8"
    assert "sereno_frames_total 12\n" in answer.text


def test_ok__status_names_the_device(ana: FlaskClient) -> None:
    answer = ana.get("/api/status").json
    assert answer["device"] == {"id": "porch", "name": "Porch", "role": "camera"}
    assert answer["fps"] == 9.8


def test_ok__events_are_paged(site: Site, ana: FlaskClient) -> None:
    for number in range(7):
        site.events.happen("end", a_state(number))
    first = ana.get("/api/events?limit=3").json
    assert [event["start_time"] for event in first["events"]] == [START + 6, START + 5, START + 4]
    second = ana.get(f"/api/events?limit=3&before={first['next']!r}").json
    assert [event["start_time"] for event in second["events"]] == [START + 3, START + 2, START + 1]
    last = ana.get(f"/api/events?limit=3&before={second['next']!r}").json
    assert [event["start_time"] for event in last["events"]] == [START]
    assert last["next"] is None


def test_ok__events_are_filtered(site: Site, ana: FlaskClient) -> None:
    site.events.happen("end", a_state(1))
    site.events.happen("end", a_state(2, label="car", camera="yard"))
    for query in ("camera=yard", "label=car", "camera=yard&label=car"):
        found = ana.get(f"/api/events?{query}").json["events"]
        assert [event["label"] for event in found] == ["car"]
    assert ana.get("/api/events?label=cow").json == {"events": [], "next": None}


@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        ("limit=0", "limit is '0'; it must be a whole number from 1 to 200"),
        ("limit=201", "from 1 to 200"),
        ("limit=2.5", "whole number"),
        ("limit=many", "limit is 'many'"),
        ("limit=nan", "limit is 'nan'"),
        ("limit=", "limit is ''"),
        ("before=yesterday", "before is 'yesterday'; it must be a number of seconds since 1970"),
        ("before=-1", "before is '-1'"),
        ("before=inf", "before is 'inf'"),
        ("camera=cellar", "there is no camera 'cellar'; there are front, yard"),
        ("colour=red", "there is no parameter 'colour'"),
    ],
)
def test_fail__bad_queries_are_explained(ana: FlaskClient, query: str, sentence: str) -> None:
    answer = ana.get(f"/api/events?{query}")
    assert answer.status_code == 400
    assert sentence in answer.json["error"]


def test_ok__event_snapshot(site: Site, ana: FlaskClient) -> None:
    state = a_state(1)
    site.events.happen("new", state, a_jpeg())
    answer = ana.get(f"/api/events/{state.id}/snapshot.jpg")
    assert answer.content_type == "image/jpeg"
    assert answer.data == a_jpeg()
    assert answer.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize("event_id", ["1.0-unknown", "..", "%2e%2e%2fusers.db", "a" * 81, "a%00b", "-a", "a b", "ñ"])
def test_fail__snapshot_of_no_event(ana: FlaskClient, event_id: str) -> None:
    answer = ana.get(f"/api/events/{event_id}/snapshot.jpg")
    assert answer.status_code == 404
    assert "error" in answer.json


def test_ok__camera_snapshot_with_and_without_boxes(site: Site, ana: FlaskClient) -> None:
    assert ana.get("/snapshot/front.jpg").status_code == 503
    site.live.show(an_observation(1, a_track()))
    plain = simplejpeg.decode_jpeg(ana.get("/snapshot/front.jpg?boxes=0").data)
    boxes = simplejpeg.decode_jpeg(ana.get("/snapshot/front.jpg").data)
    assert plain.shape == boxes.shape == (240, 320, 3)
    assert np.abs(plain.astype(int) - (20, 30, 60)).max() < 12
    # On the left edge of the box, its colour.
    assert np.abs(boxes[130, 60].astype(int) - (255, 196, 87)).max() < 60
    assert ana.get("/snapshot/front.jpg?boxes=yes").status_code == 400


@pytest.mark.parametrize(
    "path", ["/snapshot/cellar.jpg", "/live/cellar", "/live/..%2f..", "/snapshot/front.png", "/live/"]
)
def test_fail__no_such_camera(ana: FlaskClient, path: str) -> None:
    answer = ana.get(path)
    assert answer.status_code == 404
    assert "Traceback" not in answer.text


def test_fail__no_such_page_is_a_page(ana: FlaskClient) -> None:
    answer = ana.get("/people")
    assert answer.status_code == 404
    assert answer.content_type.startswith("text/html")
    assert "There is nothing here" in answer.text


def test_fail__too_large_a_body(visitor: FlaskClient, ana: FlaskClient) -> None:
    assert visitor.post("/login", data={"user": "x" * 70_000}).status_code == 413
    answer = ana.post("/api/status", data=b"x" * 70_000, content_type="application/json")
    assert answer.status_code == 413


def test_fail__wrong_method(ana: FlaskClient, bearer: dict[str, str]) -> None:
    answer = ana.post("/api/status", json={}, headers=bearer)
    assert answer.status_code == 405
    assert answer.headers["Allow"]


def test_fail__a_fault_shows_no_traceback(site: Site, ana: FlaskClient, caplog: pytest.LogCaptureFixture) -> None:
    def broken() -> dict[str, object]:
        raise ZeroDivisionError("secret detail")

    site.status.status = broken  # type: ignore[method-assign]
    answer = ana.get("/api/status")
    assert answer.status_code == 500
    assert "secret" not in answer.text
    assert "ZeroDivisionError: secret detail" in caplog.text


def test_fail__a_foreseen_fault_is_its_sentence(site: Site, ana: FlaskClient) -> None:
    def full() -> dict[str, object]:
        raise InputError("the disk is full")

    site.status.status = full  # type: ignore[method-assign]
    answer = ana.get("/api/status")
    assert (answer.status_code, answer.json) == (503, {"error": "the disk is full"})


def test_ok__every_answer_has_the_headers(site: Site, visitor: FlaskClient, ana: FlaskClient) -> None:
    site.live.show(an_observation(1))
    for client in (visitor, ana):
        for path in (
            "/",
            "/login",
            "/healthz",
            "/api/status",
            "/nothing",
            "/static/page.js",
            "/static/nothing",
            "/snapshot/front.jpg",
        ):
            answer = client.get(path)
            for name, value in HEADERS.items():
                assert answer.headers[name] == value, (path, name)
            if not path.startswith("/static"):
                assert answer.headers["Cache-Control"] == "no-store", path


def test_ok__policy_allows_nothing_from_elsewhere_and_nothing_inline() -> None:
    policy = dict(part.split(" ", 1) for part in HEADERS["Content-Security-Policy"].split("; "))
    assert policy["default-src"] == policy["frame-ancestors"] == policy["base-uri"] == "'none'"
    for name in ("script-src", "style-src", "img-src", "connect-src", "form-action"):
        assert policy[name] == "'self'"


def test_ok__stream_of_events(site: Site, ana: FlaskClient) -> None:
    answer = ana.get("/api/events/stream", headers={"Last-Event-ID": "garbage\x7f"})
    assert answer.content_type == "text/event-stream; charset=utf-8"
    body = answer.response
    assert next(iter(body)) == b"retry: 3000\n\n"
    site.events.happen("new", a_state(1))
    text = next(iter(body)).decode()
    assert text.startswith("event: object\ndata: {")
    assert text.endswith("}\n\n")
    assert '"type":"new"' in text
    answer.close()
    assert site.events.listeners == []


def test_ok__stream_ends_with_a_listener_that_was_dropped(site: Site, ana: FlaskClient) -> None:
    answer = ana.get("/api/events/stream")
    site.events.listeners[0].close()
    assert list(answer.response) == [b"retry: 3000\n\n"]


def test_fail__more_streams_than_the_server_gives(site: Site, ana: FlaskClient) -> None:
    opened = [ana.get("/live/front") for _ in range(3)] + [ana.get("/api/events/stream")]
    assert [answer.status_code for answer in opened] == [200] * 4
    for path in ("/live/front", "/api/events/stream"):
        answer = ana.get(path)
        assert answer.status_code == 503
        assert "too many live views and event streams" in answer.json["error"]
    opened[0].close()
    again = ana.get("/live/front")
    assert again.status_code == 200
    for answer in [*opened, again]:
        answer.close()
    assert site.app.extensions["sereno"].streams.free == 4


def test_ok__head_takes_no_stream(site: Site, ana: FlaskClient) -> None:
    for _ in range(10):
        ana.head("/live/front").close()
        ana.head("/api/events/stream").close()
    assert site.app.extensions["sereno"].streams.free == 4
    assert site.events.listeners == []


def test_ok__live_pictures_are_whole_jpegs(site: Site, ana: FlaskClient) -> None:
    site.live.show(an_observation(1, a_track()))
    answer = ana.get("/live/front")
    assert answer.content_type == "multipart/x-mixed-replace; boundary=sereno-frame"
    body = iter(answer.response)
    assert next(body) == b"--sereno-frame\r\n"
    part = next(body)
    head, _, rest = part.partition(b"\r\n\r\n")
    length = int(head.decode().split("Content-Length: ")[1])
    assert rest[length:] == b"\r\n--sereno-frame\r\n"
    picture = cv2.imdecode(np.frombuffer(rest[:length], np.uint8), cv2.IMREAD_COLOR)
    assert picture.shape == (240, 320, 3)
    answer.close()


def test_ok__pages_have_no_script_or_style_inside(ana: FlaskClient, visitor: FlaskClient) -> None:
    for page in (ana.get("/").text, visitor.get("/login").text, ana.get("/nothing").text):
        assert "style=" not in page
        assert " onclick" not in page
        assert page.count("<script") == page.count("<script src=")
        assert "http://" not in page
        assert "https://" not in page


def test_ok__logged_in_needs_no_login(site: Site, ana: FlaskClient) -> None:
    assert ana.get("/login").headers["Location"] == "/"
    assert log_in(site.app.test_client(), "ana", PASSWORD).headers["Location"] == "/"
