"""A small set of drawn photos with two kinds of things, and weights to begin with."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from tests.tinydetector import SIZE, tiny_detector

NAMES = ("square", "cat")


def draw_set(root: Path, counts: dict[str, int], seed: int = 0) -> Path:
    """Write PNG photos of 96x72 with one square or one disc each, and their labels; `cat` is what discs are called."""
    rng = np.random.default_rng(seed)
    for split, count in counts.items():
        for kind in ("images", "labels"):
            (root / kind / split).mkdir(parents=True)
        for number in range(count):
            picture = cv2.resize(rng.integers(60, 120, (6, 8, 3), np.uint8), (96, 72), interpolation=cv2.INTER_CUBIC)
            x, y, half = int(rng.integers(24, 72)), int(rng.integers(20, 52)), int(rng.integers(10, 18))
            if number % 2:
                cv2.circle(picture, (x, y), half, (30, 220, 240), -1, cv2.LINE_AA)
            else:
                cv2.rectangle(picture, (x - half, y - half), (x + half, y + half), (220, 60, 40), -1)
            cv2.imwrite(str(root / "images" / split / f"{number}.png"), picture)
            box = f"{x / 96:.6f} {y / 72:.6f} {2 * half / 96:.6f} {2 * half / 72:.6f}"
            (root / "labels" / split / f"{number}.txt").write_text(f"{number % 2} {box}\n")
    (root / "classes.txt").write_text("".join(f"{name}\n" for name in NAMES))
    return root


@pytest.fixture(scope="session")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """12 photos to learn from and 6 to report on."""
    return draw_set(tmp_path_factory.mktemp("drawn") / "things", {"train": 12, "val": 6})


@pytest.fixture(scope="session")
def begin(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint of three classes: cup, cat, car."""
    path = tmp_path_factory.mktemp("weights") / "tiny.pt"
    torch.save({"model": tiny_detector(SIZE)}, path)
    return path


@pytest.fixture(autouse=True)
def one_thread() -> None:
    """What is promised to the bit is promised for one thread."""
    torch.set_num_threads(1)
