"""A picture in a hand before a camera: where it is, what the room looks like, what the sensor makes of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from device.datatypes import Image

WIDTH, HEIGHT = 640, 480
Array = npt.NDArray[np.float64]
FloatImage = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Pose:
    """Where the picture is, of one frame: its middle and its height in pixels, turned about its own axes in degrees,
    bent by so much of its width (0: flat)."""

    x: float
    y: float
    height: float
    yaw: float = 0.0
    pitch: float = 0.0
    roll: float = 0.0
    bend: float = 0.0


Way = Callable[[float, Pose, np.random.Generator], Pose]


def unmoved(_t: float, start: Pose, _rng: np.random.Generator) -> Pose:
    """Held without the slightest movement."""
    return start


@dataclass(frozen=True)
class Wander:
    """A hand's path: sums of three slow waves for each freedom. Amplitudes in pixels, share, degrees, share."""

    shift: float
    zoom: float
    turn: float
    roll: float
    bend: float
    speed: float

    def __call__(self, t: float, start: Pose, rng: np.random.Generator) -> Pose:
        """The pose after t seconds; `rng` is the same at each call."""

        def wave() -> float:
            rates, phases = rng.uniform(0.2, 0.9, 3) * self.speed, rng.uniform(0, 2 * np.pi, 3)
            return float((np.sin(2 * np.pi * rates * t + phases) / [1.5, 2.5, 4]).sum())

        return Pose(
            start.x + self.shift * wave(),
            start.y + self.shift * 0.6 * wave(),
            start.height * (1 + self.zoom * wave()),
            self.turn * wave(),
            self.turn * 0.7 * wave(),
            self.roll * wave(),
            self.bend * wave(),
        )


def wander(
    *, shift: float, zoom: float = 0.0, turn: float = 0.0, roll: float = 0.0, bend: float = 0.0, speed: float = 1.0
) -> Way:
    """A hand\'s path: see `Wander`."""
    return Wander(shift, zoom, turn, roll, bend, speed)


