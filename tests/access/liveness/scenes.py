"""Attacks drawn from photos: what a camera would see of a picture of a face that is held before it.

Nothing here needs pytest, so that other tests and the command that counts (`python -m tests.access.liveness.measure`)
use it, too. Every scene is reproducible: its seed decides the picture's path, the light and the noise.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import cv2
import numpy as np
import numpy.typing as npt

from device.datatypes import Frame, Image

WIDTH, HEIGHT, FPS = 640, 480, 10
SECONDS = 3.0
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


@dataclass(frozen=True)
class Scene:
    """One attack. `species` is what is held and how, in the sense of ISO/IEC 30107-3 (a presentation attack instrument
    species)."""

    species: str
    photo: Path
    seed: int
    seconds: float = SECONDS

    @property
    def name(self) -> str:
        """Unique, for people."""
        return f"{self.species}-{self.photo.stem}-{self.seed}"

    def pictures(self) -> Iterator[Image]:
        """480x640x3 uint8 RGB, ten a second."""
        return SPECIES[self.species](self)

    def frames(self, camera: str = "door", start: float = 0.0) -> Iterator[Frame]:
        """The same as frames, with the time of each."""
        for index, picture in enumerate(self.pictures()):
            yield Frame(camera, index, picture, start + index / FPS, 1.7e9 + start + index / FPS)

    @property
    def count(self) -> int:
        """How many frames there are."""
        return round(self.seconds * FPS)


def attacks(photos: Sequence[Path], count: int, seed: int = 0, species: Sequence[str] | None = None) -> list[Scene]:
    """So many scenes, the species in turn, each of another photo as long as there are enough."""
    names = list(species or SPECIES)
    order = np.random.default_rng(seed).permutation(len(photos))
    return [
        Scene(names[index % len(names)], photos[order[index % len(order)]], seed * 100_000 + index)
        for index in range(count)
    ]


def photos(folder: Path, part: Literal["all", "choose", "report"] = "all") -> list[Path]:
    """One photo of each person of a folder of folders, in the order of their names.

    Args:
        folder: `lfw/train`, say.
        part: limits are chosen on every other person, and figures reported on the others.
    """
    chosen = [
        sorted(person.glob("*.[jp][pn]g"))[0]
        for person in sorted(folder.iterdir())
        if person.is_dir() and any(person.glob("*.[jp][pn]g"))
    ]
    return {"all": chosen, "choose": chosen[::2], "report": chosen[1::2]}[part]


def still(scene: Scene) -> Iterator[Image]:
    """Held without the slightest movement."""
    yield from _shown(scene, _unmoved)


def frozen(scene: Scene) -> Iterator[Image]:
    """One frame again and again: a stream that was cut into, or a picture in memory."""
    first = next(_shown(scene, _unmoved))
    for _ in range(scene.count):
        yield first


def looped(scene: Scene) -> Iterator[Image]:
    """Four recorded frames again and again, of a hand that moves."""
    recorded = []
    for picture in _shown(scene, _wander(shift=4)):
        recorded.append(picture)
        if len(recorded) == 4:
            break
    for index in range(scene.count):
        yield recorded[index % 4]


def moved(scene: Scene) -> Iterator[Image]:
    """Carried through the view."""
    yield from _shown(scene, _wander(shift=60))


def scaled(scene: Scene) -> Iterator[Image]:
    """Brought nearer and taken away."""
    yield from _shown(scene, _wander(shift=6, zoom=0.25))


def tilted(scene: Scene) -> Iterator[Image]:
    """Turned to the side and up and down, as if the head nodded."""
    yield from _shown(scene, _wander(shift=6, turn=22))


def rolled(scene: Scene) -> Iterator[Image]:
    """Turned in its own plane."""
    yield from _shown(scene, _wander(shift=4, roll=15))


def shaken(scene: Scene) -> Iterator[Image]:
    """Jerked about quickly, so that it is blurred by its movement."""
    yield from _shown(scene, _wander(shift=30, roll=4, speed=3.0), blurred=True)


def handheld(scene: Scene) -> Iterator[Image]:
    """Everything a hand does, a little of each."""
    yield from _shown(scene, _wander(shift=12, zoom=0.05, turn=8, roll=4))


def paper(scene: Scene) -> Iterator[Image]:
    """A print with a white border, in a hand."""
    yield from _shown(scene, _wander(shift=15, zoom=0.06, turn=10, roll=4), border="paper")


def phone(scene: Scene) -> Iterator[Image]:
    """On a phone with a black bezel, brighter than the room, in a hand."""
    yield from _shown(scene, _wander(shift=15, zoom=0.06, turn=10, roll=4), border="phone")


def stand(scene: Scene) -> Iterator[Image]:
    """On a phone that stands still."""
    yield from _shown(scene, _unmoved, border="phone")


def bent(scene: Scene) -> Iterator[Image]:
    """Paper that is bent to and fro about its upright middle, in a hand."""
    yield from _shown(scene, _wander(shift=10, turn=8, bend=0.12), border="paper")


def lit(scene: Scene) -> Iterator[Image]:
    """In a hand, while the light changes and a highlight passes over it."""
    yield from _shown(scene, _wander(shift=12, turn=8), light=0.25)


def close(scene: Scene) -> Iterator[Image]:
    """So near that it fills the view, in a hand: neither border nor room are seen."""
    yield from _shown(scene, _wander(shift=10, zoom=0.03, turn=4, roll=2), height=(1150, 1400))


def far(scene: Scene) -> Iterator[Image]:
    """Held up two metres away, in a hand."""
    yield from _shown(scene, _wander(shift=8, zoom=0.05, turn=8, roll=4), height=(120, 190))


def mask(scene: Scene) -> Iterator[Image]:
    """Cut out along the head's outline, so without any border, in a hand."""
    yield from _shown(scene, _wander(shift=20, zoom=0.06, turn=15, roll=6), cut=True)


