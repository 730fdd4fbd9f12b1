"""`python -m training.practice FOLDER`: pictures to walk through a training with, drawn in half a minute."""

from __future__ import annotations

import sys
from pathlib import Path

import click
import cv2
import numpy as np
import numpy.typing as npt

from device.errors import ConfigError
from export import console
from training.practice import fruit
from training.practice.annotations import write_voc, write_yolo
from training.practice.people import Person, Pose, portrait
from training.progress import progress

PEOPLE = ("ana", "bruno", "carmen", "diego", "elena", "felipe", "gloria", "hugo", "ines", "javier", "karla", "luis")
CLIP_FRAMES, CLIP_FPS = 100, 10
QUALITY = 92


@click.command()
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
@click.option("--photos", type=click.IntRange(4), default=60, show_default=True, help="Of each fruit.")
@click.option("--scenes", type=click.IntRange(4), default=80, show_default=True, help="To find fruit in.")
@click.option("--people", type=click.IntRange(4, len(PEOPLE)), default=len(PEOPLE), show_default=True)
@click.option("--portraits", type=click.IntRange(2), default=8, show_default=True, help="Of each person.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="The same pictures again.")
def main(folder: Path, photos: int, scenes: int, people: int, portraits: int, seed: int) -> None:
    """Draw pictures to practise on, in FOLDER, which must be new.

    \b
    fruit/KIND/      apples, bananas and pears to classify; two files are faulty on purpose
    scenes/          the same to find, with labels for YOLO in images/ and labels/
    scenes-voc/      some of those as LabelImg writes them
    people/NAME/     faces of people who never were
    clip.avi         one more person, who looks around
    """
    if folder.exists() and any(folder.iterdir()):
        raise ConfigError(f"{folder} is not empty: name a new folder")
    _fruit(folder / "fruit", photos, seed)
    _scenes(folder, scenes, seed)
    _people(folder / "people", PEOPLE[:people], portraits, seed)
    _clip(folder / "clip.avi", seed)
    click.echo(f"{folder}: {3 * photos} photos of fruit, {scenes} scenes, {people} people and a clip")


def _fruit(folder: Path, count: int, seed: int) -> None:
    for kind in progress(list(fruit.KINDS), "fruit"):
        for number in range(count):
            rng = np.random.default_rng([seed, number, len(kind)])
            _write(folder / kind / f"{kind}-{number:03}.jpg", fruit.photo(kind, rng))
    # What happens to everybody: a copy that got into the wrong folder, and a download that broke off.
    (folder / "pear" / "pear-copy.jpg").write_bytes((folder / "apple" / "apple-000.jpg").read_bytes())
    whole = (folder / "banana" / "banana-001.jpg").read_bytes()
    (folder / "banana" / "banana-001.jpg").write_bytes(whole[: len(whole) // 2])


def _scenes(folder: Path, count: int, seed: int) -> None:
    for number in progress(count, "scenes"):
        picture, seen = fruit.scene(np.random.default_rng([seed, number, 1]))
        split = "val" if number % 4 == 3 else "train"
        image = _write(folder / "scenes" / "images" / split / f"scene-{number:03}.jpg", picture)
        write_yolo(folder / "scenes" / "labels" / split / f"{image.stem}.txt", picture.shape, seen, list(fruit.KINDS))
        if number < max(4, count // 4):
            _write(folder / "scenes-voc" / image.name, picture)
            write_voc(folder / "scenes-voc" / f"{image.stem}.xml", image.name, picture.shape, seen)
    names = "".join(f"  {index}: {kind}\n" for index, kind in enumerate(fruit.KINDS))
    (folder / "scenes" / "data.yaml").write_text(f"train: images/train\nval: images/val\nnames:\n{names}")


def _people(folder: Path, names: tuple[str, ...], count: int, seed: int) -> None:
    for index, name in enumerate(progress(names, "people")):
        for number in range(count):
            rng = np.random.default_rng([seed, number, index, 2])
            picture = portrait(Person.made_up(index), Pose.drawn(rng), rng)
            _write(folder / name / f"{name}-{number:02}.jpg", picture)


def _clip(path: Path, seed: int) -> None:
    """Somebody looks around: left and right, nods, smiles, comes nearer."""
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), CLIP_FPS, (480, 360))
    for frame in progress(CLIP_FRAMES, "clip"):
        turn = 2 * np.pi * frame / CLIP_FRAMES
        pose = Pose(yaw=0.28 * np.sin(turn), tilt=9 * np.sin(2 * turn), smile=0.02 + 0.04 * np.sin(3 * turn), light=1)
        face = (240 + 30 * np.sin(turn), 170 + 10 * np.cos(2 * turn), 95 + 15 * np.sin(turn / 2))
        # The same background in each frame, as before a camera that stands still.
        picture = portrait(Person.made_up(102), pose, np.random.default_rng([seed, 3]), (480, 360), face)
        writer.write(np.ascontiguousarray(picture[..., ::-1]))
    writer.release()


def _write(path: Path, picture: npt.NDArray[np.uint8]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    done, coded = cv2.imencode(".jpg", picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
    assert done
    path.write_bytes(coded.tobytes())
    return path


def run() -> int:
    """Run the command; foreseeable failures become one sentence and an exit code."""
    return console.run(main)


if __name__ == "__main__":
    sys.exit(run())
