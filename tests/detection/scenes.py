"""Made-up scenes with known truth, and the measures of a tracker against it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.optimize import linear_sum_assignment

from device.datatypes import Box, Detection
from device.detection.subject import overlap

WIDTH, HEIGHT = 768, 432
Identified = list[tuple[int, Box]]
"""Boxes of one frame, each with the number of its object (truth) or of its track (answer)."""


@dataclass(frozen=True)
class Look:
    """One frame: when, who is really visible where, and what a detector says."""

    time: float
    truth: Identified
    detections: list[Detection]


@dataclass(frozen=True)
class Walker:
    """A person of `height` pixels who walks from `start` at `speed` pixels a second; lower feet are nearer."""

    start: tuple[float, float]
    speed: tuple[float, float]
    height: float = 150.0
    begins: float = 0.0
    ends: float = 1e9

    def box(self, time: float) -> Box:
        """Where they are, `start` being the middle of their feet."""
        x = self.start[0] + self.speed[0] * (time - self.begins)
        foot = self.start[1] + self.speed[1] * (time - self.begins)
        # A stride opens and closes twice a second.
        width = self.height * (0.36 + 0.06 * np.sin(2 * np.pi * 2 * time + self.start[0]))
        return (x - width / 2, foot - self.height, x + width / 2, foot)


def covered(box: Box, by: list[Box]) -> float:
    """Part of a box (0 to 1) that others in front hide, counted on a grid of 10 x 10 points."""
    xs = np.linspace(box[0], box[2], 12)[1:-1]
    ys = np.linspace(box[1], box[3], 12)[1:-1]
    hidden = np.zeros((10, 10), dtype=bool)
    for other in by:
        hidden |= ((xs > other[0]) & (xs < other[2]))[None, :] & ((ys > other[1]) & (ys < other[3]))[:, None]
    return float(hidden.mean())


def film(walkers: list[Walker], fps: float, seconds: float, seed: int, pillars: tuple[Box, ...] = ()) -> Iterator[Look]:
    """What a detector like a small YOLO makes of walkers: jitter of 3 % of the box, misses, scores that fall with what
    is hidden (weak from a third, none from three quarters), and one false box in ten frames."""
    rng = np.random.default_rng(seed)
    for index in range(int(seconds * fps)):
        time = index / fps
        there = {n: w.box(time) for n, w in enumerate(walkers) if w.begins <= time <= w.ends}
        truth: Identified = []
        detections = []
        for number, box in there.items():
            if box[2] < 10 or box[0] > WIDTH - 10:
                continue
            front = [other for n, other in there.items() if n != number and other[3] > box[3]]
            hidden = covered(box, [*front, *pillars])
            if hidden < 0.75:
                truth.append((number, box))
                detections += _see(box, hidden, rng)
        if rng.random() < 0.1:
            x, y = rng.uniform(0, WIDTH - 60), rng.uniform(0, HEIGHT - 150)
            detections.append(Detection((x, y, x + 50, y + 140), float(rng.uniform(0.1, 0.6)), 0, "person"))
        yield Look(time, truth, detections)


def _see(box: Box, hidden: float, rng: np.random.Generator) -> list[Detection]:
    """Nothing in one look of twenty, else a box with noise and a score."""
    if rng.random() < 0.05:
        return []
    size = np.sqrt((box[2] - box[0]) * (box[3] - box[1]))
    noisy = np.array(box) + rng.normal(0, 0.03 * size, 4)
    score = float(np.clip(rng.normal(0.8 - 0.9 * hidden, 0.08), 0.05, 0.98))
    return [Detection((noisy[0], noisy[1], noisy[2], noisy[3]), score, 0, "person")] if score >= 0.1 else []


def crossing(fps: float, seed: int) -> Iterator[Look]:
    """Four pairs of people who walk past each other, one behind the other in depth."""
    rng = np.random.default_rng(seed)
    walkers = []
    for pair in range(4):
        begins = pair * 5.0
        y = 300 + rng.uniform(-20, 20)
        walkers.append(Walker((-20, y), (float(rng.uniform(100, 150)), 0), 150, begins, begins + 8))
        walkers.append(Walker((WIDTH + 20, y + 25), (-float(rng.uniform(100, 150)), 0), 160, begins, begins + 8))
    return film(walkers, fps, 24, seed)


def occlusion(fps: float, seed: int) -> Iterator[Look]:
    """People who pass behind a pillar, out of sight for about a second."""
    rng = np.random.default_rng(seed)
    walkers = [
        Walker((-20, 320 + 8 * n), (float(rng.uniform(90, 140)), 0), 150, n * 4.0, n * 4.0 + 9) for n in range(5)
    ]
    return film(walkers, fps, 26, seed, pillars=((340, 0, 440, HEIGHT),))


def crowd(fps: float, seed: int) -> Iterator[Look]:
    """Ten people of different size and speed, all over the picture."""
    rng = np.random.default_rng(seed)
    walkers = []
    for n in range(10):
        left = bool(rng.integers(2))
        speed = float(rng.uniform(50, 130)) * (1 if left else -1)
        foot = float(rng.uniform(220, 420))
        start = (-20.0 if left else WIDTH + 20.0, foot)
        walkers.append(Walker(start, (speed, float(rng.uniform(-6, 6))), foot * 0.35, n * 1.2, n * 1.2 + 14))
    return film(walkers, fps, 26, seed)


SCENES: dict[str, Callable[[float, int], Iterator[Look]]] = {
    "crossing": crossing,
    "occlusion": occlusion,
    "crowd": crowd,
}


@dataclass(frozen=True)
class Measured:
    """How well identities were kept: IDF1 (0 to 1, Ristani et al. 2016) and how often a person's track changed."""

    idf1: float
    switches: int


def measure(truth: list[Identified], answer: list[Identified], least_iou: float = 0.5) -> Measured:
    """Compare an answer with the truth, frame by frame; boxes belong together from an IoU of `least_iou`."""
    truth_ids = sorted({n for frame in truth for n, _ in frame})
    answer_ids = sorted({n for frame in answer for n, _ in frame})
    together = np.zeros((len(truth_ids), len(answer_ids)))
    current: dict[int, int] = {}
    switches = 0
    for real, given in zip(truth, answer, strict=True):
        similar = np.array([[overlap(a, b) for _, b in given] for _, a in real]).reshape(len(real), len(given))
        for row, column in np.argwhere(similar >= least_iou):
            together[truth_ids.index(real[row][0]), answer_ids.index(given[column][0])] += 1
        for row, column in _pairs(similar, least_iou, real, given, current):
            number, track = real[row][0], given[column][0]
            switches += current.get(number, track) != track
            current[number] = track
    rows, columns = linear_sum_assignment(-together)
    kept = together[rows, columns].sum()
    total = sum(map(len, truth)) + sum(map(len, answer))
    return Measured(float(2 * kept / max(total, 1)), switches)


def _pairs(
    similar: npt.NDArray[np.float64], least: float, real: Identified, given: Identified, current: dict[int, int]
) -> list[tuple[int, int]]:
    """Which box is whose in one frame: as in the frame before where that still fits (CLEAR MOT), else the best."""
    weight = np.where(similar >= least, similar, -10.0)
    for row, (number, _) in enumerate(real):
        for column, (track, _) in enumerate(given):
            if current.get(number) == track and similar[row, column] >= least:
                weight[row, column] += 10
    return [(int(r), int(c)) for r, c in zip(*linear_sum_assignment(-weight), strict=True) if similar[r, c] >= least]