def recoded(scene: Scene) -> Iterator[Image]:
    """In a hand, through a camera that sends a compressed stream: MPEG-4's blocks move of their own."""
    yield from through_codec(_shown(scene, _wander(shift=15, zoom=0.05, turn=8, roll=3)))


def recoded_still(scene: Scene) -> Iterator[Image]:
    """Held still, through the same stream."""
    yield from through_codec(_shown(scene, _unmoved))


SPECIES: dict[str, Callable[[Scene], Iterator[Image]]] = {
    "still": still,
    "frozen": frozen,
    "looped": looped,
    "moved": moved,
    "scaled": scaled,
    "tilted": tilted,
    "rolled": rolled,
    "shaken": shaken,
    "handheld": handheld,
    "paper": paper,
    "phone": phone,
    "stand": stand,
    "bent": bent,
    "lit": lit,
    "close": close,
    "far": far,
    "mask": mask,
    "recoded": recoded,
    "recoded-still": recoded_still,
}
"""By name: what is held, and how."""


def through_codec(pictures: Iterator[Image], codec: str = "mp4v") -> Iterator[Image]:
    """Pictures as a player gives them after they were encoded.

    Args:
        pictures: HxWx3 uint8 RGB.
        codec: four characters that OpenCV's FFmpeg knows.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder) / ("clip.avi" if codec == "MJPG" else "clip.mp4"))
        writer = None
        for picture in pictures:
            if writer is None:
                size = picture.shape[1], picture.shape[0]
                writer = cv2.VideoWriter(path, cv2.VideoWriter.fourcc(*codec), FPS, size)
            writer.write(cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
        if writer is None:
            return
        writer.release()
        reader = cv2.VideoCapture(path)
        while True:
            ok, picture = reader.read()
            if not ok:
                break
            yield cv2.cvtColor(picture, cv2.COLOR_BGR2RGB)
        reader.release()


Way = Callable[[float, Pose, np.random.Generator], Pose]


def _unmoved(_t: float, start: Pose, _rng: np.random.Generator) -> Pose:
    return start


@dataclass(frozen=True)
class _Wander:
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


def _wander(
    *, shift: float, zoom: float = 0.0, turn: float = 0.0, roll: float = 0.0, bend: float = 0.0, speed: float = 1.0
) -> Way:
    return _Wander(shift, zoom, turn, roll, bend, speed)


def _shown(
    scene: Scene,
    path: Way,
    *,
    border: str = "",
    light: float = 0.0,
    cut: bool = False,
    blurred: bool = False,
    height: tuple[float, float] = (300, 440),
) -> Iterator[Image]:
    """The camera's pictures of a photo that follows a path before a background. `height`: the photo's, in pixels."""
    rng = np.random.default_rng(scene.seed)
    background = _room(rng)
    card, opacity = _card(scene.photo, border, rng, cut=cut)
    tall = rng.uniform(*height) * (1.2 if border else 1.0)
    start = Pose(rng.uniform(0.42, 0.58) * WIDTH, rng.uniform(0.45, 0.55) * HEIGHT, tall)
    sensor = _Sensor(rng)
    for index in range(scene.count):
        t = index / FPS
        # A shutter that is open for a while sees several places at once.
        moments = [t + part / FPS for part in (0, 0.1, 0.2, 0.3)] if blurred else [t]
        seen = np.zeros((HEIGHT, WIDTH, 3), np.float32)
        for moment in moments:
            pose = path(moment, start, np.random.default_rng(scene.seed + 1))
            seen += _composed(background, card, opacity, pose) / len(moments)
        if light:
            seen *= _light(t, light, np.random.default_rng(scene.seed + 2))
        yield sensor.see(seen)


def _card(
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


def _composed(background: FloatImage, card: FloatImage, opacity: npt.NDArray[np.float32], pose: Pose) -> FloatImage:
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


def _room(rng: np.random.Generator) -> FloatImage:
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


def _light(t: float, strength: float, rng: np.random.Generator) -> FloatImage:
    """Factors of the light's change: all of it flickers, and a soft highlight passes."""
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH].astype(np.float32)
    centre = WIDTH * (0.2 + 0.3 * t), HEIGHT * rng.uniform(0.3, 0.7)
    highlight = np.exp(-((x - centre[0]) ** 2 + (y - centre[1]) ** 2) / (2 * 90**2))
    factor: FloatImage = (1 + strength * (0.4 * np.sin(3 * t + rng.uniform(0, 6)) + highlight))[..., None]
    return factor.astype(np.float32)


class _Sensor:
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
