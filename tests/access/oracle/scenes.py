"""Sequences of calls for the policy, drawn at random by a seed: people at a door, and all that may go wrong there.

A scene is a generator of steps. The same seed gives the same steps; none depends on what the policy answers.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from device.access.policy import (
    DoorFacts,
    FaceView,
    FrameFacts,
    GalleryFacts,
    Now,
    Observation,
    PersonRules,
    Rules,
)
from device.datatypes import Liveness, Match
from tests.access.oracle import given
from tests.access.oracle.given import INF, NAN, PEOPLE
from tests.access.oracle.looks import threshold


@dataclass(frozen=True)
class Look:
    """`decide` with these."""

    observation: Observation
    now: Now
    rules: Rules


@dataclass(frozen=True)
class Close:
    """`close` with these; the process may go on."""

    now: Now
    rules: Rules


@dataclass(frozen=True)
class Restart:
    """The process starts anew with what was kept, or with `record` where that is set."""

    now: Now
    record: tuple[Any, ...] = ()


Step = Look | Close | Restart


@dataclass
class Actor:
    """Somebody before the door."""

    track: int
    who: str
    kind: str
    liveness: str
    quality: float
    inside: float
    area: float
    limits: PersonRules | None
    phase: int = 0


class Scene:
    """One sequence: the door, those before it, and the clocks."""

    def __init__(self, seed: int) -> None:
        """`seed` decides everything."""
        self.draw = draw = random.Random(seed)
        self.rules = given.draw_rules(draw)
        self.people = draw.choice((0, 1, 2, 3, 50, 5000))
        self.exact = draw.random() < 0.6
        self.pace = draw.choice((0.125, 0.25, 0.25, 0.5)) if self.exact else draw.choice((0.07, 0.1, 0.31))
        self.monotonic_s = draw.choice((0.0, 16.0, 4096.5)) if self.exact else draw.uniform(0, 1e6)
        self.wall_s = float(
            draw.choice(given.TURNS) + draw.choice((-7200, -3600, -1800, -900, -1, 0, 1, 900, 1800, 3600, 7200))
        )
        if draw.random() < 0.2:
            self.wall_s = draw.uniform(1.7e9, 1.9e9)
        self.trusted = draw.random() < 0.85
        self.boot = 0
        self.index = draw.choice((0, 7, -3))
        self.captured_s = -INF
        self.digests = ["first"]
        self.fault = self.gallery_fault = ""
        self.contact, self.tampered = draw.choice(("absent", "closed", "open")), False
        self.camera = "good"
        self.wild = draw.random() < 0.08
        self.tracks = draw.choice((0, 5))
        self.temper = draw.choices(
            ("good", "unknown", "near", "ambiguous", "flicker", "mixed"), (40, 14, 16, 10, 8, 12)
        )[0]
        self.calls = draw.randint(18, 38)
        self.observation: Observation | None = None
        self.actors = [self._actor() for _ in range(draw.choice((1, 1, 1, 2, 2, 3)))]

    def _actor(self) -> Actor:
        """Somebody new."""
        draw = self.draw
        self.tracks += 1
        kinds = ("good", "unknown", "near", "ambiguous", "flicker")
        kind = self.temper if self.temper != "mixed" and draw.random() < 0.85 else draw.choice(kinds)
        return Actor(
            track=self.tracks,
            who=draw.choice(PEOPLE),
            kind=kind,
            liveness=draw.choices(("live", "late", "spoof", "pending", "off", "mixed"), (62, 8, 7, 8, 5, 10))[0],
            quality=draw.choice((1.0, 1.0, 0.95, 0.7, 0.0 if draw.random() < 0.2 else 0.9)),
            inside=draw.choice((1.0, 1.0, 1.0, 0.8)),
            area=float(draw.choice((100, 100, 400, 900))),
            limits=given.draw_limits(draw, self.wall_s),
        )

    def now(self) -> Now:
        """The clocks."""
        return Now(self.monotonic_s, self.wall_s, self.trusted, f"boot {self.boot}")

    def _match(self, actor: Actor) -> Match | None:
        """What the gallery says of an actor now."""
        draw, rules = self.draw, self.rules
        gallery = self.people if draw.random() < 0.97 else draw.choice((-1, 0, 7, 100_000))
        limit = threshold(rules.thresholds, rules.target_fmr, max(1, self.people, gallery))[0]
        kind = actor.kind
        if kind == "flicker":
            kind = draw.choice(("good", "near", "good", "ambiguous"))
        elif draw.random() < 0.04:
            kind = draw.choice(("good", "unknown", "near", "ambiguous"))
        who = actor.who if draw.random() < 0.985 else draw.choice(PEOPLE)
        exact = draw.random() < 0.3
        if kind == "good":
            similarity = limit if exact else min(1.0, limit + draw.choice((0.01, 0.1, 0.2)))
            return Match(who, similarity, similarity - (rules.runner_up_margin if exact else 0.3), gallery)
        if kind == "ambiguous":
            similarity = min(1.0, limit + 0.05)
            return Match(who, similarity, similarity - rules.runner_up_margin * (0.0 if exact else 0.9), gallery)
        if kind == "near":
            similarity = limit - (rules.near_margin if exact else rules.near_margin * draw.random())
            return Match(who, similarity, -1.0, gallery)
        if draw.random() < 0.15:
            return draw.choice((None, Match("", 0.9, -1.0, gallery), Match(who, rules.thresholds[0][1], 0.0, gallery)))
        return Match(who, limit - rules.near_margin - draw.uniform(0.01, 0.3), 0.1, gallery)

    def _wild_match(self) -> Match | None:
        """What no gallery should say."""
        draw = self.draw
        number = (NAN, INF, -INF, 1.001, 1.0011, -1.001, -1.0011, 1e308, 0.9)
        return Match(draw.choice((*PEOPLE, "")), draw.choice(number), draw.choice(number), draw.choice((3, -5, 2**70)))

    def _face(self, actor: Actor) -> FaceView:
        """An actor in the picture."""
        draw = self.draw
        actor.phase += 1
        state = actor.liveness
        if state == "late":
            state = "live" if actor.phase > 4 else "pending"
        elif state == "mixed":
            state = draw.choice(("live", "pending", "live", "off"))
        elif state == "spoof":
            state = "spoof" if actor.phase > 3 else "pending"
        if state == "live" and draw.random() < 0.04:
            state = "pending"
        score = draw.choice((0.25, 0.5, 0.97)) if not self.wild else draw.choice((NAN, 2.0, -INF))
        area = actor.area if not self.wild else draw.choice((NAN, INF, -1.0, actor.area))
        match = self._wild_match() if self.wild and draw.random() < 0.3 else self._match(actor)
        return FaceView(
            track=actor.track,
            in_zone=draw.random() < actor.inside,
            area_px=area,
            quality=() if draw.random() < actor.quality else ("blurred",),
            match=match,
            liveness=Liveness(state, score, draw.choice(("challenge", "texture"))),
            person=actor.limits if match is not None else None,
        )

    def _time(self) -> None:
        """Time goes on, or does what time must not."""
        draw = self.draw
        step = self.pace
        if draw.random() < 0.06:
            step = draw.choice((0.0, 0.5, 1.0, 1.0, 2.0, 3.0, 4.0, 8.0, 60.0))
        if draw.random() < 0.004:
            step = draw.choice((900.0, 3600.0, 86400.0))
        self.monotonic_s += step
        self.wall_s += step
        if draw.random() < 0.01:
            self.wall_s += draw.choice((-86400.0, -3600.0, 3600.0, 1800.0, 86400.0, 7 * 86400.0))
        if draw.random() < 0.012:
            self.trusted = not self.trusted

    def _people_change(self) -> None:
        """They come, go, and swap; the door and the unit change, too."""
        draw, actors = self.draw, self.actors
        chance = draw.random()
        if chance < 0.02 and actors:
            actors.pop(draw.randrange(len(actors)))
        elif chance < (0.2 if not actors else 0.035) and len(actors) < 4:
            actors.append(self._actor())
        elif chance < 0.05 and actors:
            actor = draw.choice(actors)
            actor.who, actor.kind = draw.choice(PEOPLE), draw.choice(("good", "good", "unknown", "near"))
        elif chance < 0.058 and len(actors) > 1:
            actors[0].track, actors[1].track = actors[1].track, actors[0].track
        elif chance < 0.066 and actors:
            draw.choice(actors).limits = given.draw_limits(draw, self.wall_s)
        elif chance < 0.074 and actors:
            draw.choice(actors).area = float(draw.choice((50, 100, 400, 2000)))
        if draw.random() < 0.02:
            self.contact = draw.choice(("absent", "open", "closed", "closed"))
        self.tampered = draw.random() < (0.5 if self.tampered else 0.006)
        self.fault = draw.choice(("", "", "the key", "a model; the disk")) if draw.random() < 0.012 else ""
        self.gallery_fault = "cannot be read" if draw.random() < 0.005 else ""
        if draw.random() < 0.012:
            self.people = draw.choice((-2, 0, 1, 2, 3, 500, 2**66, 10**400))
        if draw.random() < 0.015:
            self.rules = given.change(draw, self.rules)
        if self.camera == "good":
            self.camera = draw.choice(("frozen", "late")) if draw.random() < 0.015 else "good"
        elif draw.random() < 0.12:
            self.camera = "good"

    def _frame(self, faces: bool) -> FrameFacts:
        """A frame, mostly a good one."""
        draw = self.draw
        self.index += 1 if draw.random() < 0.97 else draw.choice((-2, 2, 10))
        captured_s = self.monotonic_s - draw.choice((0.0, 0.0625, 0.03))
        digest = f"{self.index}/{draw.random()}"
        if self.camera == "late":
            captured_s -= draw.choice((self.rules.max_frame_age_s, 2.0, 5.0))
        if self.camera == "frozen":
            digest = draw.choice(self.digests[-3:])
        odd = draw.random()
        if odd < 0.02:
            captured_s = self.monotonic_s + draw.choice((NAN, INF, -INF, *2 * (self.rules.max_frame_ahead_s, 0.0625)))
        elif odd < 0.03:
            captured_s = self.captured_s
        elif odd < 0.04:
            digest = draw.choice(self.digests[-20:])
        elif odd < 0.05:
            digest = ""
        elif odd < 0.06:
            captured_s = self.monotonic_s - self.rules.max_frame_age_s
        self.captured_s = captured_s
        self.digests.append(digest)
        return FrameFacts(self.index, captured_s, digest if faces or draw.random() < 0.5 else "")

    def _look(self) -> Look:
        """One call of `decide`."""
        draw = self.draw
        self._time()
        self._people_change()
        if self.observation is not None and draw.random() < 0.06:
            faces = self.observation.faces
            frame = self.observation.frame
            if draw.random() < 0.3:
                faces = tuple(self._face(actor) for actor in self.actors)
        else:
            faces = tuple(self._face(actor) for actor in self.actors if draw.random() < 0.985)
            frame = self._frame(bool(faces))
        if faces and draw.random() < 0.004:
            faces = (*faces, replace(draw.choice(faces), quality=draw.choice(((), ("dark",)))))
        if len(faces) > 1 and draw.random() < 0.3:
            faces = tuple(draw.sample(faces, len(faces)))
        door = DoorFacts(self.contact, self.tampered)
        gallery = GalleryFacts(self.people, self.gallery_fault)
        self.observation = Observation(frame, faces, gallery, door, self.fault)
        now = self.now()
        if draw.random() < 0.006:
            now = replace(now, monotonic_s=draw.choice((NAN, INF, -INF, self.monotonic_s - 5.0, -1.0)))
        if self.wild and draw.random() < 0.1:
            now = replace(now, wall_s=draw.choice((NAN, INF, -INF, 0.0, -1e20, 1704067200.0, 4102444800.0)))
        return Look(self.observation, now, self.rules)

    def _restart(self) -> Iterator[Step]:
        """The process, or the machine, starts anew."""
        draw = self.draw
        if draw.random() < 0.5:
            yield Close(self.now(), self.rules)
        how = draw.random()
        if how < 0.4:
            self._time()
        elif how < 0.9:
            self.boot += 1
            self.monotonic_s = draw.choice((0.0, 8.0, self.monotonic_s, self.monotonic_s + 4.0))
            self.wall_s += draw.choice((-60.0, 0.0, 2.0, 30.0, 30.0, 1000.0))
            self.trusted = draw.random() < 0.7
        else:
            self.monotonic_s = max(0.0, self.monotonic_s - draw.choice((1.0, 100.0)))
        self.index, self.observation = 0, None
        yield Restart(self.now(), self._record())

    def _record(self) -> tuple[Any, ...]:
        """Mostly what was kept; else what a disk may give."""
        draw = self.draw
        if draw.random() < 0.93:
            return ()
        record: dict[str, Any] = {
            "schema": 1,
            "strikes": draw.randint(0, 9),
            "boot_id": f"boot {self.boot}",
            "monotonic_s": self.monotonic_s - 1.0,
            "wall_s": self.wall_s,
            "clock_trusted": True,
            "locked_s": draw.choice((-3.0, 0, 8, 60.0)),
        }
        if draw.random() < 0.8:
            key = draw.choice(list(record))
            record[key] = draw.choice((None, "", -1, 2, NAN, "1", [], 10**400))
            if draw.random() < 0.3:
                del record[key]
        return (draw.choice((None, {}, record, record, record, record, [], "", [record])),)

    def steps(self) -> Iterator[Step]:
        """The sequence."""
        for _ in range(self.calls):
            yield self._look()
            if self.draw.random() < 0.015:
                yield from self._restart()
        if self.draw.random() < 0.5:
            yield Close(self.now(), self.rules)
            if self.draw.random() < 0.2:
                yield self._look()


def kept(record: dict[str, Any]) -> Any:
    """A record as it comes back from the disk."""
    return json.loads(json.dumps(record))
