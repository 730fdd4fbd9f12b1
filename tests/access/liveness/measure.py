"""How many drawn attacks get through, and how many live clips are refused: `python -m tests.access.liveness.measure`.

Figures are named as in ISO/IEC 30107-3: APCER (attack presentations called live) of each species of attack instrument
and BPCER (bona fide presentations not called live), with counts and 95 % intervals. Drawn scenes are not held pictures,
and a handful of clips is no population: docs/security.md says what follows from these figures and what does not.
"""

from __future__ import annotations

import json
import os
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import click
import cv2
import numpy as np

from device.access.face_detector import FaceDetector
from device.access.facemodels import open_detector
from device.access.liveness import LivenessChain, open_liveness
from device.access.liveness.motion import Motion
from device.access.liveness.opening import Mode
from device.access.liveness.verdict import View
from device.capture.footage import face_clip
from device.datatypes import Face, Frame, Image
from device.errors import InputError
from device.inference.boxes import iou
from export.weights import FOOTAGE_CACHE
from tests.access.liveness.scenes import FPS, SPECIES, Scene, attacks, photos

CLIPS = ("obama.mp4", "carphone_pristine.mp4", "one-by-one-person-detection.mp4")
SMALLEST_PX = 36
"""Width of a face that counts."""


@dataclass
class Outcome:
    """What the chain said of one scene, or of one clip from one moment on.

    `live_s`: when it first said live, in seconds from the first face; None where it never did. `refused_by`: the check
    that said no, and when. `alone`: what each check, asked by itself, said last. `moved`: the motion check's largest
    figure. `minifasnet`: mean score.
    """

    name: str
    species: str
    faces: int = 0
    live_s: float | None = None
    refused_by: str = ""
    refused_s: float | None = None
    last: str = "pending"
    alone: dict[str, str] = field(default_factory=dict)
    scores: dict[str, float] = field(default_factory=dict)


class Watcher:
    """The largest face of each frame, and the track it belongs to."""

    def __init__(self, detector: FaceDetector) -> None:
        self._detector = detector
        self._last: Face | None = None
        self.tracks = 0

    def see(self, frame: Frame) -> tuple[int, Face, list[Face]] | None:
        """The track, its face and the others; None where there is none."""
        faces = self._detector.detect(frame.image)
        if not faces or faces[0].xyxy[2] - faces[0].xyxy[0] < SMALLEST_PX:
            return None
        first = faces[0]
        if self._last is None or float(iou(_box(self._last), _box(first))[0, 0]) < 0.2:
            self.tracks += 1
        self._last = first
        return self.tracks, first, faces[1:]


def _box(face: Face) -> np.ndarray:
    return np.array([face.xyxy], np.float32)


def watch(
    name: str, species: str, frames: Iterable[Frame], watcher: Watcher, chain: LivenessChain, *, each: bool
) -> Outcome:
    """Show frames to the chain and, if `each`, to each of its checks alone; else until the chain says no."""
    outcome = Outcome(name, species)
    alone = dict(chain.checks()) if each else {}
    said: dict[str, set[str]] = defaultdict(set)
    start: float | None = None
    for frame in frames:
        found = watcher.see(frame)
        if found is None:
            continue
        track, face, others = found
        start = frame.monotonic if start is None else start
        outcome.faces += 1
        liveness = chain.look(frame, track, face, others)
        outcome.last = liveness.state
        if liveness.state == "live" and outcome.live_s is None:
            outcome.live_s = round(frame.monotonic - start, 2)
        if liveness.state == "spoof" and not outcome.refused_by:
            outcome.refused_by, outcome.refused_s = liveness.check, round(frame.monotonic - start, 2)
            if not each:
                break
        for check_name, check in alone.items():
            verdict = check.look(View(frame, face))
            said[check_name].add(verdict.answer)
            if verdict.answer != "open" or isinstance(check, Motion):
                best = max(outcome.scores.get(check_name, 0.0), verdict.score)
                outcome.scores[check_name] = round(best, 3)
    for check_name, answers in said.items():
        outcome.alone[check_name] = "yes" if "yes" in answers else "no" if "no" in answers else "open"
    for track in range(1, watcher.tracks + 1):
        chain.forget(track)
    return outcome


