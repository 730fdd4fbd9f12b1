"""Pictures: the live view and the present picture of a camera."""

from __future__ import annotations

from flask import Blueprint, Response, abort, g, request
from flask.typing import ResponseReturnValue

from device.drawing import encode
from device.web.api import listener_gone, open_slot
from device.web.parts import parts
from device.web.pictures import BOUNDARY, annotated

blueprint = Blueprint("media", __name__)


@blueprint.get("/live/<camera>")
def live(camera: str) -> ResponseReturnValue:
    """MJPEG with boxes, for as long as somebody watches who may."""
    own = parts()
    _check(camera)
    slot = open_slot(own.streams)
    feed = own.feeds[camera, g.language.code]
    response = Response(feed.multipart(listener_gone()), content_type=f"multipart/x-mixed-replace; boundary={BOUNDARY}")
    response.headers["X-Accel-Buffering"] = "no"
    response.call_on_close(slot.release)
    return response


@blueprint.get("/snapshot/<camera>.jpg")
def snapshot(camera: str) -> ResponseReturnValue:
    """The present picture in full size; `?boxes=0` without the boxes."""
    _check(camera)
    boxes = request.args.get("boxes", "1")
    if boxes not in ("0", "1"):
        abort(400, f"boxes is {boxes[:40]!r}; it must be 0 or 1")
    observation = parts().live.latest(camera)
    if observation is None:
        abort(503, f"camera {camera} has not given a picture yet")
    picture = annotated(observation, g.language.label) if boxes == "1" else observation.frame.image
    return Response(encode(picture, quality=90), content_type="image/jpeg")


def _check(camera: str) -> None:
    """Answers 404 for a camera that does not exist."""
    cameras = parts().live.cameras()
    if camera not in cameras:
        abort(404, f"there is no such camera; there are {', '.join(cameras)}")
