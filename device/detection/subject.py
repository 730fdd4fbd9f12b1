"""What is known of one followed object: where it rests, which zones it is in, which picture shows it best."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from device.datatypes import BestFrame, Box, Frame, Track, TrackedObject
from device.detection.zones import Zones, foot

SMOOTHING_S = 0.5
"""Time constant of the averaged box that decides on rest: one box gone wrong is not a movement."""
SAME_PLACE = 0.5
"""IoU from which two boxes are at the same place, the measure that detections are scored with. A person who steps aside
by a third of their width, or comes so near that they look twice as large, has left it."""
ZONE_S = 0.25
"""A zone counts as entered or left after so many seconds, in two looks at least: feet on its edge do not flicker
(Frigate's inertia: three frames)."""
BORDER_PX = 2
"""A box so near to the picture's border is cut off by it."""
CUT_OFF = 0.6
"""How much a picture of a cut-off object is worth beside one of a whole object."""
BETTER = 1.1
"""A picture replaces another if it is better by so much (Frigate: 10 % more area): not with each frame."""


def overlap(a: Box, b: Box) -> float:
    """Intersection over union of two boxes, 0 to 1."""
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    if width <= 0 or height <= 0:
        return 0.0
    common = width * height
    return common / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - common)


def size(box: Box) -> float:
    """Root of a box's area, in pixels."""
    return math.sqrt(max(box[2] - box[0], 0.0) * max(box[3] - box[1], 0.0))


def touches_border(box: Box, width_px: int, height_px: int) -> bool:
    """Whether a box reaches the border of the picture."""
    return min(box[0], box[1], width_px - box[2], height_px - box[3]) <= BORDER_PX


@dataclass(slots=True)
class Rest:
    """Whether an object stays at its place."""

    stationary_s: float
    anchor: Box
    smoothed: Box
    since: float
    last: float
    stationary: bool = False
    motionless: int = 0
    changes: int = 0

    def see(self, box: Box, now: float) -> None:
        """Take note of where the object is now."""
        weight = 1 - math.exp(-max(now - self.last, 0.0) / SMOOTHING_S)
        x1, y1, x2, y2 = (old + weight * (new - old) for old, new in zip(self.smoothed, box, strict=True))
        self.smoothed, self.last = (x1, y1, x2, y2), now
        if overlap(self.anchor, self.smoothed) < SAME_PLACE:
            self.changes += self.stationary
            self.anchor, self.since, self.stationary, self.motionless = self.smoothed, now, False, 0
        else:
            self.motionless += 1
            self.stationary = self.stationary or now - self.since >= self.stationary_s


@dataclass(slots=True)
class Presence:
    """Which zones an object is in, without flicker at their edges."""

    current: tuple[str, ...] = ()
    entered: tuple[str, ...] = ()
    _differs_since: dict[str, float] = field(default_factory=dict)

    def see(self, at: tuple[str, ...], now: float) -> None:
        """Take note of the zones that hold the object now."""
        changed = [name for name in (*at, *self.current) if (name in at) != (name in self.current)]
        self._differs_since = {name: self._differs_since.get(name, now) for name in changed}
        settled = {name for name, since in self._differs_since.items() if now > since and now - since >= ZONE_S}
        self.current = tuple(name for name in self.current if name not in settled) + tuple(
            name for name in at if name in settled
        )
        self.entered += tuple(name for name in self.current if name not in self.entered)


@dataclass(slots=True)
class Portrait:
    """The best picture so far. It holds on to one frame, until that has been handed over."""

    pending: BestFrame | None = None
    quality: float = 0.0
    has_any: bool = False

    def see(self, frame: Frame, track: Track) -> None:
        """Keep the frame if it shows the object clearly better: surer, larger, whole."""
        quality = _quality(frame, track)
        if quality > self.quality * BETTER:
            self._take(frame, track, quality)

    def make_do_with(self, frame: Frame, track: Track | None) -> None:
        """Let go of the frame held: for another that shows the object too (`track`), or for the next that will."""
        self.pending, self.quality = None, 0.0
        if track is not None:
            self._take(frame, track, _quality(frame, track))

    def _take(self, frame: Frame, track: Track, quality: float) -> None:
        box = pixels(track.xyxy, frame.image.shape[1], frame.image.shape[0])
        self.pending = BestFrame(frame.image, box, track.label, track.confidence, frame.wall)
        self.quality, self.has_any = quality, True

    def hand_over(self) -> BestFrame | None:
        """The best picture, if it has changed since it was last asked for."""
        best, self.pending = self.pending, None
        return best


