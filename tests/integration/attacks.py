"""How many pictures of people who may come in open the whole door: `python -m tests.integration.attacks`.

Each scene is drawn from a photo of somebody who is enrolled from other photos. Scenes are played one after the other
as one recording to the real `sereno run`, with a real broker and gpiozero's mock of the pins; what became of each is
read from the access log and the keeper's journal. Species are those of `tests.access.liveness.scenes`.

The recording is a folder of BMP files, lossless, so that a picture that is repeated is repeated to the pixel. Before
each scene its room is empty for long enough that the face before has left. The door has the settings that ship, but for
a lockout that never comes (else the sixth attack would be denied for the first five, whatever liveness thinks of it).
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from bisect import bisect
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import click
import cv2
import numpy as np

from device.access.audit import read
from device.access.keeper.journal import entries
from device.datatypes import Image
from tests.access.liveness.measure import wilson
from tests.access.liveness.presentation import Sensor, draw_room
from tests.access.liveness.scenes import FPS, SPECIES, Scene, attacks, photos
from tests.daemon import DEV, Daemon, sereno, write_config
from tests.mosquitto import Mosquitto, Subscriber, eventually

EMPTY_S = 2.0
"""So long nobody is to be seen before each scene; a face has left after 1 s."""
OTHERS = 4
"""So many other photos of a person are enrolled at most, of which three or more must be accepted."""
NO_LOCKOUT = 1000
"""Attacks until the first lockout."""


@dataclass
class Told:
    """What one decision on record said. `at_s`: after the scene's first picture."""

    granted: bool
    reason: str
    check: str
    similarity: float | None
    threshold: float
    strike: bool
    summed: int
    pulse: bool
    at_s: float
    detail: str = ""


@dataclass
class Outcome:
    """What became of one scene."""

    name: str
    species: str
    person: str
    decisions: list[Told] = field(default_factory=list)

    @property
    def word(self) -> str:
        """`granted`, `liveness`, another reason, or `undecided`; of several decisions the gravest."""
        words = {"granted" if told.granted else told.reason for told in self.decisions}
        first = [word for word in ("granted", "liveness") if word in words]
        return (first + sorted(words) + ["undecided"])[0]

    @property
    def recognised(self) -> bool:
        """Whether the door took the picture for somebody of the gallery, alive or not."""
        return any(told.similarity is not None and told.similarity >= told.threshold for told in self.decisions)


@dataclass
class Result:
    """What became of all scenes of a run."""

    outcomes: list[Outcome] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)
    """People who could not be enrolled from three photos: a picture of them attacks nobody."""
    grants: int = 0
    pulses: int = 0