def draw_card(
    photo: Path, border: str, rng: np.random.Generator, *, cut: bool
) -> tuple[FloatImage, npt.NDArray[np.float32]]:
    """What is held up, and where it hides what is behind it (0 to 1)."""
    picture = cv2.imread(str(photo), cv2.IMREAD_COLOR)
    if picture is None:
        raise FileNotFoundError(photo)
    picture = cv2.cvtColor(picture, cv2.COLOR_BGR2RGB)
    side = 480
    scale = side / picture.shape[0]
    picture = cv2.resize(picture, (round(picture.shape[1] * scale), side), interpolation=cv2.INTER_CUBIC)
    if border:
        edge = round(side * (rng.uniform(0.04, 0.1)))
        grey = rng.uniform(225, 250) if border == "paper" else rng.uniform(5, 30)
        vertical = edge if border == "paper" else edge * 2
        picture = cv2.copyMakeBorder(
            picture, vertical, vertical, edge, edge, cv2.BORDER_CONSTANT, value=(grey, grey, grey)
        )
    held = picture.astype(np.float32)
    if border == "phone":
        held = np.clip(held * rng.uniform(1.0, 1.25) + 4, 0, 255)
    opacity = np.ones(held.shape[:2], np.float32)
    if cut:
        rows, columns = held.shape[:2]
        opacity[:] = 0
        axes = round(columns * 0.31), round(rows * 0.42)
        cv2.ellipse(opacity, (columns // 2, rows // 2), axes, 0, 0, 360, 1.0, -1, cv2.LINE_AA)
    return held, opacity


def compose(background: FloatImage, card: FloatImage, opacity: npt.NDArray[np.float32], pose: Pose) -> FloatImage:
    """The card before the background, seen by a pinhole camera of 60 degrees."""
    rows, columns = card.shape[:2]
    if abs(pose.bend) > 1e-6:
        card, opacity = _bent(card, pose.bend), _bent(opacity, pose.bend)
    matrix = _homography(columns, rows, pose)
    size = WIDTH, HEIGHT
    # Averaged over what becomes one pixel, as a lens does; linear interpolation alone would alias.
    factor = pose.height / rows
    if factor < 0.8:
        blur = 0.45 / factor
        card, opacity = cv2.GaussianBlur(card, (0, 0), blur), cv2.GaussianBlur(opacity, (0, 0), blur)
    shown = cv2.warpPerspective(card, matrix, size, flags=cv2.INTER_LINEAR)
    hides = cv2.warpPerspective(opacity, matrix, size, flags=cv2.INTER_LINEAR)[..., None]
    composed: FloatImage = shown * hides + background * (1 - hides)
    return composed


def _homography(columns: int, rows: int, pose: Pose) -> Array:
    """From the card's pixels to the camera's."""
    focal = WIDTH / (2 * np.tan(np.radians(30)))
    yaw, pitch, roll = np.radians([pose.yaw, pose.pitch, pose.roll])
    turn = cv2.Rodrigues(np.array([0, 0, roll]))[0] @ cv2.Rodrigues(np.array([pitch, 0, 0]))[0]
    turn = turn @ cv2.Rodrigues(np.array([0, yaw, 0]))[0]
    distance = focal * rows / pose.height
    plane = np.column_stack([turn[:, 0], turn[:, 1], [0, 0, distance]])
    centred = np.array([[1, 0, -columns / 2], [0, 1, -rows / 2], [0, 0, 1.0]])
    camera = np.array([[focal, 0, pose.x], [0, focal, pose.y], [0, 0, 1.0]])
    found: Array = camera @ plane @ centred
    return found


def _bent(card: npt.NDArray[np.float32], bend: float) -> npt.NDArray[np.float32]:
    """A sheet bent about its upright middle: its sides come nearer, so that they look larger, and closer together."""
    rows, columns = card.shape[:2]
    x = np.linspace(-1, 1, columns, dtype=np.float32)[None, :]
    y = np.linspace(-1, 1, rows, dtype=np.float32)[:, None]
    nearer = 1 - bend * x**2
    across = x * (1 + abs(bend) * 0.5 * x**2) * np.ones_like(y)
    along = y * nearer
    map_x = ((across + 1) / 2 * (columns - 1)).astype(np.float32)
    map_y = ((along + 1) / 2 * (rows - 1)).astype(np.float32)
    return np.asarray(cv2.remap(card, map_x, map_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE))


def draw_room(rng: np.random.Generator) -> FloatImage:
    """A wall with furniture: smooth blotches, edges, some texture."""
    small = (rng.uniform(60, 190, (6, 8, 1)) + rng.uniform(-15, 15, (6, 8, 3))).astype(np.float32)
    room = cv2.resize(small, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC)
    for _ in range(rng.integers(2, 7)):
        x, y = rng.integers(0, WIDTH), rng.integers(0, HEIGHT)
        w, h = rng.integers(30, 250, 2)
        colour = (rng.uniform(30, 210) + rng.uniform(-25, 25, 3)).tolist()
        cv2.rectangle(room, (int(x), int(y)), (int(x + w), int(y + h)), colour, -1, cv2.LINE_AA)
    texture = cv2.GaussianBlur(rng.normal(0, 14, (HEIGHT, WIDTH, 1)).astype(np.float32), (0, 0), 1.5)[..., None]
    return np.clip(cv2.GaussianBlur(room, (0, 0), 1.2) + texture, 0, 255).astype(np.float32)


def pass_light(t: float, strength: float, rng: np.random.Generator) -> FloatImage:
    """Factors of the light's change: all of it flickers, and a soft highlight passes."""
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH].astype(np.float32)
    centre = WIDTH * (0.2 + 0.3 * t), HEIGHT * rng.uniform(0.3, 0.7)
    highlight = np.exp(-((x - centre[0]) ** 2 + (y - centre[1]) ** 2) / (2 * 90**2))
    factor: FloatImage = (1 + strength * (0.4 * np.sin(3 * t + rng.uniform(0, 6)) + highlight))[..., None]
    return factor.astype(np.float32)


class Sensor:
    """Photon and read noise, a little of it shared by neighbouring pixels as after demosaicing, and exposure that is
    never quite the same."""

    def __init__(self, rng: np.random.Generator) -> None:
        self._rng = np.random.default_rng(rng.integers(1 << 31))
        self._read = rng.uniform(0.8, 2.5)
        self._photon = rng.uniform(0.05, 0.25)

    def see(self, light: FloatImage) -> Image:
        """HxWx3 float32 of 0 to 255 -> uint8."""
        light = light * np.float32(1 + self._rng.normal(0, 0.004))
        noise = self._rng.standard_normal(light.shape, dtype=np.float32)
        noise = 0.6 * noise + 0.8 * cv2.GaussianBlur(noise, (3, 3), 0.7) * 1.6
        spread = np.sqrt(self._read**2 + self._photon * np.maximum(light, 0))
        return np.clip(np.rint(light + noise * spread), 0, 255).astype(np.uint8)
