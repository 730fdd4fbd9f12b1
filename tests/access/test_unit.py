"""The door with its real models on photos of real people: who is let in, who rides in on nobody's grant.

Where many people are needed the scenes are photos, which every door refuses: `liveness` is off there, and says so.
"""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from device.access.alignment import align
from device.access.face_detector import FaceDetector
from device.access.facemodels import open_recognizer
from device.access.gallery import new_id
from device.access.galleryrecords import Consent, Person
from device.access.policy.schedule import Schedule
from device.access.recognizer import Recognizer
from device.access.unit import Glance
from device.datatypes import AccessDecision, Event, Frame, Image
from device.errors import InputError
from tests.access.house import WALL, House, build, held
from tests.facemodels import embedder

ANA, BEA, EVA = 0, 1, 2
NAMES = ("Ana", "Bea", "Eva")
MIDDLE = (160, 80)
LEFT, RIGHT = (0, 80), (330, 80)


@pytest.fixture(scope="session")
def recognizer() -> Recognizer:
    return open_recognizer(str(embedder()))


@pytest.fixture(scope="session")
def people(shared_data: Path) -> list[list[Image]]:
    """Photos of three people of LFW who are in no test of the embedder: seven of each or more, 160x160."""
    folders = [
        folder for folder in sorted((shared_data / "lfw" / "train").iterdir()) if len(list(folder.iterdir())) >= 8
    ]
    return [
        [cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB) for path in sorted(folder.iterdir())]
        for folder in folders[:3]
    ]


def enrol(house: House, name: str, photos: list[Image], **rules: Any) -> str:
    """Teach the door somebody, from three photos."""
    eyes = house.eyes
    embeddings = []
    for photo in photos[:3]:
        face = eyes.detector.detect(photo)[0]
        embeddings.append(eyes.recognizer.embed(align(photo, face.landmarks, eyes.detector.template), mirrored=True))
    consent = Consent("agreed", 1.0, "--yes")
    person = house.gallery.add(Person(new_id(), name, 1.0, consents=(consent,), **rules), embeddings)
    house.latch.names[person.id] = name
    return person.id


@pytest.fixture
def house(tmp_path: Path, yunet: FaceDetector, recognizer: Recognizer) -> House:
    """Liveness is off."""
    return build(tmp_path, yunet, recognizer)


def test_ok__somebody_who_is_known_is_let_in_once(house: House, people: list[list[Image]]) -> None:
    enrol(house, "Ana", people[ANA])
    enrol(house, "Bea", people[BEA])
    steps = house.show(held((people[ANA][4], *MIDDLE), frames=20))
    assert house.decisions == [("Ana", "recognised")]
    assert house.latch.lock.pulses == [3.0]
    granted = next(index for index, step in enumerate(steps) if any(isinstance(e, AccessDecision) for e in step.events))
    assert granted == 2, "at the third good frame"
    [face] = steps[-1].observation.faces
    assert (face.outcome, face.reason) == ("granted", "recognised")
    [face] = steps[2].observation.faces
    assert face.name == "Ana"


def test_fail__a_stranger(house: House, people: list[list[Image]]) -> None:
    enrol(house, "Ana", people[ANA])
    steps = house.show(held((people[EVA][4], *MIDDLE), frames=25))
    assert house.decisions == [("", "unknown")]
    assert house.latch.lock.pulses == []
    assert {face.name for step in steps for face in step.observation.faces} == {""}


def test_fail__an_empty_gallery(house: House, people: list[list[Image]]) -> None:
    house.show(held((people[ANA][4], *MIDDLE), frames=25))
    assert (house.decisions, house.latch.lock.pulses) == ([("", "unknown")], [])


def test_fail__outside_the_schedule(house: House, people: list[list[Image]]) -> None:
    mornings = Schedule.parse(
        {"timezone": "Europe/Madrid", "windows": [{"days": ["sat"], "from": "08:00", "to": "09:00"}]}
    )
    enrol(house, "Ana", people[ANA], schedule=mornings)
    house.show(held((people[ANA][4], *MIDDLE), frames=10))
    assert (house.decisions, house.latch.lock.pulses) == ([("", "schedule")], [])
    [record] = house.latch.records("decision")
    assert record.content["person"] == house.gallery.people()[0].id