def _quality(frame: Frame, track: Track) -> float:
    """What a picture of an object is worth beside others of it."""
    height, width = frame.image.shape[:2]
    whole = CUT_OFF if touches_border(track.xyxy, width, height) else 1.0
    # The fourth root of the area: twice as large is worth a fifth more score, not twice.
    return track.confidence * whole * math.sqrt(size(track.xyxy))


def pixels(box: Box, width_px: int, height_px: int) -> tuple[int, int, int, int]:
    """A box in whole pixels, inside the picture."""
    x1, x2 = (min(max(round(x), 0), width_px) for x in (box[0], box[2]))
    y1, y2 = (min(max(round(y), 0), height_px) for y in (box[1], box[3]))
    return x1, y1, x2, y2


class Subject:
    """One followed object of one camera, whether it has made an event yet or not."""

    def __init__(self, frame: Frame, track: Track, stationary_s: float) -> None:
        self.track = track
        self.camera = frame.camera
        self.label = track.label
        self.first_seen, self.start_wall = frame.monotonic, frame.wall
        self.first_box = track.xyxy
        self.last_seen, self.last_wall = frame.monotonic, frame.wall
        self.missed_since: float | None = None
        self._scores: dict[str, tuple[float, float]] = {}
        self.rest = Rest(stationary_s, track.xyxy, track.xyxy, frame.monotonic, frame.monotonic)
        self.presence = Presence()
        self.portrait = Portrait()
        self.box = (0, 0, 0, 0)
        self.at_border = False
        self.event_id: str | None = None
        self.told: TrackedObject | None = None
        self.told_at = 0.0

    def see(self, frame: Frame, track: Track, zones: Zones) -> None:
        """Take note of the object in one frame where it was found."""
        height, width = frame.image.shape[:2]
        self.track, self.missed_since = track, None
        if self.event_id is None:
            self.label = track.label
        self.last_seen, self.last_wall = frame.monotonic, frame.wall
        name = track.seen_as or track.label
        self._scores[name] = (track.confidence, max(self._best(name), track.confidence))
        self.box = pixels(track.xyxy, width, height)
        self.at_border = touches_border(track.xyxy, width, height)
        self.rest.see(track.xyxy, frame.monotonic)
        self.presence.see(zones.at(foot(track.xyxy, width, height), self.label), frame.monotonic)
        self.portrait.see(frame, track)

    @property
    def score(self) -> float:
        """Confidence of the last detection that gave it its own label: another label's may be a mistake, or unasked
        for."""
        return self._scores.get(self.label, (0.0, 0.0))[0]

    @property
    def top_score(self) -> float:
        """The best confidence with which it was given its own label."""
        return self._best(self.label)

    def _best(self, label: str) -> float:
        return self._scores.get(label, (0.0, 0.0))[1]

    def miss(self, frame: Frame) -> None:
        """Take note of a look that did not find it."""
        self.missed_since = frame.monotonic if self.missed_since is None else self.missed_since

    def state(self, frame_time: float, ended: bool = False) -> TrackedObject:
        """The object as events tell of it; needs an `event_id`."""
        assert self.event_id is not None
        x1, y1, x2, y2 = self.box
        return TrackedObject(
            id=self.event_id,
            camera=self.camera,
            label=self.label,
            score=round(self.score, 4),
            top_score=round(self.top_score, 4),
            box=self.box,
            area=(x2 - x1) * (y2 - y1),
            ratio=round((x2 - x1) / max(y2 - y1, 1), 3),
            start_time=self.start_wall,
            end_time=self.last_wall if ended else None,
            frame_time=frame_time,
            current_zones=self.presence.current,
            entered_zones=self.presence.entered,
            has_snapshot=self.portrait.has_any,
            stationary=self.rest.stationary,
            motionless_count=self.rest.motionless,
            position_changes=self.rest.changes,
            active=not self.rest.stationary and not ended,
        )
