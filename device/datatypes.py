"""What passes between the rooms: frames, detections, faces, tracks, events. All frozen, none with behaviour."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

Image = npt.NDArray[np.uint8]
"""HxWx3 uint8, RGB, C-contiguous. Nobody writes into a frame after it was captured."""

Box = tuple[float, float, float, float]
"""x1, y1, x2, y2 in pixels of the frame, x right and y down, x2 and y2 exclusive."""


@dataclass(frozen=True, slots=True)
class Frame:
    """One picture from one camera.

    `monotonic` is the frame's own time in seconds: when it was captured or, of a file, its presentation time
    (counted from the moment the file was opened, and never running backwards when the file is looped).
    Everything that measures durations uses it, so that a file gives the same events at any pace.
    `wall` is the same instant in seconds since 1970, for people and messages only.
    """

    camera: str
    index: int
    image: Image
    monotonic: float
    wall: float


@dataclass(frozen=True, slots=True)
class Detection:
    """One object in one picture. `confidence` is 0 to 1; `class_id` indexes the bundle's labels."""

    xyxy: Box
    confidence: float
    class_id: int
    label: str


@dataclass(frozen=True, slots=True, eq=False)
class Face:
    """One face in one picture.

    `landmarks` is 5x2 float32 in pixels of the picture: eyes, nose tip, corners of the mouth, each from left to right
    as seen on an upright face (so the person's right eye comes first). They may lie beyond the picture's edge.
    """

    xyxy: Box
    confidence: float
    landmarks: npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Track:
    """One object followed over frames of one camera.

    `id` is unique within the tracker. `xyxy` is the detected box where `matched`, else the predicted one. Times are
    of `Frame.monotonic`. `hits` counts the detections that were associated. A track is `confirmed` once it has been
    seen often enough to be believed; it never becomes unconfirmed again. `label` is what most of its detections say,
    `confidence` that of the last detection, which said `seen_as` (empty: `label`).
    """

    id: int
    class_id: int
    label: str
    xyxy: Box
    confidence: float
    start: float
    last_seen: float
    hits: int
    matched: bool
    confirmed: bool
    seen_as: str = ""


@dataclass(frozen=True, slots=True)
class TrackedObject:
    """The state of one object that made an event, at one moment. Times are wall-clock seconds, the box is in pixels."""

    id: str
    camera: str
    label: str
    score: float
    top_score: float
    box: tuple[int, int, int, int]
    area: int
    ratio: float
    start_time: float
    end_time: float | None
    frame_time: float
    current_zones: tuple[str, ...]
    entered_zones: tuple[str, ...]
    has_snapshot: bool
    stationary: bool
    motionless_count: int
    position_changes: int
    active: bool


@dataclass(frozen=True, slots=True)
class BestFrame:
    """The picture that shows an object best so far, with its box (pixels) and confidence."""

    image: Image
    box: tuple[int, int, int, int]
    label: str
    score: float
    wall: float


@dataclass(frozen=True, slots=True)
class Match:
    """The person of the gallery whose template is most like a face.

    `person` is the gallery's random id, never a name. `similarity` is the cosine (-1 to 1) of the face's embedding
    and that person's template; `runner_up` that of the next person, -1 where there is no other. `gallery` is how
    many people were compared.
    """

    person: str
    similarity: float
    runner_up: float
    gallery: int


LivenessState = Literal["live", "spoof", "pending", "off"]


@dataclass(frozen=True, slots=True)
class Liveness:
    """What the liveness checks say of one track so far.

    `pending`: not enough was seen yet to call it live; that is no yes. `off`: the policy asks for none. `score` is
    0 (attack) to 1 (live), of the check that is least convinced; `check` names that check, and says who said no
    where `state` is `spoof`.
    """

    state: LivenessState
    score: float
    check: str


EventType = Literal["new", "update", "end"]


@dataclass(frozen=True, slots=True)
class ObjectEvent:
    """An object appeared, changed in a way worth telling, or left.

    `before` is the state last told (equal to `after` for `new`). `best` is set when the best picture has changed
    since the last event that carried one.
    """

    type: EventType
    before: TrackedObject
    after: TrackedObject
    best: BestFrame | None = None


@dataclass(frozen=True, slots=True)
class ObjectCount:
    """How many objects of a label are in view of a camera now."""

    camera: str
    label: str
    count: int


