"""Who is in this picture? For programs, and for the page on which the browser's camera asks."""

from __future__ import annotations

import math
from collections.abc import Sequence

from flask import Blueprint, abort, current_app, g, jsonify, render_template
from flask.typing import ResponseReturnValue

from device.web.auth import csrf_token
from device.web.doorsources import RecognisedFace
from device.web.parts import door, parts
from device.web.uploads import json_object, picture

blueprint = Blueprint("recognition", __name__)

STRANGER = "Desconocido"
"""What pages built on `/reconocer` expect for a face that nobody knows."""
UNKNOWN = "unknown"
BURST, PER_S = 10, 2.0
"""Pictures that one user or token may send at once, and each second after that."""
STEP_ADMIN, STEP = 0.01, 0.05
"""Similarities are told in these steps: whoever hears each small change can paint a face that is taken for somebody."""
TURN_S = 3.0
"""One picture is looked at at a time, so that the door itself is never kept waiting by more than one."""


@blueprint.get("/reconocer")
def page() -> ResponseReturnValue:
    """The page with the browser's camera and a button."""
    door()
    own = parts()
    return render_template("reconocer.html", device=own.device, user=g.identity.name, csrf=csrf_token())


@blueprint.post("/reconocer")
def reconocer() -> ResponseReturnValue:
    """`{"image": "data:image/jpeg;base64,…"}` to `{"resultados": ["Jessica", "Desconocido"]}`, the largest first."""
    return jsonify(resultados=[face.name or STRANGER for face in _look()])


@blueprint.post("/api/recognize")
def recognize() -> ResponseReturnValue:
    """The same with boxes, similarities and what is wrong with the picture of a face."""
    step = STEP_ADMIN if g.identity.admin else STEP
    faces = [
        {
            "xyxy": [round(value, 1) for value in face.xyxy],
            "name": face.name or UNKNOWN,
            "known": bool(face.name),
            "similarity": None if face.similarity is None else stepped(face.similarity, step),
            "quality": list(face.quality),
        }
        for face in _look()
    ]
    return jsonify(faces=faces)


def stepped(similarity: float, step: float) -> float:
    """The nearest whole number of steps, of 0.01 or more."""
    return round(round(similarity / step) * step, 2)


def _look() -> Sequence[RecognisedFace]:
    """The faces in the picture that was sent. Answers with a sentence where that cannot be told."""
    own = door()
    wait_s = own.rate.wait_s(_who_asks())
    if wait_s > 0:
        answer = current_app.make_response((jsonify(error="too many pictures at once; wait a moment"), 429))
        answer.headers["Retry-After"] = str(math.ceil(wait_s))
        abort(answer)
    if not own.turn.acquire(timeout=TURN_S):
        abort(503, "other pictures are being looked at; try again")
    try:
        return own.recognises.faces(picture(json_object()))
    finally:
        own.turn.release()


def _who_asks() -> str:
    """What the rate is counted by: a user, in however many sessions, or a token's name."""
    return f"{g.identity.by} {g.identity.name}"