def test_fail__validity_that_has_ended(house: House, people: list[list[Image]]) -> None:
    enrol(house, "Ana", people[ANA], valid_until=WALL - 1)
    house.show(held((people[ANA][4], *MIDDLE), frames=10))
    assert (house.decisions, house.latch.lock.pulses) == ([("", "expired")], [])


def test_fail__a_photo(tmp_path: Path, yunet: FaceDetector, recognizer: Recognizer, people: list[list[Image]]) -> None:
    """With liveness, whoever is on it."""
    house = build(tmp_path, yunet, recognizer, liveness="passive")
    if house.eyes.liveness.faults:
        pytest.skip(house.eyes.liveness.faults[0])
    enrol(house, "Ana", people[ANA])
    house.show(held((people[ANA][4], *MIDDLE), frames=60))
    assert house.latch.lock.pulses == []
    assert house.decisions
    assert {reason for _, reason in house.decisions} == {"liveness"}


@pytest.mark.parametrize(
    ("several", "entered"), [("refuse", []), ("recognised", []), ("ignore", [("Ana", "recognised")])]
)
def test_ok__a_companion_who_is_a_stranger_only_by_policy(
    tmp_path: Path,
    yunet: FaceDetector,
    recognizer: Recognizer,
    people: list[list[Image]],
    several: str,
    entered: list[tuple[str, str]],
) -> None:
    house = build(tmp_path, yunet, recognizer, several_people=several)
    enrol(house, "Ana", people[ANA])
    nearer = people[ANA][4][16:144, 16:144]
    house.show(held((nearer, *LEFT), (people[EVA][4], *RIGHT), frames=15, side=300))
    assert [decision for decision in house.decisions if decision[0]] == entered
    assert len(house.latch.lock.pulses) == len(entered)


def test_ok__two_who_are_known_come_together(
    tmp_path: Path, yunet: FaceDetector, recognizer: Recognizer, people: list[list[Image]]
) -> None:
    house = build(tmp_path, yunet, recognizer, several_people="recognised")
    enrol(house, "Ana", people[ANA])
    enrol(house, "Bea", people[BEA])
    house.show(held((people[ANA][4], *LEFT), (people[BEA][4], *RIGHT), frames=40, side=300))
    assert {name for name, _ in house.decisions} >= {"Ana"}
    assert set(house.decisions) <= {("Ana", "recognised"), ("Bea", "recognised")}


def test_fail__the_same_picture_again_and_again(house: House, people: list[list[Image]]) -> None:
    """A stream that was frozen, or is replayed."""
    enrol(house, "Ana", people[ANA])
    frozen = held((people[ANA][4], *MIDDLE), frames=1)
    house.show(frozen * 100)
    assert house.latch.lock.pulses == []
    assert ("", "stale") in house.decisions


def test_fail__a_face_swapped_in_before_the_grant_gets_none(house: House, people: list[list[Image]]) -> None:
    """Two good frames of Ana, then Eva in her very place: nobody has shown enough."""
    enrol(house, "Ana", people[ANA])
    first = house.show(held((people[ANA][4], *MIDDLE), frames=2))
    then = house.show(held((people[EVA][4], *MIDDLE), frames=25, first=2))
    assert house.latch.lock.pulses == []
    assert ("Ana", "recognised") not in house.decisions
    before = {face.track for step in first for face in step.observation.faces}
    after = {face.track for step in then for face in step.observation.faces}
    assert not before & after, "another face is another track"


def test_fail__nobody_rides_in_on_anothers_grant(house: House, people: list[list[Image]]) -> None:
    """Ana is let in; who stands in her place a moment later is not, though the lock is still released."""
    enrol(house, "Ana", people[ANA])
    house.show(held((people[ANA][4], *MIDDLE), frames=5))
    assert house.latch.lock.pulses == [3.0]
    steps = house.show(held((people[EVA][4], *MIDDLE), frames=30, first=5))
    assert house.latch.lock.pulses == [3.0]
    assert house.decisions[0] == ("Ana", "recognised")
    assert {reason for _, reason in house.decisions[1:]} == {"unknown"}
    assert all(face.name != "Ana" for step in steps[12:] for face in step.observation.faces)


