"""The door: each frame to what the policy must know of it, and the policy's word to the lock."""

from __future__ import annotations

import hashlib
import logging
import sqlite3
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

from device.access.alignment import align
from device.access.enforcement import Enforcer, Outcome
from device.access.face_detector import FaceDetector
from device.access.facetracker import FaceTrack, FaceTracker
from device.access.gallery import Gallery
from device.access.liveness import LivenessChain
from device.access.policy.observation import FaceView, FrameFacts, Now, Observation
from device.access.quality import Limits, assess
from device.access.recognizer import Recognizer
from device.datatypes import Box, Event, Face, FaceSeen, Frame, Image, Liveness, Match, Step
from device.datatypes import Observation as Seen
from device.errors import SerenoError

log = logging.getLogger(__name__)

OTHERS_S = 0.2
"""Beside the largest face in the zone, one of the others is looked at so often, each in its turn."""
SETTLED_S = 1.0
"""A face whose attempt has ended is looked at again only so often: is it still the same one?"""
NOT_LOOKED_AT = ("not looked at",)
UNSEEN = Liveness("pending", 0.0, "")
FORESEEN = (SerenoError, OSError, sqlite3.Error, MemoryError)
"""What may fail without a fault of the program: a model file, a disk, a lock. Whatever else is raised ends the
process, once the denial is told."""


@dataclass(frozen=True, slots=True)
class Glance:
    """The cheap look: whether the faces must be looked for, whether something moves, and what is to be told of it."""

    opens: bool
    moving: bool
    events: tuple[Event, ...] = ()


class Gate(Protocol):
    """Decides which frames are looked at closely."""

    def look(self, frame: Frame, needed: bool) -> Glance:
        """Look cheaply at one frame; `needed`: somebody was there a moment ago."""

    def finish(self) -> list[Event]:
        """End what is on."""


@dataclass(frozen=True, slots=True)
class Eyes:
    """What finds and knows faces."""

    detector: FaceDetector
    limits: Limits
    recognizer: Recognizer
    liveness: LivenessChain
    gallery: Gallery
    asks: bool
    """Whether liveness asks people to do something: `challenge`."""
    in_zone: Callable[[Box, int, int], bool]
    """Whether a face's box is in the access zone of a picture of so many pixels across and down."""


@dataclass(frozen=True, slots=True)
class _Look:
    """What was found out about one face in this frame."""

    track: FaceTrack
    in_zone: bool
    quality: tuple[str, ...] = NOT_LOOKED_AT
    liveness: Liveness | None = None
    match: Match | None = None


