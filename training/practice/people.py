"""Faces of people who never were, drawn so that face detectors find them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from training.practice.paint import Canvas, background, develop, ring

Vector = npt.NDArray[np.float64]
SKIN = (np.array([80.0, 50, 35]), np.array([225.0, 180, 155]))
HAIR = ((30, 22, 18), (95, 60, 30), (190, 150, 80), (120, 40, 20), (120, 120, 120))
IRIS = ((60, 40, 25), (70, 110, 150), (70, 110, 60))


@dataclass(frozen=True)
class Person:
    """What stays from photo to photo; lengths in half heights of the face."""

    skin: Vector
    hair: Vector
    iris: Vector
    shirt: Vector
    width: float
    eyes_apart: float
    eyes_y: float
    eye: float
    brow: float
    brow_turn: float
    nose_y: float
    nose_width: float
    mouth: float
    mouth_y: float
    lips: float
    forehead: float
    long_hair: bool
    beard: bool

    @classmethod
    def made_up(cls, number: int) -> Person:
        """The same person for the same number."""
        rng = np.random.default_rng([number, 77])
        return cls(
            skin=SKIN[0] + (SKIN[1] - SKIN[0]) * rng.random(),
            hair=np.array(HAIR[rng.integers(len(HAIR))], float) + rng.normal(0, 6, 3),
            iris=np.array(IRIS[rng.integers(len(IRIS))], float),
            shirt=rng.uniform(30, 220, 3),
            width=rng.uniform(0.64, 0.84),
            eyes_apart=rng.uniform(0.34, 0.47),
            eyes_y=rng.uniform(-0.12, 0.0),
            eye=rng.uniform(0.1, 0.155),
            brow=rng.uniform(0.018, 0.055),
            brow_turn=rng.uniform(-10, 10),
            nose_y=rng.uniform(0.28, 0.42),
            nose_width=rng.uniform(0.06, 0.14),
            mouth=rng.uniform(0.18, 0.32),
            mouth_y=rng.uniform(0.5, 0.62),
            lips=rng.uniform(0.025, 0.065),
            forehead=rng.uniform(0.45, 0.75),
            long_hair=bool(rng.random() < 0.5),
            beard=bool(rng.random() < 0.3),
        )


@dataclass(frozen=True)
class Pose:
    """How somebody looks on one photo. `yaw` -0.3 to 0.3, `tilt` in degrees, `smile` and `open` of the mouth."""

    yaw: float = 0.0
    tilt: float = 0.0
    smile: float = 0.02
    open: float = 0.0
    light: int = 1

    @classmethod
    def drawn(cls, rng: np.random.Generator) -> Pose:
        """Some pose."""
        return cls(
            yaw=rng.uniform(-0.18, 0.18),
            tilt=rng.uniform(-10, 10),
            smile=rng.uniform(-0.02, 0.06),
            open=max(0.0, rng.uniform(-0.05, 0.06)),
            light=int(rng.choice((-1, 1))),
        )


def portrait(
    person: Person,
    pose: Pose,
    rng: np.random.Generator,
    size: tuple[int, int] = (240, 240),
    face: tuple[float, float, float] | None = None,
) -> npt.NDArray[np.uint8]:
    """A photo of `size` (width, height), HxWx3 uint8 RGB.

    Args:
        face: x, y of its middle and half its height, in pixels; None is drawn about the middle.
    """
    width, height = size
    if face is None:
        face = (width * rng.uniform(0.46, 0.54), height * rng.uniform(0.46, 0.52), height * rng.uniform(0.27, 0.33))
    pixels = background(rng, width, height)
    _Portrait(person, pose, Canvas(pixels, face[:2], face[2], pose.tilt)).paint()
    return develop(pixels, rng, noise=4)


class _Portrait:
    """Paints a person from back to front."""

    def __init__(self, person: Person, pose: Pose, canvas: Canvas) -> None:
        self._person, self._pose, self._canvas = person, pose, canvas
        self._dark, self._bright = person.skin * 0.62, np.minimum(255, person.skin * 1.17)

    def paint(self) -> None:
        """All of it."""
        self._hair_and_shoulders()
        self._head()
        for side in (-1, 1):
            self._eye(side)
        self._nose()
        self._mouth()

    def _on_face(self, points: Vector) -> Vector:
        """Turned by the yaw: what is in the middle of the face moves most."""
        bulge = np.sqrt(np.clip(1 - points[:, 0] ** 2 - 0.6 * points[:, 1] ** 2, 0, 1))
        return points + np.stack([0.7 * self._pose.yaw * bulge, np.zeros(len(points))], 1)

    def _feature(
        self, x: float, y: float, wide: float, high: float, colour: Vector, opacity: float = 1, blur: float = 0.01,
        turn: float = 0,
    ) -> None:  # fmt: skip
        self._canvas.polygon(self._on_face(ring(x, y, wide, high, turn)), colour, opacity, blur)

    def _hair_and_shoulders(self) -> None:
        person, canvas = self._person, self._canvas
        if person.long_hair:
            canvas.ellipse(0, 0.15, person.width * 1.28, 1.25, person.hair, blur=0.02)
        canvas.ellipse(0, 1.9, 1.6, 0.75, person.shirt)
        canvas.ellipse(0, 1.15, person.width * 0.5, 0.5, person.skin * 0.8, blur=0.02)
        canvas.ellipse(0, -0.25, person.width * 1.13, 0.95, person.hair, blur=0.01)
        for side in (-1, 1):
            canvas.ellipse(side * person.width, 0.08, 0.09, 0.2, person.skin * 0.85, blur=0.01)

    def _head(self) -> None:
        person, light = self._person, self._pose.light
        angle = np.linspace(0, 2 * np.pi, 90)
        chin = 1 - 0.16 * np.clip(np.sin(angle), 0, 1) ** 2
        outline = np.stack([person.width * np.cos(angle) * chin + 0.15 * self._pose.yaw, np.sin(angle)], 1)
        self._canvas.polygon(outline, person.skin)
        self._feature(light * person.width * 0.75, 0.1, person.width * 0.42, 0.95, person.skin * 0.5, 0.65, 0.13)
        self._feature(-light * person.width * 0.3, 0.3, 0.2, 0.18, self._bright, 0.5, 0.1)
        self._feature(0, -0.45, 0.3, 0.18, self._bright, 0.5, 0.12)
        if person.beard:
            self._feature(0, 0.68, person.width * 0.62, 0.3, person.hair * 0.6 + person.skin * 0.4, 0.75, 0.06)
        self._feature(0, -1.0, person.width * 0.98, 1.02 - person.forehead, person.hair, 1, 0.03)

    def _eye(self, side: int) -> None:
        person, size = self._person, self._person.eye
        x, y = side * person.eyes_apart * person.width / 0.74, person.eyes_y
        self._feature(x, y, size * 1.7, size * 1.15, self._dark, 0.55, 0.05)
        self._feature(x, y, size * 1.15, size * 0.58, np.array([240.0, 238, 235]))
        self._feature(x, y, size * 0.56, size * 0.56, person.iris)
        self._feature(x, y, size * 0.28, size * 0.28, np.array([12.0, 10, 10]))
        self._feature(x - 0.02, y - 0.025, 0.018, 0.018, np.array([255.0, 255, 255]))
        self._feature(x, y - size * 0.5, size * 1.25, size * 0.2, np.array([35.0, 25, 20]), 0.9)
        turn = side * person.brow_turn
        self._feature(x, y - size * 1.75, size * 1.5, person.brow, person.hair * 0.7, 0.95, 0.015, turn)

    def _nose(self) -> None:
        person, wide = self._person, self._person.nose_width
        self._feature(self._pose.light * wide * 0.55, 0.12, wide * 0.5, 0.24, self._dark, 0.5, 0.04)
        self._feature(0, person.nose_y, wide * 1.15, 0.06, self._dark, 0.7, 0.03)
        for side in (-1, 1):
            self._feature(side * wide * 0.62, person.nose_y + 0.015, 0.032, 0.022, person.skin * 0.35, 0.9)
        self._feature(0, person.nose_y - 0.09, wide * 0.45, 0.07, self._bright, 0.6, 0.04)

    def _mouth(self) -> None:
        person, pose = self._person, self._pose
        across = np.linspace(-1, 1, 30)
        line = person.mouth_y - pose.smile * (2 * across**2 - 1)
        arch = 1 - across**2
        bow = 1 - 0.25 * np.exp(-((across / 0.18) ** 2))
        lip = person.skin * (0.82, 0.5, 0.5)
        self._between(across, line - person.lips * arch * bow, line + (1.25 * person.lips + pose.open) * arch, lip)
        self._between(across, line - 0.004, line + 0.012 + pose.open * arch, np.array([50.0, 15, 15]))
        self._feature(0, person.mouth_y + 0.17, person.mouth * 0.6, 0.03, self._dark, 0.45, 0.03)

    def _between(self, across: Vector, upper: Vector, lower: Vector, colour: Vector) -> None:
        x = across * self._person.mouth
        points = np.concatenate([np.stack([x, upper], 1), np.stack([x, lower], 1)[::-1]])
        self._canvas.polygon(self._on_face(points), colour, 0.95, 0.008)
