"""For programs: status, readiness, metrics, and the events, listed and as they come."""

from __future__ import annotations

import json
import math
import re
import time
from collections.abc import Callable, Iterator

from flask import Blueprint, Response, abort, g, jsonify, request
from flask.typing import ResponseReturnValue

from device.web.auth import Permission
from device.web.doorboard import DoorBoard
from device.web.parts import parts
from device.web.sources import Subscription
from device.web.streams import Slot, Streams

blueprint = Blueprint("api", __name__)

EVENT_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,79}")
LIMIT_DEFAULT, LIMIT_MAX = 20, 200
WAIT_S = 0.5
DOOR_WAIT_S = 0.25
HEARTBEAT_S = 15.0
RETRY_MS = 3000
BUSY = "too many live views and event streams are open; close one, or try again later"


@blueprint.get("/api/status")
def status() -> ResponseReturnValue:
    """How the device is doing."""
    own = parts()
    return jsonify({"device": own.device.model_dump(mode="json"), **own.status.status()})


@blueprint.get("/readyz")
def readyz() -> ResponseReturnValue:
    """200 when everything works, else 503 and why not."""
    reasons = parts().status.ready()
    return jsonify(ready=not reasons, reasons=reasons), 503 if reasons else 200


@blueprint.get("/metrics")
def metrics() -> ResponseReturnValue:
    """For Prometheus."""
    return Response(parts().status.metrics(), content_type="text/plain; version=0.0.4; charset=utf-8")


@blueprint.get("/api/events")
def events() -> ResponseReturnValue:
    """A page of the last events, newest first; `next` is the `before` of the following page."""
    own = parts()
    known = {"limit", "camera", "label", "before", "lang"}
    for name in request.args:
        if name not in known:
            abort(400, f"there is no parameter {name!r}; there are limit, camera, label and before")
    limit = _number("limit", LIMIT_DEFAULT, 1, LIMIT_MAX)
    before = _number("before", None, 0, 1e11)
    camera, label = request.args.get("camera"), request.args.get("label")
    if camera is not None and camera not in own.live.cameras():
        abort(400, f"there is no camera {camera!r}; there are {', '.join(own.live.cameras())}")
    found = own.events.recent(int(limit or LIMIT_DEFAULT), camera=camera, label=label, before=before)
    return jsonify(events=found, next=found[-1]["start_time"] if len(found) == limit else None)


@blueprint.get("/api/events/<event_id>/snapshot.jpg")
def snapshot(event_id: str) -> ResponseReturnValue:
    """An event's best picture."""
    jpeg = parts().events.snapshot(event_id) if EVENT_ID.fullmatch(event_id) else None
    if jpeg is None:
        abort(404, "there is no picture of such an event")
    return Response(jpeg, content_type="image/jpeg")


@blueprint.get("/api/events/stream")
def stream() -> ResponseReturnValue:
    """The events as they come, as server-sent events: `event: object`, `data:` as in `/api/events`.

    A door sends `event: door` with what it shows now, at once and at each change; see `/api/door`.

    A `Last-Event-ID` is not looked at: what was missed while away is in `/api/events`.
    """
    own = parts()
    slot = open_slot(own.streams)
    if own.door is not None:
        return _stream(_of_door(own.door.board, own.streams, listener_gone()), slot)
    subscription = own.events.subscribe()
    response = _stream(_server_sent(subscription, own.streams, listener_gone()), slot)
    response.call_on_close(subscription.close)
    return response


def _stream(body: Iterator[str], slot: Slot) -> Response:
    response = Response(body, content_type="text/event-stream; charset=utf-8")
    response.headers["X-Accel-Buffering"] = "no"
    response.call_on_close(slot.release)
    return response


def open_slot(streams: Streams) -> Slot:
    """A slot for a stream, or the answer 503."""
    slot = streams.open()
    if slot is None:
        abort(503, BUSY)
    return slot


def listener_gone() -> Callable[[], bool]:
    """Tells, also after the request, whether the one who asks now hung up (where the server can) or may no longer."""
    hung_up: Callable[[], bool] = request.environ.get("waitress.client_disconnected", lambda: False)
    permission = Permission(g.identity)
    return lambda: hung_up() or permission.lost()


def _server_sent(
    subscription: Subscription,
    streams: Streams,
    gone: Callable[[], bool],
    clock: Callable[[], float] = time.monotonic,
) -> Iterator[str]:
    yield f"retry: {RETRY_MS}\n\n"
    sent_at = clock()
    while not (streams.stopping or subscription.closed or gone()):
        message = subscription.get(WAIT_S)
        if message is not None:
            yield f"event: object\ndata: {json.dumps(message, separators=(',', ':'))}\n\n"
        elif clock() - sent_at >= HEARTBEAT_S:
            yield ": still here\n\n"
        else:
            continue
        sent_at = clock()


def _of_door(
    board: DoorBoard, streams: Streams, gone: Callable[[], bool], clock: Callable[[], float] = time.monotonic
) -> Iterator[str]:
    yield f"retry: {RETRY_MS}\n\n"
    sent_at, known = clock(), None
    while not (streams.stopping or gone()):
        shown = board.wait(known, DOOR_WAIT_S)
        if shown is not None:
            known = shown
            yield f"event: door\ndata: {json.dumps(shown.as_json(), separators=(',', ':'))}\n\n"
        elif clock() - sent_at >= HEARTBEAT_S:
            yield ": still here\n\n"
        else:
            continue
        sent_at = clock()


def _number(name: str, default: float | None, least: float, most: float) -> float | None:
    """A number from the query. Answers 400 with a sentence where it is none or out of range."""
    given = request.args.get(name)
    if given is None:
        return default
    try:
        value = float(given)
    except ValueError:
        value = math.nan
    whole = isinstance(default, int)
    if not least <= value <= most or (whole and value != int(value)):
        kind = "a whole number" if whole else "a number of seconds since 1970"
        abort(400, f"{name} is {given[:40]!r}; it must be {kind} from {least:.0f} to {most:.0f}")
    return value