class DoorUnit:
    """One door. Holds no thread; the lock has a process of its own."""

    def __init__(
        self,
        *,
        camera: str,
        gate: Gate,
        eyes: Eyes,
        tracker: FaceTracker,
        enforcer: Enforcer,
        now: Callable[[Frame | None], Now],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Put the parts together.

        Args:
            camera: its id.
            gate: what holds still frames back.
            eyes: detector, liveness, recognizer, gallery.
            tracker: of the faces.
            enforcer: policy, log and lock.
            now: the clocks, at the time of the call; given the frame that is judged.
            clock: seconds, for measuring.
        """
        self._gate, self._eyes, self._tracker, self._enforcer = gate, eyes, tracker, enforcer
        self._camera, self._now, self._clock = camera, now, clock
        self._looked_at: dict[int, float] = {}
        self._other_at = -OTHERS_S
        self._failing = ""
        self._last: Frame | None = None

    @property
    def fault(self) -> str:
        """Why the last look at a frame failed; empty where it did not."""
        return self._failing or "; ".join(self._eyes.liveness.faults)

    def process(self, frame: Frame) -> Step:
        """Look at one frame. Whatever fails on the way is a denial, and the lock rests."""
        started_s = self._clock()
        try:
            return self._process(frame, started_s)
        except Exception as error:
            log.exception("the door failed: nobody is let in")
            events = self._enforcer.fail(frame, error, self._now(frame))
            return Step(Seen(frame, (), moving=True, detected=False), events, failure=error)

    def idle(self) -> list[Event]:
        """No frame came: the lock goes to rest all the same, and attempts end."""
        return self._enforcer.tick(self._camera, self._now(self._last))

    def lose(self, away_s: float) -> list[Event]:
        """The camera shows nothing: nobody is followed any more."""
        del away_s
        self._forget(self._tracker.reset())
        return self._enforcer.tick(self._camera, self._now(self._last))

    def finish(self) -> list[Event]:
        """The process ends."""
        return [*self._gate.finish(), *self._enforcer.finish(self._camera, self._now(self._last))]

    # One frame

    def _process(self, frame: Frame, started_s: float) -> Step:
        self._last = frame
        glance = self._gate.look(frame, self._tracker.following)
        looks: list[_Look] = []
        fault = ""
        took_s = 0.0
        if glance.opens:
            looking_s = self._clock()
            try:
                looks = self._look(frame)
                self._failing = ""
            except FORESEEN as error:
                fault = f"{error}" or type(error).__name__
                if fault != self._failing:
                    log.error("%s; nobody is let in until that is mended", fault)
                self._failing = fault
            took_s = self._clock() - looking_s
        seen = self._observation(frame, looks, fault)
        events = [*glance.events, *self._enforcer.look(frame, seen, self._now(frame), started_s)]
        for track in self._enforcer.denied:
            self._eyes.liveness.forget(track)  # A second attempt must prove anew that it is alive.
        self._signal(looks)
        faces = self._faces(looks)
        return Step(Seen(frame, (), glance.moving, glance.opens, took_s, faces), events)

    def _look(self, frame: Frame) -> list[_Look]:
        """Find the faces, follow them, and look closely at those whose turn it is."""
        faces = self._eyes.detector.detect(frame.image, before=self._tracker.faces)
        tracks = self._tracker.update(faces, frame.monotonic)
        self._forget(self._tracker.ended)
        height, width = frame.image.shape[:2]
        looks = [_Look(track, self._eyes.in_zone(track.face.xyxy, width, height)) for track in tracks]
        for index in self._chosen(looks, frame.monotonic):
            others = [other for other in faces if other is not looks[index].track.face]
            looks[index] = self._closely(frame, looks[index], others)
        return looks

    def _chosen(self, looks: Sequence[_Look], now: float) -> list[int]:
        """Whom to look at closely: the largest in the zone whose attempt has not ended, and now and then another."""
        inside = [index for index, look in enumerate(looks) if look.in_zone]
        inside.sort(key=lambda index: -_area(looks[index].track.face.xyxy))
        undecided = [index for index in inside if not self._enforcer.settled(looks[index].track.id)]
        chosen = undecided[:1]
        due = [
            index
            for index in inside
            if index not in chosen
            and now - self._looked_at.get(looks[index].track.id, -SETTLED_S)
            >= (OTHERS_S if index in undecided else SETTLED_S)
        ]
        if due and now - self._other_at >= OTHERS_S:
            self._other_at = now
            chosen.append(min(due, key=lambda index: self._looked_at.get(looks[index].track.id, -SETTLED_S)))
        for index in chosen:
            self._looked_at[looks[index].track.id] = now
        return chosen

    def _closely(self, frame: Frame, look: _Look, others: Sequence[Face]) -> _Look:
        """Quality, liveness, embedding, match: each only where the one before lets it be of use."""
        eyes, track = self._eyes, look.track
        face, template = track.face, eyes.detector.template
        aligned = align(frame.image, face.landmarks, template)
        quality: tuple[str, ...] = assess(frame.image, face, others, template, eyes.limits, aligned).reasons
        asked = eyes.asks and bool(eyes.liveness.prompt(track.id)) and not set(quality) - {"turned away", "tilted"}
        settled = self._enforcer.settled(track.id)
        liveness = eyes.liveness.look(frame, track.id, face, others) if (not quality or asked) and not settled else None
        if quality:
            return replace(look, quality=quality, liveness=liveness)
        embedding = eyes.recognizer.embed(aligned)
        known = self._tracker.recognise(track, embedding)
        if known.id != track.id:
            # Another face was swapped in: nothing of what the former has shown is its own.
            self._forget(self._tracker.ended)
            self._looked_at[known.id] = frame.monotonic
            liveness = eyes.liveness.look(frame, known.id, face, others)
        return _Look(known, look.in_zone, quality, liveness, eyes.gallery.match(embedding))

    # What the policy and the page are told

    def _observation(self, frame: Frame, looks: Sequence[_Look], fault: str) -> Observation:
        gallery = self._eyes.gallery
        views = tuple(
            FaceView(
                track=look.track.id,
                in_zone=look.in_zone,
                area_px=_area(look.track.face.xyxy),
                quality=look.quality,
                match=look.match,
                liveness=look.liveness or UNSEEN,
                person=gallery.rules(look.match.person) if look.match else None,
            )
            for look in looks
        )
        faults = "; ".join([*self._eyes.liveness.faults, *([fault] if fault else [])])
        return Observation(
            frame=FrameFacts(frame.index, frame.monotonic, digest(frame.image) if looks else ""),
            faces=views,
            gallery=gallery.facts(),
            fault=faults,
        )

    def _faces(self, looks: Sequence[_Look]) -> tuple[FaceSeen, ...]:
        names: Mapping[str, str] = self._eyes.gallery.names() if any(look.match for look in looks) else {}
        return tuple(self._face(look, names) for look in looks)

    def _face(self, look: _Look, names: Mapping[str, str]) -> FaceSeen:
        outcome = self._enforcer.outcomes.get(look.track.id)
        match = look.match
        known = match if self._enforcer.recognises(match) else None
        fields: dict[str, Any] = _told(outcome)
        return FaceSeen(
            track=look.track.id,
            xyxy=look.track.face.xyxy,
            confidence=look.track.face.confidence,
            in_zone=look.in_zone,
            quality=look.quality,
            person=known.person if known else "",
            name=names.get(known.person, "") if known else "",
            similarity=match.similarity if match else None,
            liveness=look.liveness,
            prompt=self._eyes.liveness.prompt(look.track.id) if self._eyes.asks else "",
            **fields,
        )

    def _signal(self, looks: Sequence[_Look]) -> None:
        """A lamp says "look here" while somebody's attempt is open."""
        waiting = any(look.in_zone and look.track.id not in self._enforcer.outcomes for look in looks)
        self._enforcer.invite(waiting)

    # Ends

    def _forget(self, tracks: tuple[int, ...]) -> None:
        for track in tracks:
            self._eyes.liveness.forget(track)
            self._looked_at.pop(track, None)
        self._enforcer.forget(tracks)


def digest(image: Image) -> str:
    """A word for a picture: the same only for the very same one. Of every eighth pixel of every eighth row: the
    noise of a camera differs there as anywhere."""
    return hashlib.blake2b(image[::8, ::8].tobytes(), digest_size=16).hexdigest()


def _told(outcome: Outcome | None) -> dict[str, str]:
    if outcome is None:
        return {}
    return {"outcome": "granted" if outcome.granted else "denied", "reason": outcome.reason}


def _area(box: Box) -> float:
    return (box[2] - box[0]) * (box[3] - box[1])
