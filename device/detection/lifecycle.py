"""Tracks become events: an object appeared, changed, left. No I/O, no clock: time is that of the frames."""

from __future__ import annotations

import math
import secrets
import string
from collections.abc import Callable, Sequence

from device.config import Camera
from device.datatypes import Event, Frame, ObjectCount, ObjectEvent, Track
from device.detection.association import group_of
from device.detection.subject import Subject, overlap, size
from device.detection.zones import Zones

BACK_AT_PLACE = 0.3
"""IoU with its old box from which a resting object that was lost counts as found again, rather than as another one:
less than two neighbours at a table or in a car park overlap."""
WALK = 1.4
"""How far a moving object gets out of sight, in sizes (roots of its area) each second: a person walks 1.4 m, and their
box measures 1 m by this."""
LEFT_S = 0.5
"""Who was last seen at the picture's border has left it: who appears there later is another. Not at once, though: at
the border boxes are missed for a look or two."""

MAX_FRAMES = 4
"""Frames held at once for pictures not yet told, of any number of objects: 11 MB at 1280 x 720."""

IdFactory = Callable[[float], str]


def event_id(start_wall: float) -> str:
    """An event's id, as Frigate makes it: the time it began and six random letters or digits."""
    tail = "".join(secrets.choice(string.ascii_lowercase + string.digits) for _ in range(6))
    return f"{start_wall:.6f}-{tail}"