def draw(data: Path, count: int, seed: int, species: Sequence[str]) -> list[Scene]:
    """Scenes of the people on whom no limit was chosen, each of a photo of its own as far as there are people; after
    that of each person's next photo."""
    firsts = photos(data / "lfw" / "train", "report")
    drawn = attacks(firsts, count, seed, species)
    return [replace(one, photo=photos_of(one)[index // len(firsts)]) for index, one in enumerate(drawn)]


def photos_of(scene: Scene) -> list[Path]:
    """All photos of the person that it shows."""
    return sorted(scene.photo.parent.glob("*.[jp][pn]g"))


def run_door(folder: Path, scenes: Sequence[Scene], liveness: str = "passive") -> Result:
    """Enrol the people of the scenes, play the scenes as one recording, and read what became of them.

    Args:
        folder: empty; takes the recording and the door's state.
        scenes: each of another person.
        liveness: `door.liveness`.
    """
    assert len({one.photo.parent for one in scenes}) == len(scenes), "a recording shows each person once"
    broker = Mosquitto(folder / "broker").start()
    try:
        config = write_config(
            folder,
            folder / "stills",
            device={"role": "door"},
            door={"lock": {"driver": "mock"}, "liveness": liveness, "policy": {"lockout_after": NO_LOCKOUT}},
            mqtt={"enabled": True, "port": broker.port},
        )
        enrolled = enrol_others(config, folder / "people", scenes)
        shown = [one for one in scenes if one.photo.parent.name in enrolled]
        starts = write_stills(folder / "stills", shown)
        looked, heard = play(config, broker)
    finally:
        broker.stop()
    result = collect(folder / "state", shown, starts, looked, heard)
    result.left_out = [one.photo.parent.name for one in scenes if one not in shown]
    return result


def run_batch(scenes: Sequence[Scene], liveness: str = "passive") -> Result:
    """The same in a folder that is gone afterwards: a recording takes 1 GB."""
    with tempfile.TemporaryDirectory() as folder:
        return run_door(Path(folder), scenes, liveness)


def enrol_others(config: Path, folder: Path, scenes: Sequence[Scene]) -> set[str]:
    """Enrol everybody from other photos than the one that is held up. Returns who was."""
    for scene in scenes:
        person = folder / scene.photo.parent.name
        person.mkdir(parents=True)
        for photo in [photo for photo in photos_of(scene) if photo != scene.photo][:OTHERS]:
            (person / photo.name).symlink_to(photo.resolve())
    done = sereno("enrol", "--people", folder, "--config", config, "--yes", timeout_s=300, program=DEV)
    assert done.returncode in (0, 1), done.stderr
    listed = sereno("people", "list", "--json", "--config", config, program=DEV)
    assert listed.returncode == 0, listed.stderr
    return {json.loads(line)["name"] for line in listed.stdout.splitlines()}


def write_stills(folder: Path, scenes: Sequence[Scene]) -> list[float]:
    """One recording of all scenes. Returns when each begins, in seconds."""
    folder.mkdir()
    starts, number = [], 0
    for scene in scenes:
        for picture in empty_room(scene):
            _write(folder / f"{number:06}.bmp", picture)
            number += 1
        starts.append(number / FPS)
        for picture in scene.pictures():
            _write(folder / f"{number:06}.bmp", picture)
            number += 1
    if scenes:
        for picture in empty_room(scenes[-1]):
            _write(folder / f"{number:06}.bmp", picture)
            number += 1
    return starts


def empty_room(scene: Scene) -> Iterator[Image]:
    """The scene's room before anybody comes."""
    room, sensor = draw_room(np.random.default_rng(scene.seed)), Sensor(np.random.default_rng([scene.seed, 1]))
    seen = [sensor.see(room) for _ in range(4)]
    for number in range(round(EMPTY_S * FPS)):
        yield seen[number % len(seen)]


def _write(path: Path, picture: Image) -> None:
    done = cv2.imwrite(str(path), cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
    assert done, path


def play(config: Path, broker: Mosquitto) -> tuple[list[tuple[int, float]], set[str]]:
    """Let the door look at the recording to its end.

    Returns:
        Each frame's number and when it was taken up, in seconds since 1970; and the ids of the decisions that the
        broker heard of.
    """
    timeline = config.parent / "timeline.txt"
    program = ("env", f"SERENO_TIMELINE={timeline}", sys.executable, "-m", "tests.integration.watcheddoor")
    subscriber = Subscriber(broker.port, "sereno/test/#")
    with Daemon(config, "--pace", "fast", program=program) as daemon:
        assert daemon.end(timeout_s=600) == 0, daemon.said
    assert eventually(lambda: subscriber.on("sereno/test/availability")[-1:] == [b"offline"])
    subscriber.close()
    heard = {json.loads(payload)["id"] for payload in subscriber.on("sereno/test/door/access")}
    looked = [line.split() for line in timeline.read_text(encoding="ascii").splitlines()]
    return [(int(index), float(at)) for index, at in looked], heard


def collect(
    state: Path, scenes: Sequence[Scene], starts: Sequence[float], looked: Sequence[tuple[int, float]], heard: set[str]
) -> Result:
    """Bring log, journal and scenes together.

    Args:
        state: the door's state folder.
        scenes: as played.
        starts: when each begins, in the recording.
        looked: see `play`.
        heard: see `play`.
    """
    released = [
        entry["authorisation"]
        for entry in entries(state / "lock" / "journal.jsonl")
        if entry["action"] in ("unlock", "extend")
    ]
    decisions = [record for record in read(state / "audit" / "audit.db") if record.kind == "decision"]
    assert {record.content["id"] for record in decisions} == heard, "the broker heard of other decisions"
    result = Result([Outcome(one.name, one.species, one.photo.parent.name) for one in scenes], pulses=len(released))
    moments = [at for _, at in looked]
    for record in decisions:
        at_s = looked[max(0, bisect(moments, record.wall) - 1)][0] / FPS
        which = bisect(starts, at_s) - 1
        assert which >= 0, f"decided before anybody came: {record.content}"
        told = _told(record.content, record.hash.hex() in released, at_s - starts[which])
        result.grants += told.granted
        result.outcomes[which].decisions.append(told)
    return result


def _told(body: dict[str, Any], pulse: bool, at_s: float) -> Told:
    return Told(
        granted=body["decision"] == "granted",
        reason=body["reason"],
        check=body["check"],
        similarity=body["similarity"],
        threshold=body["threshold"],
        strike=body["strike"],
        summed=body["summed"],
        pulse=pulse,
        at_s=round(at_s, 2),
        detail=body["detail"],
    )


def table(outcomes: Sequence[Outcome]) -> str:
    """Markdown: of each species, what became of its scenes."""
    lines = [
        "| species | scenes | recognised | denied `liveness`, by | denied otherwise | undecided "
        "| GRANTED | 95 % interval |",
        "|---|---|---|---|---|---|---|---|",
    ]
    groups: dict[str, list[Outcome]] = defaultdict(list)
    for outcome in outcomes:
        groups[outcome.species].append(outcome)
    for species, group in [*groups.items(), ("all", list(outcomes))]:
        words = Counter(one.word for one in group)
        by = Counter(
            next(told.check for told in one.decisions if told.reason == "liveness") or "none said yes in time"
            for one in group
            if one.word == "liveness"
        )
        else_ = {word: count for word, count in words.items() if word not in ("granted", "liveness", "undecided")}
        low, high = wilson(words["granted"], len(group))
        checks = f": {_listed(by)}" if by else ""
        lines.append(
            f"| {species} | {len(group)} | {sum(one.recognised for one in group)} | {words['liveness']}{checks} "
            f"| {_listed(else_) or '–'} | {words['undecided']} | {words['granted']} | {low:.1%} to {high:.1%} |"
        )
    return "\n".join(lines)


def load(path: Path) -> Result:
    """What a run that was cut off had found."""
    found = json.loads(path.read_text(encoding="utf-8"))
    outcomes = [
        Outcome(**one | {"decisions": [Told(**told) for told in one["decisions"]]}) for one in found["outcomes"]
    ]
    return Result(**found | {"outcomes": outcomes})


def _listed(counts: dict[str, int]) -> str:
    return ", ".join(f"{word} {count}" for word, count in sorted(counts.items(), key=lambda item: -item[1]))


def sheet(scene: Scene, path: Path) -> None:
    """Six pictures of a scene, to be looked at."""
    pictures = list(scene.pictures())
    chosen = [cv2.resize(pictures[index], (320, 240)) for index in np.linspace(0, len(pictures) - 1, 6).astype(int)]
    _write(path, np.vstack([np.hstack(chosen[:3]), np.hstack(chosen[3:])]))


@click.command()
@click.option("--data", type=click.Path(path_type=Path), help="Default: $SERENO_DATA or ../shared/data.")
@click.option("--count", default=228, show_default=True, help="Scenes.")
@click.option("--seed", default=4, show_default=True)
@click.option("--species", help="Only these, separated by commas.")
@click.option("--batch", default=len(SPECIES), show_default=True, help="Scenes, and people of the gallery, at a time.")
@click.option("--jobs", default=1, show_default=True, help="Doors at a time.")
@click.option("--liveness", type=click.Choice(["passive", "challenge", "off"]), default="passive", show_default=True)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    help="Every outcome, as JSON; a run that was cut off goes on from there. Beside it a picture of each that got in.",
)
def main(
    data: Path | None,
    count: int,
    seed: int,
    species: str | None,
    batch: int,
    jobs: int,
    liveness: str,
    out: Path | None,
) -> None:
    """Play drawn attacks to the whole door, and count."""
    cv2.setNumThreads(1)
    data = data or Path(os.environ.get("SERENO_DATA", "../shared/data"))
    scenes = draw(data, count, seed, species.split(",") if species else list(SPECIES))
    result = load(out) if out and out.exists() else Result()
    done = len(result.outcomes) + len(result.left_out)
    batches = [scenes[first : first + batch] for first in range(done, len(scenes), batch)]
    with ThreadPoolExecutor(jobs) as pool:
        for part in pool.map(lambda these: run_batch(these, liveness), batches):
            result.outcomes += part.outcomes
            result.left_out += part.left_out
            result.grants += part.grants
            result.pulses += part.pulses
            click.echo(f"{len(result.outcomes)}: {result.grants} granted, {result.pulses} pulses", err=True)
            if out:
                out.write_text(json.dumps(asdict(result), indent=1), encoding="utf-8")
    click.echo(table(result.outcomes))
    click.echo(f"\n{result.grants} grants on record, {result.pulses} pulses of the lock in the keeper's journal")
    click.echo(f"not enrolled, so left out: {', '.join(result.left_out) or 'nobody'}")
    inside = {one.name for one in result.outcomes if one.word == "granted"}
    for scene in scenes:
        if scene.name in inside:
            path = (out.parent if out else Path()) / f"granted-{scene.name}.png"
            sheet(scene, path)
            click.echo(f"GRANTED: {scene.name}: {path}")


if __name__ == "__main__":
    main()