def test_ok__one_who_was_swapped_in_is_let_in_by_their_own_face_alone(house: House, people: list[list[Image]]) -> None:
    enrol(house, "Ana", people[ANA])
    enrol(house, "Bea", people[BEA])
    house.show(held((people[ANA][4], *MIDDLE), frames=2))
    steps = house.show(held((people[BEA][4], *MIDDLE), frames=10, first=2))
    assert house.decisions == [("Bea", "recognised")]
    granted = next(index for index, step in enumerate(steps) if any(isinstance(e, AccessDecision) for e in step.events))
    assert granted >= 2, "three frames of Bea's own"


def test_fail__out_of_the_zone(
    tmp_path: Path, yunet: FaceDetector, recognizer: Recognizer, people: list[list[Image]]
) -> None:
    house = build(tmp_path, yunet, recognizer, in_zone=lambda box, _w, _h: (box[0] + box[2]) / 2 > 320)
    enrol(house, "Ana", people[ANA])
    steps = house.show(held((people[ANA][4], *LEFT), frames=20, side=300))
    assert (house.decisions, house.latch.lock.pulses) == ([], [])
    assert [face.in_zone for face in steps[-1].observation.faces] == [False]
    house.show(held((people[ANA][4], *RIGHT), frames=6, first=20, side=300))
    assert house.decisions == [("Ana", "recognised")]


