"""What the policy is told: one look of the camera at the door, and what time it is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from device.access.policy.schedule import ALWAYS, Schedule
from device.datatypes import Liveness, Match

Contact = Literal["open", "closed", "absent"]


@dataclass(frozen=True, slots=True)
class Now:
    """The clocks at the moment of deciding.

    `monotonic_s` is on the same time line as `FrameFacts.captured_monotonic_s` and, within one boot, never runs
    back, not even over a restart of the process. `wall_s` is seconds since 1970. `clock_trusted` says that the wall
    clock was set by NTP since boot or is kept by a real-time clock. `boot_id` names the boot of the machine.
    """

    monotonic_s: float
    wall_s: float
    clock_trusted: bool
    boot_id: str


@dataclass(frozen=True, slots=True)
class FrameFacts:
    """Which frame was looked at.

    `index` grows with each frame; the same index again means that no new frame came. `digest` is a hash of the
    pixels, empty where none was made, which is allowed where no face was found.
    """

    index: int
    captured_monotonic_s: float
    digest: str


@dataclass(frozen=True, slots=True)
class PersonRules:
    """When the matched person may enter: from `valid_from` on, before `valid_until` (seconds since 1970, None: no
    bound), and when `schedule` is open."""

    valid_from: float | None = None
    valid_until: float | None = None
    schedule: Schedule = ALWAYS


@dataclass(frozen=True, slots=True)
class FaceView:
    """One face of the frame.

    `track` is the tracker's number; a face that jumped has a new one. `area_px` is its box's area. `quality` names
    what is wrong with the picture, empty where it is good. `match` is None where the gallery was not asked or is
    empty. `person` are the rules of `match.person`, None where there is no match or they could not be had.
    """

    track: int
    in_zone: bool
    area_px: float
    quality: tuple[str, ...]
    match: Match | None
    liveness: Liveness
    person: PersonRules | None = None


@dataclass(frozen=True, slots=True)
class DoorFacts:
    """The door's contact (`absent`: none is fitted) and whether the tamper switch is off its rest."""

    contact: Contact = "absent"
    tampered: bool = False


@dataclass(frozen=True, slots=True)
class GalleryFacts:
    """How many people can be recognised, and what keeps the gallery from being used: empty where nothing does."""

    people: int
    fault: str = ""


@dataclass(frozen=True, slots=True)
class Observation:
    """One look. `fault` says what else is broken (a model, the key, the disk, the lock); empty where all works."""

    frame: FrameFacts
    faces: tuple[FaceView, ...]
    gallery: GalleryFacts
    door: DoorFacts = DoorFacts()
    fault: str = ""
