"""Apples, bananas and pears: one on a photo to classify, several in a scene to find."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from training.practice.paint import Canvas, Colour, background, develop

Photo = npt.NDArray[np.uint8]
GREEN, YELLOW, RED, BROWN = (120, 160, 50), (225, 190, 50), (185, 40, 35), (80, 55, 30)


@dataclass(frozen=True)
class Seen:
    """A fruit in a scene: its kind, and x1, y1, x2, y2 in pixels."""

    kind: str
    box: tuple[int, int, int, int]


def photo(kind: str, rng: np.random.Generator, side: int = 160) -> Photo:
    """One fruit of that kind, side x side x 3 uint8 RGB; now and then with leaves before it."""
    pixels = background(rng, side, side)
    middle = (side * rng.uniform(0.38, 0.62), side * rng.uniform(0.38, 0.62))
    canvas = Canvas(pixels, middle, side * rng.uniform(0.2, 0.36), rng.uniform(-60, 60))
    KINDS[kind](canvas, rng)
    if rng.random() < 0.4:
        _leaves(Canvas(pixels, middle, side * 0.3, rng.uniform(0, 360)), rng)
    return develop(pixels, rng, noise=8)


def scene(rng: np.random.Generator, width: int = 320, height: int = 240) -> tuple[Photo, list[Seen]]:
    """One to four fruits that hardly hide one another, and where they are."""
    pixels = background(rng, width, height)
    found: list[Seen] = []
    for _ in range(rng.integers(1, 5)):
        kind = str(rng.choice(list(KINDS)))
        unit = rng.uniform(0.1, 0.19) * height
        middle = (rng.uniform(1.4 * unit, width - 1.4 * unit), rng.uniform(1.4 * unit, height - 1.4 * unit))
        around = (middle[0] - unit, middle[1] - unit, middle[0] + unit, middle[1] + unit)
        if any(_hides(around, seen.box) for seen in found):
            continue
        canvas = Canvas(pixels, middle, unit, rng.uniform(-60, 60))
        KINDS[kind](canvas, rng)
        found.append(Seen(kind, canvas.box()))
    return develop(pixels, rng), found


def _apple(canvas: Canvas, rng: np.random.Generator) -> None:
    colour = _mixed(rng, RED, GREEN, YELLOW)
    angle = np.linspace(0, 2 * np.pi, 80)
    dent = (
        1 - 0.22 * np.exp(-(((angle - 1.5 * np.pi) / 0.35) ** 2)) - 0.08 * np.exp(-(((angle - 0.5 * np.pi) / 0.4) ** 2))
    )
    wide = rng.uniform(0.95, 1.08)
    canvas.polygon(np.stack([wide * dent * np.cos(angle), 0.95 * dent * np.sin(angle)], 1), colour, blur=0.02)
    _shade(canvas, colour, rng)
    canvas.polygon([(-0.04, -0.72), (0.04, -0.72), (0.14, -1.1), (0.06, -1.12)], BROWN)
    if rng.random() < 0.6:
        canvas.ellipse(0.32, -0.98, 0.26, 0.1, GREEN, turn=-25)


def _pear(canvas: Canvas, rng: np.random.Generator) -> None:
    colour = _mixed(rng, GREEN, YELLOW, RED)
    canvas.ellipse(0, 0.35, rng.uniform(0.68, 0.8), 0.66, colour, blur=0.02)
    canvas.polygon([(-0.66, 0.2), (-0.3, -0.75), (0.3, -0.75), (0.66, 0.2)], colour, blur=0.03)
    canvas.ellipse(0, -0.68, 0.33, 0.33, colour, blur=0.02)
    _shade(canvas, colour, rng)
    canvas.polygon([(-0.04, -0.9), (0.04, -0.9), (0.02, -1.25), (-0.06, -1.25)], BROWN)


def _banana(canvas: Canvas, rng: np.random.Generator) -> None:
    colour = _mixed(rng, YELLOW, GREEN, YELLOW)
    bend, thick = rng.uniform(0.55, 0.8), rng.uniform(0.26, 0.34)
    along = np.linspace(-1, 1, 40)
    spine = np.stack([1.15 * along, bend * (along**2) - bend / 2], 1)
    across = (thick * np.sqrt(np.clip(1.02 - along**4, 0, 1)))[:, None] * np.array([[0.0, 1.0]])
    canvas.polygon(np.concatenate([spine - across, (spine + across)[::-1]]), colour, blur=0.015)
    dark = np.asarray(colour) * 0.72
    canvas.polygon(np.concatenate([spine + across * 0.25, (spine + across * 0.95)[::-1]]), dark, 0.6, 0.05)
    for end in (spine[0], spine[-1]):
        canvas.ellipse(*end, 0.08, 0.09, BROWN, blur=0.01)


KINDS: dict[str, Callable[[Canvas, np.random.Generator], None]] = {"apple": _apple, "banana": _banana, "pear": _pear}
"""Each paints its fruit about 1 unit high and wide around the origin."""


def _mixed(rng: np.random.Generator, usual: Colour, other: Colour, third: Colour) -> npt.NDArray[np.float64]:
    """Mostly the usual colour, so that colour helps and is not enough."""
    share = rng.dirichlet((3, 1, 0.6))
    return np.clip(share @ np.array([usual, other, third], float) + rng.normal(0, 10, 3), 5, 250)


def _shade(canvas: Canvas, colour: Colour, rng: np.random.Generator) -> None:
    side = rng.choice((-1, 1))
    canvas.ellipse(side * 0.35, 0.25, 0.3, 0.45, np.asarray(colour) * 0.6, 0.45, 0.12)
    canvas.ellipse(-side * 0.3, -0.2, 0.14, 0.2, (255, 250, 240), 0.5, 0.07)


def _leaves(canvas: Canvas, rng: np.random.Generator) -> None:
    for _ in range(rng.integers(1, 4)):
        x, y = rng.uniform(-0.9, 0.9, 2)
        colour = np.array(GREEN) * rng.uniform(0.5, 0.9)
        canvas.ellipse(x, y, rng.uniform(0.3, 0.5), 0.14, colour, blur=0.01, turn=rng.uniform(0, 180))


def _hides(box: tuple[float, float, float, float], other: tuple[int, int, int, int]) -> bool:
    gap = 2
    return box[0] < other[2] + gap and other[0] < box[2] + gap and box[1] < other[3] + gap and other[1] < box[3] + gap