@pytest.mark.parametrize(
    "error",
    [InputError("the model cannot be read"), OSError(5, "Input/output error"), MemoryError()],
    ids=lambda error: type(error).__name__,
)
def test_fail__what_the_machine_fails_at_is_a_denial_and_is_tried_again(
    house: House, people: list[list[Image]], monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    enrol(house, "Ana", people[ANA])
    house.show(held((people[ANA][4], *MIDDLE), frames=2))

    def broken(*_: Any) -> None:
        raise error

    monkeypatch.setattr(house.eyes.gallery, "match", broken)
    steps = house.show(held((people[ANA][4], *MIDDLE), frames=10, first=2))
    assert all(step.failure is None for step in steps)
    assert house.latch.lock.pulses == []
    assert house.unit.fault
    monkeypatch.undo()
    house.show(held((people[ANA][4], *MIDDLE), frames=40, first=12))
    assert house.unit.fault == ""
    assert house.latch.lock.pulses == [3.0]


def test_fail__a_mistake_of_the_program_is_a_denial_and_its_end(
    house: House, people: list[list[Image]], monkeypatch: pytest.MonkeyPatch
) -> None:
    enrol(house, "Ana", people[ANA])
    house.show(held((people[ANA][4], *MIDDLE), frames=3))
    assert house.latch.lock.state == "unlocked"

    def wrong(*_: Any, **__: Any) -> None:
        raise ZeroDivisionError("a mistake")

    monkeypatch.setattr(house.eyes.detector, "detect", wrong)
    [step] = house.show(held((people[ANA][4], *MIDDLE), frames=1, first=3))
    assert isinstance(step.failure, ZeroDivisionError)
    assert house.decisions[-1] == ("", "fault")
    assert house.latch.lock.state == "locked"


def test_fail__a_gallery_that_cannot_be_read_any_more(house: House, people: list[list[Image]]) -> None:
    enrol(house, "Ana", people[ANA])
    house.show(held((people[ANA][4], *MIDDLE), frames=2))
    other = house.gallery.path.with_name("other")
    other.write_bytes(b"no database" * 1000)
    other.replace(house.gallery.path)
    house.show(held((people[ANA][4], *MIDDLE), frames=10, first=2))
    assert house.latch.lock.pulses == []
    assert {reason for _, reason in house.decisions} <= {"fault"}
    assert house.gallery.fault


def test_fail__who_was_forgotten_a_moment_ago(house: House, people: list[list[Image]]) -> None:
    """Another process changes the gallery while the door works."""
    person = enrol(house, "Ana", people[ANA])
    house.show(held((people[ANA][4], *MIDDLE), frames=2))
    house.gallery.forget(person)
    house.show(held((people[ANA][4], *MIDDLE), frames=25, first=2))
    assert (house.decisions, house.latch.lock.pulses) == ([("", "unknown")], [])


class Shut:
    """A gate that lets nothing through unless somebody was there."""

    def look(self, _frame: Frame, needed: bool) -> Glance:
        return Glance(opens=needed, moving=False)

    def finish(self) -> list[Event]:
        return []


def test_ok__behind_a_gate_that_is_shut_nothing_is_looked_at(
    tmp_path: Path, yunet: FaceDetector, recognizer: Recognizer, people: list[list[Image]]
) -> None:
    house = build(tmp_path, yunet, recognizer, gate=Shut())
    enrol(house, "Ana", people[ANA])
    steps = house.show(held((people[ANA][4], *MIDDLE), frames=5))
    assert [step.observation.detected for step in steps] == [False] * 5
    assert house.decisions == []


def test_ok__a_lost_camera_ends_what_was_seen(house: House, people: list[list[Image]]) -> None:
    """Two good frames before, two after: that is nobody's three."""
    enrol(house, "Ana", people[ANA])
    house.show(held((people[ANA][4], *MIDDLE), frames=2))
    house.unit.lose(0.5)
    house.show(held((people[ANA][4], *MIDDLE), frames=2, first=2))
    assert house.decisions == []
    # What stood there before counts as somebody else for half a second more.
    house.show(held((people[ANA][4], *MIDDLE), frames=6, first=4))
    assert house.decisions == [("Ana", "recognised")]


BAD = {
    "no face": np.full((480, 640, 3), 90, np.uint8),
    "nothing but white": np.full((480, 640, 3), 255, np.uint8),
    "a picture of one pixel": np.zeros((1, 1, 3), np.uint8),
    "a line": np.zeros((2, 640, 3), np.uint8),
}


@pytest.mark.parametrize("picture", BAD.values(), ids=BAD.keys())
def test_fail__nobody_to_see(house: House, picture: Image) -> None:
    steps = house.show([picture] * 3)
    assert all(step.failure is None for step in steps)
    assert (house.decisions, house.latch.lock.pulses) == ([], [])


@pytest.mark.parametrize("spoilt", ["ten pixels", "at the edge", "upside down", "overexposed"])
def test_fail__a_face_that_is_no_good(house: House, people: list[list[Image]], spoilt: str) -> None:
    """Not enough good frames: no attempt, or one that ends in a denial."""
    enrol(house, "Ana", people[ANA])
    images = {
        "ten pixels": lambda: held((people[ANA][4], *MIDDLE), frames=20, side=24),
        "at the edge": lambda: held((people[ANA][4][:, 80:], 0, 80), frames=20, side=160),
        "upside down": lambda: held((people[ANA][4][::-1].copy(), *MIDDLE), frames=20),
        "overexposed": lambda: [
            np.clip(image.astype(np.int16) * 3 + 120, 0, 255).astype(np.uint8)
            for image in held((people[ANA][4], *MIDDLE), frames=20)
        ],
    }[spoilt]()
    steps = house.show(images)
    assert all(step.failure is None for step in steps)
    assert house.latch.lock.pulses == []


def test_ok__forty_faces(house: House, people: list[list[Image]]) -> None:
    """Each is followed, nobody is let in, and it goes on."""
    enrol(house, "Ana", people[ANA])
    photos = itertools.cycle([photo for person in people for photo in person[3:]])
    crowd = [(next(photos), left, top) for top in range(0, 480, 96) for left in range(0, 640, 80)]
    steps = house.show(held(*crowd, frames=5, side=80))
    assert all(step.failure is None for step in steps)
    assert max(len(step.observation.faces) for step in steps) >= 30
    assert house.latch.lock.pulses == []


def test_ok__grey_pictures_are_as_good(house: House, people: list[list[Image]]) -> None:
    enrol(house, "Ana", people[ANA])
    grey = [
        np.repeat(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)[..., None], 3, axis=2)
        for image in held((people[ANA][4], *MIDDLE), frames=5)
    ]
    house.show(grey)
    assert house.decisions == [("Ana", "recognised")]