def clip_frames(path: Path) -> list[Image]:
    """A clip's pictures, ten a second, HxWx3 RGB."""
    capture = cv2.VideoCapture(str(path))
    rate = capture.get(cv2.CAP_PROP_FPS)
    kept: list[Image] = []
    index = 0
    while True:
        ok, picture = capture.read()
        if not ok:
            capture.release()
            return kept
        if index / rate >= len(kept) / FPS - 1e-6:
            kept.append(cv2.cvtColor(picture, cv2.COLOR_BGR2RGB))
        index += 1


def live_stretches(path: Path, detector: FaceDetector) -> Iterator[tuple[str, list[Frame]]]:
    """Stretches of a clip in which one face of enough pixels is to be seen, at least a second each."""
    pictures = clip_frames(path)
    frames = [Frame("clip", index, picture, index / FPS, index / FPS) for index, picture in enumerate(pictures)]
    watcher = Watcher(detector)
    stretch: list[Frame] = []
    last = 0
    for frame in [*frames, None]:
        found = watcher.see(frame) if frame is not None else None
        if found is None or found[0] != last:
            if len(stretch) >= FPS:
                yield f"{path.stem}-{stretch[0].index / FPS:.1f}s", stretch
            stretch = []
        if found is not None and frame is not None:
            stretch.append(frame)
            last = found[0]


def wilson(failures: int, trials: int) -> tuple[float, float]:
    """The 95 % interval of a share by Wilson's score (1927)."""
    if not trials:
        return 0.0, 1.0
    z, share = 1.96, failures / trials
    middle = (share + z * z / (2 * trials)) / (1 + z * z / trials)
    half = z / (1 + z * z / trials) * np.sqrt(share * (1 - share) / trials + z * z / (4 * trials**2))
    return max(0.0, float(middle - half)), min(1.0, float(middle + half))


def attack_table(outcomes: Sequence[Outcome]) -> str:
    """Markdown: of each species, how many scenes there were, got through, were refused and by whom."""
    lines = [
        "| species | scenes | got through | APCER, 95 % interval | refused by | undecided |",
        "|---|---|---|---|---|---|",
    ]
    groups: dict[str, list[Outcome]] = defaultdict(list)
    for outcome in outcomes:
        groups[outcome.species].append(outcome)
    for species, group in [*groups.items(), ("all", list(outcomes))]:
        through = sum(one.live_s is not None for one in group)
        low, high = wilson(through, len(group))
        refused = Counter(one.refused_by for one in group if one.refused_by)
        who = ", ".join(f"{name} {count}" for name, count in refused.most_common())
        open_ = sum(not one.refused_by and one.live_s is None for one in group)
        lines.append(
            f"| {species} | {len(group)} | {through} | {through / len(group):.1%} ({low:.1%} to {high:.1%}) | {who} "
            f"| {open_} |"
        )
    return "\n".join(lines)


def alone_table(outcomes: Sequence[Outcome]) -> str:
    """Markdown: what each check by itself would have let through."""
    names = list(outcomes[0].alone)
    lines = [f"| species | {' | '.join(names)} |", "|---|" + "---|" * len(names)]
    groups: dict[str, list[Outcome]] = defaultdict(list)
    for outcome in outcomes:
        groups[outcome.species].append(outcome)
    for species, group in [*groups.items(), ("all", list(outcomes))]:
        cells = [f"{sum(one.alone.get(name) == 'yes' for one in group)} of {len(group)}" for name in names]
        lines.append(f"| {species} | {' | '.join(cells)} |")
    return "\n".join(lines)


def live_table(outcomes: Sequence[Outcome]) -> str:
    """Markdown: of each stretch, what became of it."""
    lines = ["| live clip | faces | live after | refused by | scores |", "|---|---|---|---|---|"]
    for one in outcomes:
        scores = ", ".join(f"{name} {score:.2f}" for name, score in one.scores.items())
        after = "never" if one.live_s is None else f"{one.live_s:.1f} s"
        refused = f"{one.refused_by} after {one.refused_s:.1f} s" if one.refused_by else "–"
        lines.append(f"| {one.name} | {one.faces} | {after} | {refused} | {scores} |")
    return "\n".join(lines)


