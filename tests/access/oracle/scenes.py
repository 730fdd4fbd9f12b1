"""Sequences of calls for the policy, drawn at random by a seed: people at a door, and all that may go wrong there.

A scene is a generator of steps. The same seed gives the same steps; none depends on what the policy answers.
"""

from __future__ import annotations

import json
import math
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
    Schedule,
)
from device.datatypes import Liveness, Match
from tests.access.oracle.oracle import threshold

NAN, INF = math.nan, math.inf
POINTS = (
    ((1e-2, 0.25), (1e-3, 0.375), (1e-4, 0.5), (1e-5, 0.5625)),
    ((1e-1, 0.2), (1e-3, 0.36), (1e-6, 0.61)),
    ((1e-3, 0.5), (1e-4, 0.5)),
    ((1e-4, 0.42), (1e-5, 0.48)),
)
PEOPLE = ("ana", "bea", "cid")

_MADRID = {"timezone": "Europe/Madrid"}
_WORKDAYS = ["mon", "tue", "wed", "thu", "fri"]
_ALL = [*_WORKDAYS, "sat", "sun"]


def _window(days: list[str], begin: str, end: str) -> dict[str, Any]:
    return {"days": days, "from": begin, "to": end}


WEEKLY: tuple[dict[str, Any], ...] = (
    _MADRID | {"windows": [_window(_WORKDAYS, "08:00", "18:30")], "holidays": ["2026-12-25", "2026-01-06"]},
    _MADRID | {"windows": [_window(_ALL, "02:15", "02:45")]},
    _MADRID | {"windows": [_window(_ALL, "02:30", "06:00"), _window(["sat"], "22:00", "02:30")]},
    _MADRID | {"windows": [_window(_ALL, "22:00", "06:00")], "holidays": ["2026-03-29", "2026-12-25", "2026-10-25"]},
    _MADRID | {"windows": [_window(["sat"], "12:00", "12:00"), _window(["wed"], "00:00", "00:00")]},
    _MADRID | {"windows": [_window(["sun", "fri"], "00:00", "24:00")], "holidays": ["2026-10-25"]},
    _MADRID | {"windows": []},
    {
        "timezone": "America/New_York",
        "windows": [_window(["sun"], "01:00", "02:00"), _window(["sun"], "03:00", "03:01")],
    },
    {"timezone": "Australia/Lord_Howe", "windows": [_window(["sun"], "01:45", "02:15")]},
    {"timezone": "Pacific/Chatham", "windows": [_window(["sun"], "02:00", "03:45")], "holidays": ["2026-04-05"]},
    {"timezone": "UTC", "windows": [_window(_ALL, "23:00", "01:00")], "holidays": ["2026-12-31"]},
    {"timezone": "Asia/Kathmandu", "windows": [_window(["mon"], "00:00", "23:59"), _window(["tue"], "12:00", "11:59")]},
)
"""Day windows, night windows, full days, with holidays; in zones whose clocks change by an hour, by half, never."""
SCHEDULES: tuple[tuple[Any, Schedule], ...] = tuple(
    (data, Schedule.parse(data)) for data in ("always", "never", *WEEKLY)
)
DATA_OF = {id(schedule): data for data, schedule in SCHEDULES}
ALWAYS = SCHEDULES[0][1]
NEVER = SCHEDULES[1][1]

TURNS = (
    1774746000,  # Madrid, 2026-03-29, forward
    1792890000,  # Madrid, 2026-10-25, back
    1772953200,  # New York, 2026-03-08, forward
    1793512800,  # New York, 2026-11-01, back
    1775314800,  # Lord Howe, 2026-04-05, back by half an hour
    1775311200,  # Chatham, 2026-04-05, back
    1798156800,  # 2026-12-25 in UTC
    1798761600,  # 2027-01-01 in UTC
)
"""Moments around which schedules are asked for, seconds since 1970."""


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


