"""People on paper: points on a sphere, near their person's, so that what is right can be counted by hand."""

from __future__ import annotations

import numpy as np
import pytest

from export.face_scores import unit


@pytest.fixture(scope="session")
def crowd() -> tuple[np.ndarray, tuple[str, ...]]:
    """[N, 32] unit embeddings and names: 30 people with 6 photos, 200 strangers with one."""
    rng = np.random.default_rng(3)
    people = [f"known-{n:02}" for n in range(30) for _ in range(6)] + [f"stranger-{n:03}" for n in range(200)]
    centres = {name: rng.normal(size=32) for name in sorted(set(people))}
    return unit(np.stack([centres[name] + 1.0 * rng.normal(size=32) for name in people])), tuple(people)