@dataclass(frozen=True, slots=True)
class CameraState:
    """A camera's motion or tamper alarm turned on or off."""

    camera: str
    kind: Literal["motion", "tamper"]
    on: bool
    wall: float
    reason: str = ""


AccessReason = Literal[
    "recognised",
    "fault",
    "tampered",
    "locked_out",
    "liveness",
    "identity_changed",
    "not_yet_valid",
    "expired",
    "clock",
    "schedule",
    "several_people",
    "door_open",
    "stale",
    "unknown",
    "near_miss",
    "ambiguous",
    "unsteady",
    "stopped",
]
"""Why a door decided as it did: the fixed set of docs/access-policy.md, in its order."""
ACCESS_REASONS: tuple[AccessReason, ...] = get_args(AccessReason)


@dataclass(frozen=True, slots=True)
class AccessDecision:
    """One attempt at the door and how it ended, as it is told to MQTT and the page.

    `id` is the decision's own (as in its audit record). `person` is the gallery's random id, empty where nobody was
    recognised; `name` is for people and may be empty. `similarity` and `liveness` are None where nothing was
    measured. `frames` is how many good frames it rests on; `lock_ms` is the time from the frame that decided to the
    lock's movement, the audit's commit included, None where the lock did not move. `summed` counts the like
    attempts that this record stands for, itself included.
    """

    id: str
    wall: float
    camera: str
    granted: bool
    reason: str
    person: str
    name: str
    similarity: float | None
    liveness: float | None
    frames: int
    lock_ms: float | None
    summed: int = 1
    record: int = 0
    """Number of its audit record; 0 where none could be written."""


@dataclass(frozen=True, slots=True)
class LockMoved:
    """The lock was released or went back to rest."""

    unlocked: bool
    wall: float


DoorAlarm = Literal["forced", "held-open", "tamper"]


@dataclass(frozen=True, slots=True)
class DoorState:
    """What the wires of the door say: its contact and the alarms. `contact` is `absent` where none is wired."""

    contact: Literal["open", "closed", "absent"]
    alarms: tuple[DoorAlarm, ...]
    wall: float


@dataclass(frozen=True, slots=True)
class AuditHead:
    """The newest record of the access log: whoever keeps it elsewhere can tell that records were cut off later.

    `seq` is its number, `anchor` one line of JSON that `sereno audit verify --anchor` reads.
    """

    seq: int
    anchor: str


Event = ObjectEvent | ObjectCount | CameraState | AccessDecision | LockMoved | DoorState | AuditHead


@dataclass(frozen=True, slots=True)
class FaceSeen:
    """One face that the door sees now, for the page. The box is in pixels; `track` is never used twice.

    `name` and `person` are empty where nobody was recognised. `quality` lists what is wrong with the picture of it;
    `similarity` and `liveness` are None where nothing was measured in this frame. `outcome` is the decision on its
    attempt, empty until there is one. `prompt` is what the person is asked to do: `look left` or `look right`.
    """

    track: int
    xyxy: Box
    confidence: float
    in_zone: bool
    quality: tuple[str, ...]
    person: str
    name: str
    similarity: float | None
    liveness: Liveness | None
    outcome: Literal["", "granted", "denied"] = ""
    reason: str = ""
    prompt: str = ""


@dataclass(frozen=True, slots=True)
class Observation:
    """What one turn of the loop saw: for the live view, metrics and tests.

    `detected` is False where the gate held the frame back. `faces` is what a door unit sees, a camera box none.
    """

    frame: Frame
    tracks: tuple[Track, ...]
    moving: bool
    detected: bool
    inference_s: float = 0.0
    faces: tuple[FaceSeen, ...] = ()


@dataclass(frozen=True, slots=True)
class Step:
    """What one frame led to. `failure` is a fault of Sereno's own that the process must end by, once the events are
    told."""

    observation: Observation
    events: list[Event]
    failure: Exception | None = None


@dataclass(frozen=True, slots=True)
class CameraHealth:
    """How a camera is doing. `message` is one sentence for a person; empty when all is well.

    `down` counts from the monotonic moment the camera was last known to work, None while it works.
    """

    camera: str
    state: Literal["starting", "ok", "never-opened", "lost", "hung", "ended"]
    message: str
    frames: int
    dropped: int
    reconnects: int
    down_since: float | None = None