def _rules(draw: random.Random) -> Rules:
    """Rules under which something happens within some dozen calls."""
    few = draw.random() < 0.85
    k = draw.choice((1, 2, 2, 3, 3)) if few else 3
    lockout_base_s = draw.choice((0.0, 2.0, 4.0, 30.0))
    return Rules(
        thresholds=draw.choice(POINTS),
        target_fmr=draw.choice((1e-4, 1e-4, 1e-3, 1e-5, 1e-6, 0.2)),
        agreeing_frames=k,
        window_frames=k + draw.choice((0, 0, 1, 2)),
        window_s=draw.choice((0.5, 2.0, 2.0, 2.0)),
        near_margin=draw.choice((0.0, 0.08, 0.125)),
        runner_up_margin=draw.choice((0.0, 0.08, 0.125)),
        max_contrary_frames=draw.choice((0, 1, 3, 6, 9)),
        unknown_frames=draw.choice((1, 3, 5, 15)),
        attempt_timeout_s=draw.choice((0.0, 1.0, 2.0, 2.0, 4.0, 8.0)),
        track_gone_s=draw.choice((0.0, 0.5, 1.0, 1.0)),
        companion_s=draw.choice((0.0, 0.5, 0.5, 2.0)),
        retry_pause_s=draw.choice((0.0, 0.5, 1.0, 3.0)),
        max_frame_age_s=draw.choice((0.5, 1.0)),
        max_frame_ahead_s=draw.choice((0.05, 0.0625)),
        digest_memory=draw.choice((1, 2, 16)),
        liveness_required=draw.random() < 0.8,
        several_people=draw.choice(("refuse", "recognised", "recognised", "ignore")),
        grant_while_open=draw.random() < 0.25,
        without_clock=draw.choice(("deny", "ignore")),
        lockout_after=draw.choice((1, 1, 2, 3, 5)),
        lockout_base_s=lockout_base_s,
        lockout_max_s=max(lockout_base_s, draw.choice((8.0, 60.0, 900.0))),
        forgive_s=draw.choice((0.0, 8.0, 60.0, 3600.0)),
        summary_s=draw.choice((0.0, 2.0, 8.0, 60.0)),
    )


_CHANGES: tuple[tuple[str, tuple[Any, ...]], ...] = (
    ("agreeing_frames", (1, 2)),
    ("window_s", (0.5, 2.0)),
    ("near_margin", (0.0, 0.08, 0.125)),
    ("max_contrary_frames", (0, 3)),
    ("unknown_frames", (1, 5)),
    ("attempt_timeout_s", (0.0, 2.0, 8.0)),
    ("track_gone_s", (0.5, 1.0)),
    ("digest_memory", (1, 2, 16)),
    ("liveness_required", (True, False)),
    ("several_people", ("refuse", "recognised", "ignore")),
    ("lockout_after", (1, 2, 5)),
    ("forgive_s", (0.0, 60.0)),
    ("summary_s", (0.0, 2.0, 60.0)),
    ("thresholds", POINTS),
    ("target_fmr", (1e-4, 1e-6)),
)


def _limits(draw: random.Random, wall_s: float) -> PersonRules | None:
    """What a person is allowed."""
    kind = draw.choices(("always", "weekly", "dates", "never", "none", "odd"), (50, 22, 18, 3, 2, 3))[0]
    if kind == "none":
        return None
    if kind == "never":
        return PersonRules(schedule=NEVER)
    if kind == "weekly":
        return PersonRules(schedule=draw.choice(SCHEDULES[2:])[1])
    if kind == "dates":
        bounds = (None, wall_s, wall_s + 1.0, wall_s - 86400.0, wall_s + 86400.0)
        return PersonRules(draw.choice(bounds), draw.choice(bounds), draw.choice((ALWAYS, SCHEDULES[2][1])))
    if kind == "odd":
        return PersonRules(draw.choice((None, -INF, INF, NAN)), draw.choice((None, NAN, INF, -INF)), ALWAYS)
    return PersonRules(schedule=ALWAYS)


class Scene:
    """One sequence: the door, those before it, and the clocks."""

    def __init__(self, seed: int) -> None:
        """`seed` decides everything."""
        self.draw = draw = random.Random(seed)
        self.rules = _rules(draw)
        self.people = draw.choice((0, 1, 2, 3, 50, 5000))
        self.exact = draw.random() < 0.6
        self.pace = draw.choice((0.125, 0.25, 0.25, 0.5)) if self.exact else draw.choice((0.07, 0.1, 0.31))
        self.monotonic_s = draw.choice((0.0, 16.0, 4096.5)) if self.exact else draw.uniform(0, 1e6)
        self.wall_s = float(
            draw.choice(TURNS) + draw.choice((-7200, -3600, -1800, -900, -1, 0, 1, 900, 1800, 3600, 7200))
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
            limits=_limits(draw, self.wall_s),
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
            liveness=Liveness(state, score, draw.choice(("blink", "texture"))),
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
            draw.choice(actors).limits = _limits(draw, self.wall_s)
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
            self._change_rules()
        if self.camera == "good":
            self.camera = draw.choice(("frozen", "late")) if draw.random() < 0.015 else "good"
        elif draw.random() < 0.12:
            self.camera = "good"

    def _change_rules(self) -> None:
        """The owner has another mind."""
        name, values = self.draw.choice(_CHANGES)
        value = self.draw.choice(values)
        changes = {name: value}
        if name == "agreeing_frames":
            changes["window_frames"] = value + self.draw.choice((0, 2))
        self.rules = replace(self.rules, **changes)

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
        return (draw.choice((None, {}, record, record, record, record)),)

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
