"""A door that tests can play: clocks, frames and faces, one call of `decide` after the other."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from device.access.policy import (
    Decision,
    DoorFacts,
    FaceView,
    FrameFacts,
    GalleryFacts,
    Now,
    Observation,
    PersonRules,
    Rules,
    State,
    close,
    decide,
)
from device.datatypes import Liveness, Match

POINTS = ((1e-2, 0.25), (1e-3, 0.35), (1e-4, 0.42), (1e-5, 0.50))
RULES = Rules(POINTS)
LIVE, SPOOF = Liveness("live", 0.9, "passive"), Liveness("spoof", 0.1, "passive")
PENDING, OFF = Liveness("pending", 0.5, "passive"), Liveness("off", 0.0, "")
FREE = PersonRules()
WALL = 1_795_000_000.0  # Wednesday 2026-11-18, 11:06:40 UTC


def face(
    person: str = "ana",
    similarity: float = 0.7,
    *,
    track: int = 1,
    area: float = 10_000,
    quality: tuple[str, ...] = (),
    runner_up: float = -1.0,
    liveness: Liveness = LIVE,
    rules: PersonRules | None = FREE,
    in_zone: bool = True,
    gallery: int = 1,
) -> FaceView:
    """A face that is like `person`; an empty name: there is no match."""
    match = Match(person, similarity, runner_up, gallery) if person else None
    return FaceView(track, in_zone, area, quality, match, liveness, rules if person else None)


def stranger(**more: Any) -> FaceView:
    """A face that is like nobody much."""
    return face("ana", 0.1, **more)


class Door:
    """Calls `decide` as a camera of ten frames a second would."""

    def __init__(self, rules: Rules = RULES, people: int = 1, state: State | None = None) -> None:
        self.rules, self.people = rules, people
        self.state = State() if state is None else state
        self.m, self.wall, self.trusted, self.boot = 1000.0, WALL, True, "boot-1"
        self.frame = FrameFacts(0, self.m, "")
        self.door, self.fault, self.gallery_fault = DoorFacts(), "", ""
        self.told: list[Decision] = []

    @property
    def now(self) -> Now:
        return Now(self.m, self.wall, self.trusted, self.boot)

    def pass_time(self, seconds: float) -> None:
        """Let both clocks go on; nothing is called."""
        self.m += seconds
        self.wall += seconds

    def see(self, *faces: FaceView, step: float = 0.125, **frame: Any) -> tuple[Decision, ...]:
        """One more frame, fresh unless `frame` says otherwise."""
        self.pass_time(step)
        index = self.frame.index + 1
        self.frame = replace(FrameFacts(index, self.m - 0.0625, f"picture {index}"), **frame)
        return self.call(*faces)

    def tick(self, step: float = 0.125) -> tuple[Decision, ...]:
        """Time goes on without a new frame."""
        self.pass_time(step)
        return self.call()

    def call(self, *faces: FaceView) -> tuple[Decision, ...]:
        gallery = GalleryFacts(self.people, self.gallery_fault)
        look = Observation(self.frame, faces, gallery, self.door, self.fault)
        self.state, decisions = decide(self.state, look, self.now, self.rules)
        self.told += decisions
        return decisions

    def watch(self, *faces: FaceView, frames: int = 3) -> list[Decision]:
        """The same faces in so many frames; all decisions."""
        return [decision for _ in range(frames) for decision in self.see(*faces)]

    def until_decided(self, *faces: FaceView, frames: int = 400) -> Decision:
        """The same faces until there is a decision."""
        for _ in range(frames):
            decisions = self.see(*faces)
            if decisions:
                [decision] = decisions
                return decision
        raise AssertionError("no decision")

    def leave(self, step: float = 1.125) -> tuple[Decision, ...]:
        """Everybody goes away."""
        return self.see(step=step)

    def close(self) -> tuple[Decision, ...]:
        self.state, decisions = close(self.state, self.now, self.rules)
        self.told += decisions
        return decisions

    def restart(self, *, boot: str = "boot-1") -> None:
        """The process is killed and started again."""
        self.boot = boot
        self.state = State.restore(self.state.persistent(), self.now)