class Lifecycle:
    """The events of one camera.

    Args:
        camera: its settings: labels and filters, zones, times.
        new_id: makes an event's id of its start (seconds since 1970).
    Raises:
        ConfigError: a zone's polygon is not one.
    """

    def __init__(self, camera: Camera, new_id: IdFactory = event_id) -> None:
        self._camera = camera
        self._zones = Zones(camera.id, camera.zones)
        self._new_id = new_id
        self._subjects: dict[int, Subject] = {}
        self._counts: dict[str, int | None] = dict.fromkeys(camera.objects)
        self._last_wall = 0.0

    @property
    def needs_frames(self) -> bool:
        """Whether the next frame should be looked at even if nothing moves: an object moves or went missing."""
        return any(s.missed_since is not None or not s.rest.stationary for s in self._subjects.values())

    def update(self, frame: Frame, tracks: Sequence[Track]) -> list[Event]:
        """Take note of the tracker's answer to one frame; tell what changed.

        Args:
            frame: the picture that was looked at; kept (not copied) while it is the best of an object not yet told.
            tracks: all live tracks, also those out of sight.
        """
        self._last_wall = frame.wall
        self._follow(frame, tracks)
        events: list[Event] = [*self._begin(frame), *self._end(frame), *self._change(frame)]
        return events + self._count()

    def finish(self) -> list[Event]:
        """End what is open and count to zero: the camera's last word. Afterwards it may begin anew."""
        return self.lose(math.inf)

    @property
    def patience_s(self) -> float:
        """For how long nothing may be seen before anything ends."""
        return min(self._camera.tracking.lost_s, self._camera.tracking.stationary_lost_s)

    def lose(self, away_s: float) -> list[Event]:
        """End what must have been seen within the last `away_s` seconds, in which there was no frame at all."""
        over = {key: s for key, s in self._subjects.items() if away_s >= self._patience(s)}
        self._subjects = {key: s for key, s in self._subjects.items() if key not in over}
        events: list[Event] = [self._last_word(s) for s in over.values() if s.event_id is not None]
        return events + self._count()

    def _follow(self, frame: Frame, tracks: Sequence[Track]) -> None:
        """Bring the subjects up to date with their tracks."""
        seen = {track.id: track for track in tracks if track.matched}
        for track_id, track in seen.items():
            if track_id not in self._subjects:
                self._subjects[track_id] = Subject(frame, track, self._camera.tracking.stationary_s)
            self._subjects[track_id].see(frame, track, self._zones)
        live = {track.id for track in tracks}
        for track_id in self._subjects.keys() - seen.keys():
            self._subjects[track_id].miss(frame)
            if track_id not in live and self._subjects[track_id].event_id is None:
                del self._subjects[track_id]
        self._let_go_of_frames(frame)

    def _let_go_of_frames(self, frame: Frame) -> None:
        """Hold no more than MAX_FRAMES: the oldest give way to the present one, which shows who is in sight as well."""
        held: dict[float, list[Subject]] = {}
        for subject in self._subjects.values():
            if subject.portrait.pending is not None:
                held.setdefault(subject.portrait.pending.wall, []).append(subject)
        for wall in sorted(held)[:-MAX_FRAMES]:
            for subject in held[wall]:
                subject.portrait.make_do_with(frame, subject.track if subject.missed_since is None else None)

    def _begin(self, frame: Frame) -> list[ObjectEvent]:
        """Make events of those followed long enough, unless they are old acquaintances."""
        events = []
        for track_id, subject in list(self._subjects.items()):
            if subject.event_id is not None or not subject.track.confirmed or subject.missed_since is not None:
                continue
            if (known := self._acquaintance(subject)) is not None:
                self._take_over(known, track_id, frame)
            elif self._counts_as_object(subject):
                subject.event_id = self._new_id(subject.start_wall)
                events.append(self._tell("new", subject, frame))
        return events

    def _counts_as_object(self, subject: Subject) -> bool:
        rule = self._camera.objects.get(subject.label)
        return rule is not None and subject.top_score >= rule.min_score

    def _acquaintance(self, subject: Subject) -> Subject | None:
        """The open event out of sight whose object this is, if any: the one lost nearest to where this one appeared."""
        lost = [s for s in self._subjects.values() if s.event_id is not None and _may_be(subject, s)]
        return min(lost, key=lambda s: _distance(s, subject), default=None)

    def _take_over(self, known: Subject, track_id: int, frame: Frame) -> None:
        """Let an event go on with another track."""
        newcomer = self._subjects.pop(track_id)
        del self._subjects[known.track.id]
        self._subjects[track_id] = known
        known.see(frame, newcomer.track, self._zones)

    def _end(self, frame: Frame) -> list[ObjectEvent]:
        """End what was not seen for too long, unless what may be it is being followed and not yet confirmed."""
        events = []
        for track_id, subject in list(self._subjects.items()):
            if subject.event_id is None or subject.missed_since is None:
                continue
            if frame.monotonic - subject.missed_since < self._patience(subject) - 1e-4 or self._may_return(subject):
                continue
            events.append(self._last_word(subject))
            del self._subjects[track_id]
        return events

    def _patience(self, subject: Subject) -> float:
        """For how many seconds an object may be out of sight."""
        settings = self._camera.tracking
        return settings.stationary_lost_s if subject.rest.stationary else settings.lost_s

    def _may_return(self, subject: Subject) -> bool:
        return any(
            s.event_id is None and s.missed_since is None and not s.track.confirmed and _may_be(s, subject)
            for s in self._subjects.values()
        )

    def _change(self, frame: Frame) -> list[ObjectEvent]:
        """Tell of those that changed in a way worth telling."""
        return [
            self._tell("update", subject, frame)
            for subject in self._subjects.values()
            if self._is_worth_telling(subject, frame)
        ]

    def _is_worth_telling(self, subject: Subject, frame: Frame) -> bool:
        told = subject.told
        if told is None or subject.missed_since is not None:
            return False
        if told.current_zones != subject.presence.current or told.stationary != subject.rest.stationary:
            return True
        if frame.monotonic - subject.told_at < self._camera.tracking.update_interval_s - 1e-4:
            return False
        return subject.portrait.pending is not None or not subject.rest.stationary

    def _tell(self, kind: str, subject: Subject, frame: Frame) -> ObjectEvent:
        after = subject.state(frame.wall)
        before = subject.told or after
        subject.told, subject.told_at = after, frame.monotonic
        best = subject.portrait.hand_over()
        return ObjectEvent("new" if kind == "new" else "update", before, after, best)

    def _last_word(self, subject: Subject) -> ObjectEvent:
        after = subject.state(self._last_wall, ended=True)
        assert subject.told is not None
        return ObjectEvent("end", subject.told, after, subject.portrait.hand_over())

    def _count(self) -> list[Event]:
        """The counts that changed; at the first look all of them: a broker may remember an earlier run's."""
        open_labels = [s.label for s in self._subjects.values() if s.event_id is not None]
        counts = {label: open_labels.count(label) for label in self._counts}
        changed = [ObjectCount(self._camera.id, label, n) for label, n in counts.items() if n != self._counts[label]]
        self._counts.update(counts)
        return list(changed)


def _may_be(newcomer: Subject, lost: Subject) -> bool:
    """Whether a newcomer can be an object out of sight: of its kind, not seen beside it, and within its reach."""
    if lost.missed_since is None or newcomer.first_seen <= lost.last_seen:
        return False
    if group_of(newcomer.label) != group_of(lost.label):
        return False
    if lost.rest.stationary:
        return overlap(lost.track.xyxy, newcomer.first_box) >= BACK_AT_PLACE
    gap_s = newcomer.first_seen - lost.last_seen
    if gap_s > LEFT_S and lost.at_border:
        return False
    return _distance(lost, newcomer) <= WALK * gap_s * size(lost.track.xyxy)


def _distance(lost: Subject, newcomer: Subject) -> float:
    """Pixels between the centre of a lost object's last box and of a newcomer's first."""
    a, b = lost.track.xyxy, newcomer.first_box
    return math.hypot((a[0] + a[2] - b[0] - b[2]) / 2, (a[1] + a[3] - b[1] - b[3]) / 2)
