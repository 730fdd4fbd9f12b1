"""A few real people, and faces that never were."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

PEOPLE = 10


@pytest.fixture(autouse=True)
def one_thread() -> None:
    """To the bit means on one thread."""
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def few_people(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten people, four photos each."""
    root = tmp_path_factory.mktemp("few-people")
    for person in sorted((shared_data / "lfw" / "train").iterdir())[:PEOPLE]:
        (root / person.name).mkdir()
        for photo in sorted(person.iterdir())[:4]:
            (root / person.name / photo.name).symlink_to(photo)
    return root


@pytest.fixture(scope="session")
def made_up() -> tuple[np.ndarray, np.ndarray]:
    """24 blurred patterns of 6 kinds, 112x112x3 uint8, and their kinds: what trains need not be faces."""
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(6), 4).astype(np.int64)
    kinds = rng.integers(0, 255, (6, 6, 6, 3)).astype(np.float32)
    noise = rng.normal(0, 12, (24, 6, 6, 3)).astype(np.float32)
    faces = [
        cv2.resize(kinds[k] + n, (112, 112), interpolation=cv2.INTER_CUBIC) for k, n in zip(labels, noise, strict=True)
    ]
    return np.clip(np.stack(faces), 0, 255).astype(np.uint8), labels
