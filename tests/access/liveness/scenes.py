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

from device.datatypes import Frame, Image
from tests.access.liveness.presentation import (
    HEIGHT,
    WIDTH,
    Pose,
    Sensor,
    Way,
    compose,
    draw_card,
    draw_room,
    pass_light,
    unmoved,
    wander,
)

FPS = 10
SECONDS = 3.0


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
    yield from _shown(scene, unmoved)


def frozen(scene: Scene) -> Iterator[Image]:
    """One frame again and again: a stream that was cut into, or a picture in memory."""
    first = next(_shown(scene, unmoved))
    for _ in range(scene.count):
        yield first


def looped(scene: Scene) -> Iterator[Image]:
    """Four recorded frames again and again, of a hand that moves."""
    recorded = []
    for picture in _shown(scene, wander(shift=4)):
        recorded.append(picture)
        if len(recorded) == 4:
            break
    for index in range(scene.count):
        yield recorded[index % 4]


def moved(scene: Scene) -> Iterator[Image]:
    """Carried through the view."""
    yield from _shown(scene, wander(shift=60))


def scaled(scene: Scene) -> Iterator[Image]:
    """Brought nearer and taken away."""
    yield from _shown(scene, wander(shift=6, zoom=0.25))


def tilted(scene: Scene) -> Iterator[Image]:
    """Turned to the side and up and down, as if the head nodded."""
    yield from _shown(scene, wander(shift=6, turn=22))


def rolled(scene: Scene) -> Iterator[Image]:
    """Turned in its own plane."""
    yield from _shown(scene, wander(shift=4, roll=15))


def shaken(scene: Scene) -> Iterator[Image]:
    """Jerked about quickly, so that it is blurred by its movement."""
    yield from _shown(scene, wander(shift=30, roll=4, speed=3.0), blurred=True)


def handheld(scene: Scene) -> Iterator[Image]:
    """Everything a hand does, a little of each."""
    yield from _shown(scene, wander(shift=12, zoom=0.05, turn=8, roll=4))


def paper(scene: Scene) -> Iterator[Image]:
    """A print with a white border, in a hand."""
    yield from _shown(scene, wander(shift=15, zoom=0.06, turn=10, roll=4), border="paper")


def phone(scene: Scene) -> Iterator[Image]:
    """On a phone with a black bezel, brighter than the room, in a hand."""
    yield from _shown(scene, wander(shift=15, zoom=0.06, turn=10, roll=4), border="phone")


def stand(scene: Scene) -> Iterator[Image]:
    """On a phone that stands still."""
    yield from _shown(scene, unmoved, border="phone")


def bent(scene: Scene) -> Iterator[Image]:
    """Paper that is bent to and fro about its upright middle, in a hand."""
    yield from _shown(scene, wander(shift=10, turn=8, bend=0.12), border="paper")


def lit(scene: Scene) -> Iterator[Image]:
    """In a hand, while the light changes and a highlight passes over it."""
    yield from _shown(scene, wander(shift=12, turn=8), light=0.25)


def close(scene: Scene) -> Iterator[Image]:
    """So near that it fills the view, in a hand: neither border nor room are seen."""
    yield from _shown(scene, wander(shift=10, zoom=0.03, turn=4, roll=2), height=(1150, 1400))


def far(scene: Scene) -> Iterator[Image]:
    """Held up two metres away, in a hand."""
    yield from _shown(scene, wander(shift=8, zoom=0.05, turn=8, roll=4), height=(120, 190))


def mask(scene: Scene) -> Iterator[Image]:
    """Cut out along the head's outline, so without any border, in a hand."""
    yield from _shown(scene, wander(shift=20, zoom=0.06, turn=15, roll=6), cut=True)


def recoded(scene: Scene) -> Iterator[Image]:
    """In a hand, through a camera that sends a compressed stream: MPEG-4's blocks move of their own."""
    yield from through_codec(_shown(scene, wander(shift=15, zoom=0.05, turn=8, roll=3)))


def recoded_still(scene: Scene) -> Iterator[Image]:
    """Held still, through the same stream."""
    yield from through_codec(_shown(scene, unmoved))


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
    background = draw_room(rng)
    card, opacity = draw_card(scene.photo, border, rng, cut=cut)
    tall = rng.uniform(*height) * (1.2 if border else 1.0)
    start = Pose(rng.uniform(0.42, 0.58) * WIDTH, rng.uniform(0.45, 0.55) * HEIGHT, tall)
    sensor = Sensor(rng)
    for index in range(scene.count):
        t = index / FPS
        # A shutter that is open for a while sees several places at once.
        moments = [t + part / FPS for part in (0, 0.1, 0.2, 0.3)] if blurred else [t]
        seen = np.zeros((HEIGHT, WIDTH, 3), np.float32)
        for moment in moments:
            pose = path(moment, start, np.random.default_rng(scene.seed + 1))
            seen += compose(background, card, opacity, pose) / len(moments)
        if light:
            seen *= pass_light(t, light, np.random.default_rng(scene.seed + 2))
        yield sensor.see(seen)
