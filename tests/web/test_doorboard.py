"""What the door shows: the newest verdict, for as long as it is true."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from device.access.gallery import Gallery
from device.datatypes import AccessDecision, DoorState, FaceSeen, Frame, LockMoved, Observation
from device.web.doorboard import GONE_S, VERDICT_S, DoorBoard, Shown, Verdict
from tests.web.conftest import Clock, Site
from tests.web.doorhouse import DoorHouse

IMAGE = np.zeros((8, 8, 3), np.uint8)
NAMES = {"id of Ana": "Ana", "id of Eva": "Eva"}


def make(clock: Callable[[], float] = time.monotonic, names: dict[str, str] = NAMES) -> DoorBoard:
    return DoorBoard(lambda: names, clock)


def face(track: int = 1, **changes: Any) -> FaceSeen:
    values: dict[str, Any] = {
        "track": track,
        "xyxy": (0.0, 0.0, 5.0, 5.0),
        "confidence": 0.9,
        "in_zone": True,
        "quality": (),
        "person": "",
        "name": "",
        "similarity": None,
        "liveness": None,
    }
    return FaceSeen(**{**values, **changes})


def seen(*faces: FaceSeen) -> Observation:
    return Observation(Frame("front", 1, IMAGE, 0.0, 0.0), (), moving=True, detected=True, faces=faces)


def decision(granted: bool, reason: str, name: str = "", **changes: Any) -> AccessDecision:
    values: dict[str, Any] = {
        "id": "x",
        "wall": 0.0,
        "camera": "front",
        "granted": granted,
        "reason": reason,
        "person": f"id of {name}" if name else "",
        "name": name,
        "similarity": None,
        "liveness": None,
        "frames": 3,
        "lock_ms": None,
        "record": 7,
    }
    return AccessDecision(**{**values, **changes})


def test_ok__verdict_goes_after_a_while_and_stays_with_the_face() -> None:
    clock = Clock()
    board = make(clock)
    assert board.state() == Shown()
    board.accept(decision(True, "recognised", "Ana"))
    board.show(seen(face(outcome="granted", reason="recognised", person="id of Ana")))
    assert board.state().verdict == Verdict(True, "recognised", "Ana")
    assert board.state().record == 7
    for _ in range(100):
        clock.now += 0.1
        board.show(seen(face(outcome="granted", reason="recognised")))
    assert board.state().verdict == Verdict(True, "recognised", "Ana")
    clock.now += GONE_S + 0.01
    assert board.state() == Shown(record=7)


def test_ok__verdict_is_shown_for_some_seconds_when_the_face_has_left() -> None:
    clock = Clock()
    board = make(clock)
    board.accept(decision(False, "near_miss"))
    clock.now += VERDICT_S - 0.01
    assert board.state().verdict == Verdict(False, "near_miss", "")
    clock.now += 0.02
    assert board.state().verdict is None


def test_ok__denial_that_is_summed_up_is_shown_when_it_happens_and_not_later() -> None:
    clock = Clock()
    board = make(clock)
    board.show(seen(face(outcome="denied", reason="unknown")))
    assert board.state().verdict == Verdict(False, "unknown", "")
    clock.now += 60
    board.accept(decision(False, "unknown", frames=0, summed=9))
    assert board.state().verdict is None
    assert board.state().record == 7


def test_ok__denial_beside_does_not_hide_a_grant_while_the_lock_is_released() -> None:
    board = make(Clock())
    board.accept(decision(True, "recognised", "Ana"))
    board.accept(LockMoved(unlocked=True, wall=0.0))
    board.show(seen(face(2, outcome="denied", reason="unknown")))
    assert board.state().verdict == Verdict(True, "recognised", "Ana")
    board.accept(LockMoved(unlocked=False, wall=3.0))
    board.accept(decision(False, "unknown"))
    assert board.state().verdict == Verdict(False, "unknown", "")


def test_ok__grant_replaces_a_denial_at_once() -> None:
    board = make(Clock())
    board.accept(decision(False, "liveness", "Ana"))
    board.accept(decision(True, "recognised", "Eva"))
    assert board.state().verdict == Verdict(True, "recognised", "Eva")


def test_fail__name_of_one_is_never_lent_to_another() -> None:
    clock = Clock()
    board = make(clock)
    board.accept(decision(False, "schedule", "Ana"))
    clock.now += 3
    board.show(seen(face(9, outcome="denied", reason="schedule")))
    assert board.state().verdict == Verdict(False, "schedule", "")
    board.show(seen(face(10, in_zone=False, outcome="granted", reason="recognised", person="id of Eva")))
    assert board.state().verdict == Verdict(False, "schedule", "")


def test_fail__name_of_somebody_who_was_forgotten_meanwhile() -> None:
    """By another process, too: who stands there still is shown without a name."""
    clock, names = Clock(), dict(NAMES)
    board = make(clock, names)
    board.accept(decision(True, "recognised", "Ana"))
    shown = board.wait(None, 1)
    del names["id of Ana"]
    board.show(seen(face(outcome="granted", reason="recognised", person="id of Ana", name="Ana")))
    assert board.state().verdict == Verdict(True, "recognised", "")
    changed = board.wait(shown, 1)
    assert changed is not None
    assert changed.verdict == Verdict(True, "recognised", "")


def test_ok__prompt_lock_contact_and_alarms() -> None:
    clock = Clock()
    board = make(clock)
    board.show(seen(face(prompt="look left"), face(2, in_zone=False)))
    board.accept(LockMoved(unlocked=True, wall=0.0))
    board.accept(DoorState("open", ("forced",), 0.0))
    assert board.state() == Shown(None, "look left", 1, "unlocked", "open", ("forced",), 0)
    clock.now += GONE_S + 0.01
    assert (board.state().prompt, board.state().faces) == ("", 0)


def test_ok__waits_for_what_is_new() -> None:
    board = make()
    first = board.wait(None, 1)
    assert first == Shown()
    assert board.wait(first, 0.05) is None
    threading.Timer(0.05, board.accept, [LockMoved(unlocked=True, wall=0.0)]).start()
    changed = board.wait(first, 5)
    assert changed is not None
    assert changed.lock == "unlocked"


def test_ok__stream_of_a_door(door: Site, house: DoorHouse, vera: Any) -> None:
    name, person = next(iter(house.ids.items()))
    body = iter(vera.get("/api/events/stream").response)
    assert next(body) == b"retry: 3000\n\n"
    assert b'"verdict":null' in next(body)
    board = door.app.extensions["sereno"].door.board
    board.accept(decision(True, "recognised", name, person=person))
    assert (
        f'event: door\ndata: {{"verdict":{{"granted":true,"reason":"recognised","name":"{name}"}}'
        in next(body).decode()
    )
    state = vera.get("/api/door").json
    assert (state["verdict"]["name"], state["lock"], state["fault"]) == (name, "locked", "")
    command = Gallery.open(house.path, house.key, None)
    command.forget(person)
    command.close()
    assert b'{"granted":true,"reason":"recognised","name":""}' in next(body)
    assert vera.get("/api/door").json["verdict"]["name"] == ""