def find_clips(data: Path) -> list[Path]:
    """The live clips that are here."""
    found = [data / "videos" / name for name in CLIPS if (data / "videos" / name).is_file()]
    try:
        found.append(face_clip(FOOTAGE_CACHE))
    except InputError as error:
        click.echo(f"left out: {error}", err=True)
    return found


def measure_attacks(scenes: Sequence[Scene], mode: Mode, *, each: bool = False) -> list[Outcome]:
    """All scenes, each by a new watcher."""
    detector, chain = open_detector("yunet"), open_liveness(mode)
    return [watch(one.name, one.species, one.frames(), Watcher(detector), chain, each=each) for one in scenes]


Stretches = Sequence[tuple[str, Sequence[Frame]]]


def measure_live(stretches: Stretches, mode: Mode, half: str) -> list[Outcome]:
    """All stretches from their beginning or, of the `first` or `second` half, begun anew every half second."""
    detector, chain = open_detector("yunet"), open_liveness(mode)
    outcomes = []
    for name, frames in stretches:
        if half == "all":
            outcomes.append(watch(name, "live", frames, Watcher(detector), chain, each=True))
            continue
        middle = len(frames) // 2
        part = frames[:middle] if half == "first" else frames[middle:]
        for begin in range(0, len(part) - FPS + 1, FPS // 2):
            label = f"{name}+{(begin + middle * (half == 'second')) / FPS:.1f}"
            outcomes.append(watch(label, "live", part[begin : begin + 2 * FPS], Watcher(detector), chain, each=False))
    return outcomes


@click.command()
@click.option("--data", type=click.Path(path_type=Path), help="Default: $SERENO_DATA or ../shared/data.")
@click.option("--count", default=228, show_default=True, help="Scenes.")
@click.option("--seed", default=1, show_default=True)
@click.option(
    "--part", type=click.Choice(["choose", "report"]), default="report", show_default=True, help="Whose faces."
)
@click.option("--species", help="Only these, separated by commas.")
@click.option("--mode", type=click.Choice(["passive", "challenge"]), default="passive", show_default=True)
@click.option("--each", is_flag=True, help="Also ask each check by itself.")
@click.option("--live/--no-live", default=True, help="Also look at the live clips.")
@click.option("--out", type=click.Path(path_type=Path), help="Every outcome, as JSON.")
def main(
    data: Path | None,
    count: int,
    seed: int,
    part: Any,
    species: str | None,
    mode: Mode,
    each: bool,
    live: bool,
    out: Path | None,
) -> None:
    """Draw attacks, look at live clips, print tables."""
    cv2.setNumThreads(1)
    data = data or Path(os.environ.get("SERENO_DATA", "../shared/data"))
    names = species.split(",") if species else list(SPECIES)
    held = photos(data / "lfw" / "train", part) + (photos(data / "faces" / "bbt") if part == "report" else [])
    outcomes = measure_attacks(attacks(held, count, seed, names), mode, each=each) if count else []
    if outcomes:
        click.echo(attack_table(outcomes))
    if outcomes and each:
        click.echo("\nEach check by itself would let through:\n\n" + alone_table(outcomes))
    if live:
        outcomes += _look_at_clips(data, mode, "first" if part == "choose" else "second")
    if out:
        out.write_text(json.dumps([asdict(one) for one in outcomes], indent=1), encoding="utf-8")


def _look_at_clips(data: Path, mode: Mode, half: str) -> list[Outcome]:
    detector = open_detector("yunet")
    stretches = [stretch for path in find_clips(data) for stretch in live_stretches(path, detector)]
    whole, parts = measure_live(stretches, mode, "all"), measure_live(stretches, mode, half)
    click.echo(f"\nLive clips, whole:\n\n{live_table(whole)}")
    quick = sum(one.live_s is not None and one.live_s <= 1.0 for one in parts)
    click.echo(f"\nBegun anew every 0.5 s in the {half} half: {quick} of {len(parts)} live within 1 s\n")
    click.echo(live_table(parts))
    return whole + parts


if __name__ == "__main__":
    main()
